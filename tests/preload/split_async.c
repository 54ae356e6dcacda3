/* SPDX-License-Identifier: MIT */
/*
 * getaddrinfo_a with GAI_NOWAIT does not wait for a name server of split DNS: the requests are in progress, all at once, can be waited
 * for, and their end is told as was asked, once, when all are done.
 */
/*
 * map: none
 * env: TSPROXY_DNS_ROUTE=corp.example=127.0.0.1:5301
 * resolv-conf: search corp.example
 * cflags: -lanl -pthread
 * expect: none: 0 in no time, in progress; 0 10.0.0.1, 0 10.0.0.1, 0 127.0.0.1, 0 10.0.0.1, together
 * expect: signal: 0 in no time, in progress; told 7, all done; 0 10.0.0.1, 0 10.0.0.1, 0 127.0.0.1, 0 10.0.0.1, together
 * expect: thread: 0 in no time, in progress; told 9, all done; 0 10.0.0.1, 0 10.0.0.1, 0 127.0.0.1, 0 10.0.0.1, together
 * expect: time-out: again; cancel: not; then 0 10.0.0.1
 * expect: interrupted: yes; then 0 10.0.0.1
 * expect: wait: 0, all done; 0 10.0.0.1, 0 10.0.0.1, 0 127.0.0.1, 0 10.0.0.1, together
 * expect: nothing left: yes, cancel: done
 * expect: 0 descriptors more
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "server.h"

enum { N = 4, SLOW_MS = 400 };

static int told[2];
static struct gaicb requests[N], *list[N];
static const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
static long long began;

static void answer(int fd)
{
	static const uint8_t record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 0, 0, 1 };
	uint8_t m[600];
	size_t n;

	while ((n = read_message(fd, m, sizeof(m))) != 0) {
		poll(NULL, 0, SLOW_MS);
		m[4] |= 0x80;
		m[9] = 1;
		memcpy(m + 2 + n, record, sizeof(record));
		n += sizeof(record);
		write_message(fd, m, n);
	}
}

static void tell(union sigval value)
{
	char c = (char)value.sival_int;

	if (write(told[1], &c, 1) != 1)
		_exit(1);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	if (info->si_code != SI_ASYNCNL || info->si_pid != getpid() || info->si_uid != getuid())
		info->si_value.sival_int = 77;
	tell(info->si_value);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static int in_progress(void)
{
	int n = 0;

	for (int i = 0; i < N; i++)
		n += gai_error(&requests[i]) == EAI_INPROGRESS;
	return n;
}

static void ask(int mode, struct sigevent *sig)
{
	static const char *const names[N] = { "one.corp.example", "two", "127.0.0.1", "three.corp.example." };
	int ret;

	memset(requests, 0, sizeof(requests));
	for (int i = 0; i < N; i++) {
		requests[i].ar_name = names[i];
		requests[i].ar_request = &hints;
		list[i] = &requests[i];
	}
	began = now_ms();
	ret = getaddrinfo_a(mode, list, N, sig);
	if (mode == GAI_WAIT)
		printf("%d, %s; ", ret, in_progress() ? "not done" : "all done");
	else
		printf("%d %s, %s; ", ret, now_ms() - began < SLOW_MS / 2 ? "in no time" : "late",
		       in_progress() >= 3 ? "in progress" : "done");
}

static const char *result(struct gaicb *r)
{
	static char text[80];

	sprintf(text, "%d", gai_error(r));
	if (gai_error(r) == 0) {
		inet_ntop(AF_INET, &((struct sockaddr_in *)r->ar_result->ai_addr)->sin_addr, text + sprintf(text, "0 "), 60);
		freeaddrinfo(r->ar_result);
	}
	return text;
}

static void finish(void)
{
	for (int i = 0; i < N; i++)
		while (gai_error(&requests[i]) == EAI_INPROGRESS)
			gai_suspend((const struct gaicb *const *)&list[i], 1, NULL);
	for (int i = 0; i < N; i++)
		printf("%s, ", result(&requests[i]));
	printf("%s\n", now_ms() - began < 2 * SLOW_MS ? "together" : "apart");
}

static void wait_told(void)
{
	char c;

	while (read(told[0], &c, 1) != 1)
		if (errno != EINTR)
			exit(1);
	printf("told %d, %s; ", c, in_progress() ? "not done" : "all done");
}

static void ask_one(const char *name)
{
	memset(requests, 0, sizeof(requests));
	requests[0].ar_name = name;
	requests[0].ar_request = &hints;
	list[0] = &requests[0];
	if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) != 0)
		abort();
}

int main(void)
{
	struct sigevent by_signal = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 7 };
	struct sigevent by_thread = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = tell, .sigev_value.sival_int = 9 };
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART }, alarmed = { .sa_handler = on_alarm };
	struct timespec soon = { 0, 50 * 1000000 };
	struct itimerval timer = { .it_value = { 0, 50000 } };
	const struct gaicb *const *waited = (const struct gaicb *const *)list;
	int before, ret;

	if (pipe(told) != 0)
		return 1;
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGALRM, &alarmed, NULL);
	serve(5301, answer);
	before = descriptors();
	printf("none: ");
	ask(GAI_NOWAIT, NULL);
	finish();
	printf("signal: ");
	ask(GAI_NOWAIT, &by_signal);
	wait_told();
	finish();
	printf("thread: ");
	ask(GAI_NOWAIT, &by_thread);
	wait_told();
	finish();

	ask_one("one.corp.example");
	ret = gai_suspend(waited, 1, &soon);
	printf("time-out: %s; ", ret == EAI_AGAIN ? "again" : "no");
	ret = gai_cancel(&requests[0]);
	printf("cancel: %s; then ", ret == EAI_NOTCANCELED ? "not" : "wrong");
	while (gai_error(&requests[0]) == EAI_INPROGRESS)
		gai_suspend(waited, 1, NULL);
	printf("%s\n", result(&requests[0]));

	ask_one("one.corp.example");
	setitimer(ITIMER_REAL, &timer, NULL);
	ret = gai_suspend(waited, 1, NULL);
	printf("interrupted: %s; then ", ret == EAI_INTR ? "yes" : "no");
	while (gai_error(&requests[0]) == EAI_INPROGRESS)
		gai_suspend(waited, 1, NULL);
	printf("%s\n", result(&requests[0]));

	printf("wait: ");
	ask(GAI_WAIT, NULL);
	finish();
	ret = gai_suspend(waited, N, NULL);
	printf("nothing left: %s, ", ret == EAI_ALLDONE ? "yes" : "no");
	ret = gai_cancel(&requests[0]);
	printf("cancel: %s\n", ret == EAI_ALLDONE ? "done" : "wrong");
	printf("%d descriptors more\n", descriptors() - before);
	return 0;
}
