/* SPDX-License-Identifier: MIT */
/*
 * A tsproxy-sync that hangs holds up one lookup for a second, and no other after it. What it makes in the end counts.
 */
/*
 * libc: glibc musl
 * status: names.json
 * map: none
 * sync: sync_counted.sh
 * dns: www.example.com,192.0.2.60
 * expect: first 192.0.2.60 waited 1
 * expect: second 192.0.2.60 waited 0
 * expect: third 192.0.2.60 waited 0
 * expect: in the end 1
 */
#include "names_state.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void timed(const char *title)
{
	double begin = now(), took;
	const char *address = look_up("www.example.com");

	took = now() - begin;
	printf("%s %s waited %d\n", title, address, took > 0.9 && took < 1.6 ? 1 : took < 0.5 ? 0 : 99);
}

int main(void)
{
	char hold[600];

	snprintf(hold, sizeof(hold), "%s/hold", getenv("TEST_DIR"));
	close(open(hold, O_CREAT | O_WRONLY, 0600));
	timed("first");
	timed("second");
	pause_ms(1300);		/* beyond the 2 s after which another could be begun */
	timed("third");
	unlink(hold);
	printf("in the end %d\n", becomes("db", "100.64.0.2"));
	return 0;
}
