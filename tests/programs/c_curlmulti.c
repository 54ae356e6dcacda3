/* SPDX-License-Identifier: MIT */
/* needs: libcurl4-openssl-dev pc:libcurl */
/* needs: gcc gcc */
/* build: cc -Wall -Wextra -o {out}/run {file} $(pkg-config --cflags --libs libcurl) */
/* run: {out}/run http://{url}:{port}/ */
/* server: http */
/* set: fast */
/* libcurl's multi interface over an epoll set of the program's own (multi_socket), and over curl_multi_poll. */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#define MANY 30

static int ep, bytes, counts[CURL_LAST];
static long timeout_ms = -1;
static char message[CURL_ERROR_SIZE];

static size_t on_data(char *p, size_t size, size_t n, void *arg)
{
	(void)p, (void)arg;
	bytes += (int)(size * n);
	return size * n;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct epoll_event ev = { .data.fd = fd };

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(ep, EPOLL_CTL_DEL, fd, &ev);
		return 0;
	}
	ev.events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
	epoll_ctl(ep, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev);
	curl_multi_assign(arg, fd, arg);
	return 0;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
	(void)multi, (void)arg;
	timeout_ms = ms;
	return 0;
}

static void add(CURLM *multi, const char *url)
{
	for (int i = 0; i < MANY; i++) {
		CURL *easy = curl_easy_init();

		curl_easy_setopt(easy, CURLOPT_URL, url);
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
		curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 1000L);
		curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, message);
		curl_multi_add_handle(multi, easy);
	}
}

static void finish(const char *how, CURLM *multi)
{
	CURLMsg *m;
	int n;

	memset(counts, 0, sizeof(counts));
	while ((m = curl_multi_info_read(multi, &n)))
		counts[m->data.result]++;
	for (int i = 0; i < CURL_LAST; i++) {
		if (counts[i])
			printf("%s: %d %s\n", how, counts[i], curl_easy_strerror(i));
	}
	printf("%s: %d bytes\n", how, bytes);
	bytes = 0;
}

static void with_epoll(CURLM *multi)
{
	struct epoll_event ev[8];
	int running = 1, n;

	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, multi);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
	while (running) {
		n = epoll_wait(ep, ev, 8, timeout_ms < 0 || timeout_ms > 1000 ? 1000 : (int)timeout_ms);
		for (int i = 0; i < n; i++) {
			int what = (ev[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
				(ev[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
				(ev[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

			curl_multi_socket_action(multi, ev[i].data.fd, what, &running);
		}
		if (n == 0)
			curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	finish("epoll", multi);
}

static void with_poll(CURLM *multi)
{
	int running = 1;

	while (running) {
		curl_multi_perform(multi, &running);
		curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	finish("poll", multi);
}

int main(int argc, char *argv[])
{
	CURLM *first, *second;

	if (argc < 2)
		return 2;
	ep = epoll_create1(EPOLL_CLOEXEC);
	curl_global_init(CURL_GLOBAL_ALL);
	first = curl_multi_init();
	add(first, argv[1]);
	with_epoll(first);
	second = curl_multi_init();
	add(second, argv[1]);
	with_poll(second);
	return 0;
}
