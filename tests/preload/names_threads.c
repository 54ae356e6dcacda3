/* SPDX-License-Identifier: MIT */
/*
 * Sixteen threads look names up while signal handlers do so too and the map is replaced again and again, small ones and large ones in
 * every order. Every answer is one that some map held; the last one is seen by all.
 */
/*
 * libc: glibc musl
 * cflags: -pthread
 * status: names.json
 * expect: wrong answers 0
 * expect: in handlers 0
 * expect: seen by all 16
 */
#include <pthread.h>
#include <signal.h>

#include "names_state.h"

#define THREADS 16
#define ROUNDS 24

static volatile int stop;
static int wrong, wrong_in_handlers, handled, seen;

static int good(const char *text)
{
	return strncmp(text, "100.64.0.", 9) == 0;
}

/*
 * gethostbyname2_r with storage of its own: libc's getaddrinfo and its malloc are not for handlers, what is ours must
 * be.
 */
static void handler(int sig)
{
	struct hostent h, *res;
	char buf[1024];
	int herr;

	(void)sig;
	if (gethostbyname2_r("db", AF_INET, &h, buf, sizeof(buf), &res, &herr) != 0 || !res ||
	    memcmp(res->h_addr_list[0], "\144\100\0", 3) != 0)
		__atomic_add_fetch(&wrong_in_handlers, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
}

static void *look(void *arg)
{
	(void)arg;
	while (!stop) {
		if (!good(look_up("db")) || !good(look_up("db.tail1.ts.net")) ||
		    strcmp(look_up("none.tail1.ts.net"), "error -2") != 0)
			__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
	}
	if (becomes("db", "100.64.0.200"))
		__atomic_add_fetch(&seen, 1, __ATOMIC_RELAXED);
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];

	signal(SIGUSR1, handler);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, look, NULL);
	for (int round = 0; round < ROUNDS; round++) {
		write_status("Running", 0, round + 10, round % 3 ? 2000 + 100 * (round % 5) : 3);
		run_sync();
		for (int i = 0; i < THREADS; i++)
			pthread_kill(threads[i], SIGUSR1);
	}
	write_status("Running", 0, 200, 3);
	run_sync();
	stop = 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("wrong answers %d\nin handlers %d\nseen by all %d\n", wrong, handled ? wrong_in_handlers : -1, seen);
	return 0;
}
