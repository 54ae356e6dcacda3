/* SPDX-License-Identifier: MIT */
/* Two hundred processes that find no map at the same time have it made once, and all wait for that one. */
/*
 * libc: glibc musl
 * status: names.json
 * map: none
 * sync: sync_counted.sh
 * expect: found it 200
 * expect: started 1
 */
#include "names_state.h"

int main(void)
{
	char path[600], line[64];
	int gate[2], found = 0, started = 0, status;
	FILE *f;

	if (pipe(gate) != 0)
		return 1;
	for (int i = 0; i < 200; i++) {
		if (fork() != 0)
			continue;
		close(gate[1]);
		if (read(gate[0], line, 1) != 0)
			_exit(2);
		_exit(strcmp(look_up("db"), "100.64.0.2") != 0);
	}
	close(gate[1]);
	while (wait(&status) > 0)
		found += status == 0;
	snprintf(path, sizeof(path), "%s/started", getenv("TEST_DIR"));
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		started++;
	printf("found it %d\nstarted %d\n", found, started);
	return 0;
}
