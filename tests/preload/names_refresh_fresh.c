/* SPDX-License-Identifier: MIT */
/* A program that starts within a tick of the clock after its map was made does not take it for one from the future. */
/*
 * libc: glibc musl
 * status: names.json
 * sync: sync_counted.sh
 * expect: started 0
 */
#include "names_state.h"

int main(int argc, char *argv[])
{
	char path[600];
	int started = 0, status;

	if (argc > 1) {
		look_up("unknown");
		return 0;
	}
	snprintf(path, sizeof(path), "%s/started", getenv("TEST_DIR"));
	for (int i = 0; i < 50; i++) {
		pid_t pid;

		run_sync();
		unlink(path);
		pid = fork();
		if (pid == 0)
			execl("/proc/self/exe", argv[0], "miss", (char *)NULL);
		waitpid(pid, &status, 0);
		started += access(path, F_OK) == 0;
	}
	printf("started %d\n", started);
	return 0;
}
