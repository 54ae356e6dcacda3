/* SPDX-License-Identifier: MIT */
/* TSPROXY_SHORT_NAMES=0 leaves short names to DNS, and full names to the tailnet. */
/*
 * libc: glibc musl
 * status: names.json
 * env: TSPROXY_SHORT_NAMES=0
 * dns: db.tail1.ts.net,192.0.2.60
 * dns: db,192.0.2.62
 * expect: 192.0.2.62
 * expect: 192.0.2.62
 * expect: 100.64.0.2
 * expect: 100.64.0.2
 * expect: error -2
 */
#include "names_state.h"

int main(void)
{
	static const char *const names[] = { "db", "DB.", "db.tail1.ts.net", "db.tail1.ts.net.", "none.tail1.ts.net" };

	for (int i = 0; i < 5; i++)
		printf("%s\n", look_up(names[i]));
	return 0;
}
