/* SPDX-License-Identifier: MIT */
/* What the map says of the daemon: stopped and logged out keep the names; TUN leaves all to libc, and back. */
/*
 * libc: glibc musl
 * status: names.json
 * dns: db.tail1.ts.net,192.0.2.60
 * dns: none.tail1.ts.net,192.0.2.61
 * dns: db,192.0.2.62
 * expect: Running 1 100.64.0.20 error -2
 * expect: Stopped 1 100.64.0.21 error -2
 * expect: NeedsLogin 1 100.64.0.22 error -2
 * expect: TUN 1 192.0.2.60 192.0.2.61
 * expect: Running 1 100.64.0.24 error -2
 */
#include "names_state.h"

static void state(const char *title, const char *backend, int tun, int last, const char *want)
{
	char none[64];

	write_status(backend, tun, last, 0);
	run_sync();
	printf("%s %d", title, becomes("db", want));
	snprintf(none, sizeof(none), "%s", look_up("none.tail1.ts.net"));
	printf(" %s %s\n", look_up("db.tail1.ts.net"), none);
}

int main(void)
{
	state("Running", "Running", 0, 20, "100.64.0.20");
	state("Stopped", "Stopped", 0, 21, "100.64.0.21");
	state("NeedsLogin", "NeedsLogin", 0, 22, "100.64.0.22");
	state("TUN", "Running", 1, 23, "192.0.2.62");
	state("Running", "Running", 0, 24, "100.64.0.24");
	return 0;
}
