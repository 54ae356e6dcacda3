/* SPDX-License-Identifier: MIT */
/*
 * Within the limit.
 * expect: ok 1 hooks
 */
int use(void *p);
int hook(void);

static int inner(void)
{
	char room[1500];

	return use(room);
}

int hook(void)
{
	char room[1500];

	return use(room) + inner();
}
