/* SPDX-License-Identifier: MIT */
/*
 * A map that is replaced, deleted, overwritten or planted under a running program: a new one counts soon, a bad one
 * never.
 */
/*
 * libc: glibc musl
 * status: names.json
 * valgrind: yes
 * expect: at first 100.64.0.2
 * expect: replaced 1
 * expect: deleted 100.64.0.9
 * expect: made again 1
 * expect: truncated 100.64.0.10
 * expect: made again 1
 * expect: garbage by rename 100.64.0.11
 * expect: others may write 100.64.0.11
 * expect: a link 100.64.0.11
 * expect: made again 1
 */
#include "names_state.h"


static void remake(int last)
{
	write_status("Running", 0, last, 3);
	run_sync();
}

int main(void)
{
	const char *map = getenv("TEST_MAP");

	printf("at first %s\n", look_up("db"));
	remake(9);
	printf("replaced %d\n", becomes("db", "100.64.0.9"));
	unlink(map);
	pause_ms(150);	/* longer than the pace at which the file is looked at */
	printf("deleted %s\n", look_up("db"));
	remake(10);
	printf("made again %d\n", becomes("db", "100.64.0.10"));
	overwrite_map("tsproxym and more", 10, 0);
	pause_ms(150);
	printf("truncated %s\n", look_up("db"));
	remake(11);
	printf("made again %d\n", becomes("db", "100.64.0.11"));
	overwrite_map("no map at all", 13, 1);
	pause_ms(150);
	printf("garbage by rename %s\n", look_up("db"));
	write_status("Running", 0, 12, 3);
	run_sync();
	chmod(map, 0622);
	pause_ms(150);
	printf("others may write %s\n", look_up("db"));
	unlink(map);
	symlink("/etc/hosts", map);
	pause_ms(150);
	printf("a link %s\n", look_up("db"));
	unlink(map);
	remake(13);
	printf("made again %d\n", becomes("db", "100.64.0.13"));
	return 0;
}
