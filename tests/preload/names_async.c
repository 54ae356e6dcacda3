/* SPDX-License-Identifier: MIT */
/*
 * getaddrinfo_a: the tailnet's names and others in one list, waited for, polled for, and told of by a signal or thread,
 * with what gai_error, gai_suspend and gai_cancel say afterwards.
 */
/*
 * expect: same
 * status: names.json
 * cflags: -lanl -pthread
 * native-addr: 100.64.0.1/10
 * native-addr: fd7a:115c:a1e0::1/48
 * dns: www.example.com,192.0.2.50
 * native-dns: me.tail1.ts.net,100.64.0.1,fd7a:115c:a1e0::1
 * native-dns: db.tail1.ts.net,100.64.0.2,fd7a:115c:a1e0::2
 * native-search: tail1.ts.net
 */
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "netdb_print.h"

enum { N = 200 };

static int told[2];
static struct gaicb requests[N], *list[N];
static const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME };

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
	tell(info->si_value);
}

static void fill(const char *const *names, int n)
{
	memset(requests, 0, sizeof(requests));
	for (int i = 0; i < n; i++) {
		requests[i].ar_name = names[i % 6];
		requests[i].ar_service = "80";
		requests[i].ar_request = i % 2 ? &hints : NULL;
		list[i] = names[i % 6] ? &requests[i] : NULL;
	}
}

static void show(int n)
{
	char text[INET6_ADDRSTRLEN];

	for (int i = 0; i < n; i++) {
		const struct addrinfo *ai = requests[i].ar_result;
		int cancelled;

		if (!list[i])
			continue;
		/* libc tells of a request's end a moment before it takes it off its list. */
		while ((cancelled = gai_cancel(&requests[i])) == EAI_NOTCANCELED && gai_error(&requests[i]) != EAI_INPROGRESS)
			sched_yield();
		printf("%s error %d cancel %d", requests[i].ar_name, gai_error(&requests[i]), cancelled);
		for (; ai; ai = ai->ai_next)
			printf(" %s %s", ai->ai_canonname ? ai->ai_canonname : "-",
			       ai->ai_family == AF_INET
				       ? inet_ntop(AF_INET, &((struct sockaddr_in *)ai->ai_addr)->sin_addr, text, sizeof(text))
				       : "v6");
		printf("\n");
		if (requests[i].ar_result)
			freeaddrinfo(requests[i].ar_result);
	}
}

static void wait_told(void)
{
	char c;

	while (read(told[0], &c, 1) != 1)
		if (errno != EINTR)
			exit(1);
	printf("told %d\n", c);
}

/* All lists are done at the end, whichever way they came. */
static void finish(int n)
{
	for (int i = 0; i < n; i++)
		while (list[i] && gai_error(list[i]) == EAI_INPROGRESS)
			gai_suspend((const struct gaicb *const *)&list[i], 1, NULL);
}

int main(void)
{
	static const char *const mixed[6] = {
		"db", "www.example.com", NULL, "none.tail1.ts.net", "DB.tail1.ts.net", "127.0.0.1",
	};
	static const char *const ours[6] = { "db", "me", "none.tail1.ts.net", "db.tail1.ts.net", NULL, "db" };
	struct sigevent by_signal = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 7 };
	struct sigevent by_thread = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = tell,
				      .sigev_value.sival_int = 9 };
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };

	if (pipe(told) != 0)
		return 1;
	sigaction(SIGUSR1, &sa, NULL);
	for (int n = 6; n <= N; n += N - 6) {
		fill(mixed, n);
		printf("wait %d\n", getaddrinfo_a(GAI_WAIT, list, n, NULL));
		show(n);
		fill(mixed, n);
		printf("no wait %d\n", getaddrinfo_a(GAI_NOWAIT, list, n, NULL));
		finish(n);
		show(n);
		fill(ours, n);
		printf("signal %d\n", getaddrinfo_a(GAI_NOWAIT, list, n, &by_signal));
		wait_told();
		show(n);
		fill(ours, n);
		printf("thread %d\n", getaddrinfo_a(GAI_NOWAIT, list, n, &by_thread));
		wait_told();
		show(n);
		fill(mixed, n);
		printf("both %d\n", getaddrinfo_a(GAI_NOWAIT, list, n, &by_thread));
		wait_told();
		finish(n);
		show(n);
	}
	fill(ours, 6);
	printf("wrong mode %d\n", getaddrinfo_a(77, list, 6, NULL));
	printf("nothing %d\n", getaddrinfo_a(GAI_WAIT, list, 0, NULL));
	return 0;
}
