/* SPDX-License-Identifier: MIT */
/*
 * A thousand processes that find an old map at the same time use it, without waiting, and start one refresh. A map from
 * the future, made before the clock was set back, counts as old too.
 */
/*
 * libc: glibc musl
 * status: names.json
 * sync: sync_counted.sh
 * run: 60
 * run: -3600
 * expect: from the old map 1000
 * expect: the new one is there 1
 * expect: started 1
 */
#include "names_state.h"

int main(int argc, char **argv)
{
	int gate[2], found = 0, status;
	char byte;

	if (argc < 2 || pipe(gate) != 0)
		return 1;
	age_map(atoi(argv[1]));
	write_status("Running", 0, 50, 0);
	for (int i = 0; i < 1000; i++) {
		const char *address;

		if (fork() != 0)
			continue;
		close(gate[1]);
		if (read(gate[0], &byte, 1) != 0)
			_exit(2);
		address = look_up("db");
		_exit(strcmp(address, "100.64.0.2") != 0 && strcmp(address, "100.64.0.50") != 0);
	}
	close(gate[1]);
	while (wait(&status) > 0)
		found += status == 0;
	printf("from the old map %d\n", found);
	printf("the new one is there %d\n", becomes("db", "100.64.0.50"));
	printf("started %d\n", syncs_started());
	return 0;
}
