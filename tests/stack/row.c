/* SPDX-License-Identifier: MIT */
/*
 * A row that nothing needs.
 * row: nested nobody 1
 * expect: a row is not needed: nested nobody
 */
int use(void *p);
int hook(void);

int hook(void)
{
	int n = 1;

	return use(&n);
}
