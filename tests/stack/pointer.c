/* SPDX-License-Identifier: MIT */
/*
 * A call through a pointer that no row names.
 * expect: calls through go
 */
int use(void *p);
int hook(void);
int (*go)(void *p);

int hook(void)
{
	int n = 1;

	return go(&n) + use(&n);
}
