/* SPDX-License-Identifier: MIT */
/*
 * Recursion that no row bounds.
 * expect: recursion: hook > hook
 */
int use(void *p);
int hook(int n);

int hook(int n)
{
	return n ? hook(use(&n)) + 1 : use(&n);
}
