/* SPDX-License-Identifier: MIT */
/*
 * Where no map can be made, that is tried once in a minute by all processes together, and no lookup is held up for
 * long.
 */
/*
 * libc: glibc musl
 * map: none
 * sync: sync_failing.sh
 * dns: www.example.com,192.0.2.60
 * hosts: 192.0.2.70 known
 * expect: first 192.0.2.70
 * expect: second 192.0.2.60 started 1
 * expect: third 192.0.2.60 started 1
 * expect: child 192.0.2.60 started 1
 * expect: later 192.0.2.60 started 1
 * expect: in time 1
 */
#include "names_state.h"

static void say(const char *title, const char *name)
{
	const char *address = look_up(name);

	printf("%s %s started %d\n", title, address, syncs_started());
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	double begin = now(), took;

	if (argc > 1) {
		say(argv[1], "www.example.com");
		return 0;
	}
	printf("first %s\n", look_up("known"));	/* waits for nothing */
	say("second", "www.example.com");
	took = now() - begin;
	say("third", "www.example.com");
	fflush(stdout);
	if (fork() == 0) {
		execl(argv[0], argv[0], "child", (char *)NULL);
		_exit(1);
	}
	wait(NULL);
	pause_ms(2200);		/* beyond the 2 s between two tries, within the 60 s after a failure */
	say("later", "www.example.com");
	printf("in time %d\n", took < 0.9);
	return 0;
}
