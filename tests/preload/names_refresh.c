/* SPDX-License-Identifier: MIT */
/*
 * No launcher and no map: the first lookup has one made and waits for it. The program cannot tell: no child to wait
 * for, no SIGCHLD, its descriptors as before. The helper inherits none of them, nor the object.
 */
/*
 * libc: glibc musl
 * status: names.json
 * map: none
 * sync: sync_counted.sh
 * expect: db 100.64.0.2
 * expect: started 1
 * expect: wait -1 ECHILD
 * expect: SIGCHLD 0
 * expect: descriptors kept
 * expect: preload 0 status 1
 * expect: helper has ours 0
 * expect: after a change 100.64.0.77 started 2
 */
#include <signal.h>

#include "names_state.h"
#include "server.h"

static int children;

static void handler(int sig)
{
	(void)sig;
	children++;
}

static char *in_dir(const char *name)
{
	static char path[600];

	snprintf(path, sizeof(path), "%s/%s", getenv("TEST_DIR"), name);
	return path;
}

/* How many lines of the file begin with `prefix`. */
static int lines(const char *name, const char *prefix)
{
	char line[4096];
	FILE *f = fopen(in_dir(name), "r");
	int n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += strncmp(line, prefix, strlen(prefix)) == 0;
	if (f)
		fclose(f);
	return n;
}

int main(void)
{
	int before, status;

	signal(SIGCHLD, handler);
	dup2(1, 50);
	before = descriptors();
	printf("db %s\n", look_up("db"));
	printf("started %d\n", lines("started", ""));
	status = wait(NULL);
	printf("wait %d %s\n", status, errno == ECHILD ? "ECHILD" : "?");
	printf("SIGCHLD %d\n", children);
	printf("descriptors %s\n", descriptors() == before ? "kept" : "changed");
	printf("preload %d status %d\n", lines("environment", "LD_PRELOAD="), lines("environment", "TSPROXY_STATUS="));
	printf("helper has ours %d\n", lines("descriptors", "50"));
	/* A name that misses has the map made anew once that is 2 s old, and waits for it. */
	write_status("Running", 0, 77, 0);
	while (strcmp(look_up("new-node.tail1.ts.net"), "error -2") == 0 && lines("started", "") < 2)
		pause_ms(20);
	printf("after a change %s started %d\n", look_up("db"), lines("started", ""));
	return 0;
}
