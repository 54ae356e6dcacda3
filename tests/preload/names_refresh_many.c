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
	char byte;
	int gate[2], found = 0, status;

	if (pipe(gate) != 0)
		return 1;
	for (int i = 0; i < 200; i++) {
		if (fork() != 0)
			continue;
		close(gate[1]);
		if (read(gate[0], &byte, 1) != 0)
			_exit(2);
		_exit(strcmp(look_up("db"), "100.64.0.2") != 0);
	}
	close(gate[1]);
	while (wait(&status) > 0)
		found += status == 0;
	printf("found it %d\nstarted %d\n", found, syncs_started());
	return 0;
}
