/* SPDX-License-Identifier: MIT */
/*
 * A map that is removed or spoilt right after a good refresh is made again by the next program that wants it: only a
 * refresh that failed is not tried again for a minute.
 */
/*
 * libc: glibc musl
 * status: names.json
 * map: none
 * sync: sync_counted.sh
 * expect: first 100.64.0.2 started 1
 * expect: deleted 100.64.0.2 started 2
 * expect: spoilt 100.64.0.2 started 3
 */
#include "names_state.h"

static void say(char **argv, const char *title)
{
	fflush(stdout);
	if (fork() == 0) {
		execl(argv[0], argv[0], title, (char *)NULL);
		_exit(1);
	}
	wait(NULL);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		const char *address = look_up("db");

		printf("%s %s started %d\n", argv[1], address, syncs_started());
		return 0;
	}
	say(argv, "first");
	unlink(getenv("TEST_MAP"));
	pause_ms(2100);		/* two refreshes are never begun within 2 s */
	say(argv, "deleted");
	overwrite_map("no map at all", 13, 1);
	pause_ms(2100);
	say(argv, "spoilt");
	return 0;
}
