/* SPDX-License-Identifier: MIT */
/*
 * What is passed to a function that calls it counts where it is passed.
 * row: call callback.c body @with
 * expect: hook needs
 */
int use(void *p);
int hook(void);

static void deep(void *p)
{
	char room[4000];

	use(room);
	use(p);
}

static void with(void (*body)(void *p), void *p)
{
	use(p);
	body(p);
	use(p);
}

int hook(void)
{
	char room[200];

	with(deep, room);
	return 0;
}
