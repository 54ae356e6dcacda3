/* SPDX-License-Identifier: MIT */
/* needs: libevent-dev pc:libevent */
/* needs: gcc gcc */
/* build: cc -Wall -Wextra -o {out}/run {file} $(pkg-config --cflags --libs libevent) */
/* run: {out}/run {host} {port} */
/* set: fast */
/* libevent: twenty bufferevents at once that connect by name, with their time-outs; once over epoll, poll and select. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY 20
#define DATA_LEN 50000

static int left, good, timed_out, failed, last_errno;
static char data[DATA_LEN];

static void done(struct bufferevent *bev, int *count)
{
	++*count;
	bufferevent_free(bev);
	left--;
}

static void on_read(struct bufferevent *bev, void *base)
{
	struct evbuffer *in = bufferevent_get_input(bev);

	(void)base;
	if (evbuffer_get_length(in) == DATA_LEN)
		done(bev, memcmp(evbuffer_pullup(in, -1), data, DATA_LEN) ? &failed : &good);
}

static void on_event(struct bufferevent *bev, short what, void *base)
{
	(void)base;
	if (what & BEV_EVENT_CONNECTED) {
		bufferevent_write(bev, data, DATA_LEN);
	} else if (what & BEV_EVENT_TIMEOUT) {
		done(bev, &timed_out);
	} else {
		last_errno = errno;
		done(bev, &failed);
	}
}

static void run(const char *method, const char *avoid[], const char *host, int port)
{
	struct event_config *cfg = event_config_new();
	struct timeval limit = { .tv_sec = 1 };
	struct event_base *base;

	while (*avoid)
		event_config_avoid_method(cfg, *avoid++);
	base = event_base_new_with_config(cfg);
	left = MANY;
	good = timed_out = failed = last_errno = 0;
	for (int i = 0; i < MANY; i++) {
		struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

		bufferevent_setcb(bev, on_read, NULL, on_event, base);
		bufferevent_set_timeouts(bev, &limit, &limit);
		bufferevent_enable(bev, EV_READ | EV_WRITE);
		if (bufferevent_socket_connect_hostname(bev, NULL, AF_UNSPEC, host, port) < 0)
			printf("connect: %s\n", strerror(errno));
	}
	while (left && event_base_loop(base, EVLOOP_ONCE) == 0)
		;
	printf("%s (%s): good %d, timed out %d, failed %d, errno %s\n", method, event_base_get_method(base), good, timed_out,
	       failed, strerror(last_errno));
	event_base_free(base);
	event_config_free(cfg);
}

int main(int argc, char *argv[])
{
	if (argc < 3)
		return 2;
	memset(data, 'x', sizeof(data));
	run("first", (const char *[]){ NULL }, argv[1], atoi(argv[2]));
	run("second", (const char *[]){ "epoll", NULL }, argv[1], atoi(argv[2]));
	run("third", (const char *[]){ "epoll", "poll", NULL }, argv[1], atoi(argv[2]));
	return 0;
}
