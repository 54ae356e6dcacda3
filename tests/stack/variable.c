/* SPDX-License-Identifier: MIT */
/*
 * A frame whose size is known when it runs.
 * expect: hook has a frame of variable size
 */
int use(void *p);
int hook(int n);

int hook(int n)
{
	return use(__builtin_alloca(n));
}
