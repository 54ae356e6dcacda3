/* SPDX-License-Identifier: MIT */
/*
 * A lookup in split DNS waits as libc's does: a signal does not end it, a cancelled thread leaves it at once and nothing behind, forked
 * children and threads have lookups of their own, and a handler may look up while one is under way.
 */
/*
 * map: none
 * env: TSPROXY_DNS_ROUTE=corp.example=127.0.0.1:5301
 * libc: glibc musl
 * cflags: -pthread
 * expect: signals: 10.0.0.1, some came
 * expect: cancelled: yes, soon, 0 descriptors more
 * expect: threads: 400 right
 * expect: forked: 10.0.0.1 10.0.0.1
 * expect: within another: 10.0.0.1 10.0.0.1
 * expect: as errno was: yes
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server.h"

static volatile sig_atomic_t signals;
static volatile int *asked;	/* shared with the server: questions about never.corp.example */
static char in_handler[64];

static void answer(int fd)
{
	static const uint8_t record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 0, 0, 1 };
	uint8_t m[600];
	size_t n;

	while ((n = read_message(fd, m, sizeof(m))) != 0) {
		if (memcmp(m + 2 + 13, "never", 5) == 0) {
			++*asked;
			continue;
		}
		if (memcmp(m + 2 + 13, "slow", 4) == 0)
			poll(NULL, 0, 300);
		m[4] |= 0x80;
		if (m[2 + n - 3] == 1) {
			m[9] = 1;
			memcpy(m + 2 + n, record, sizeof(record));
			n += sizeof(record);
		}
		write_message(fd, m, n);
	}
}

static const char *look_up(const char *name, char text[64])
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *res;
	int ret = getaddrinfo(name, NULL, &hints, &res);

	sprintf(text, "error %d", ret);
	if (ret == 0) {
		getnameinfo(res->ai_addr, res->ai_addrlen, text, 64, NULL, 0, NI_NUMERICHOST);
		freeaddrinfo(res);
	}
	return text;
}

static void on_alarm(int sig)
{
	(void)sig;
	signals++;
}

static void on_alarm_look_up(int sig)
{
	int err = errno;

	(void)sig;
	look_up("b.corp.example", in_handler);
	errno = err;
}

static void alarm_each(int ms, void (*handler)(int), int again)
{
	struct sigaction sa = { .sa_handler = handler };
	struct itimerval t = { { 0, again ? ms * 1000 : 0 }, { 0, ms * 1000 } };

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
}

static void *never(void *arg)
{
	char text[64];

	look_up("never.corp.example", text);
	return arg;
}

static void *often(void *arg)
{
	char name[64], text[64];
	long right = 0;

	for (int i = 0; i < 50; i++) {
		sprintf(name, "t%ld-%d.corp.example", (long)arg, i);
		right += strcmp(look_up(name, text), "10.0.0.1") == 0;
	}
	return (void *)right;
}

int main(void)
{
	pthread_t threads[8];
	int before, pipe_fd[2];
	char text[64], other[64] = "";
	long long began;
	long right = 0;
	void *result;

	asked = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	serve(5301, answer);
	alarm_each(5, on_alarm, 1);
	look_up("slow.corp.example", text);
	printf("signals: %s, %s came\n", text, signals > 5 ? "some" : "none");
	alarm_each(0, on_alarm, 0);

	before = descriptors();
	pthread_create(&threads[0], NULL, never, NULL);
	while (!*asked)
		poll(NULL, 0, 1);
	began = now_ms();
	pthread_cancel(threads[0]);
	pthread_join(threads[0], &result);
	printf("cancelled: %s, %s, %d descriptors more\n", result == PTHREAD_CANCELED ? "yes" : "no",
	       now_ms() - began < 2000 ? "soon" : "late", descriptors() - before);

	for (long i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, often, (void *)i);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], &result);
		right += (long)result;
	}
	printf("threads: %ld right\n", right);


	pipe(pipe_fd);
	fflush(stdout);
	if (fork() == 0) {
		look_up("a.corp.example", text);
		write(pipe_fd[1], text, sizeof(text));
		_exit(0);
	}
	look_up("a.corp.example", text);
	read(pipe_fd[0], other, sizeof(other));
	wait(NULL);
	printf("forked: %s %s\n", text, other);

	alarm_each(50, on_alarm_look_up, 0);
	look_up("slower.corp.example", text);
	printf("within another: %s %s\n", text, in_handler);
	errno = 77;
	look_up("c.corp.example", text);
	printf("as errno was: %s\n", errno == 77 ? "yes" : "no");
	return 0;
}
