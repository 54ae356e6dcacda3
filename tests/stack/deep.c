/* SPDX-License-Identifier: MIT */
/*
 * Each frame is within the limit, the chain is not.
 * expect: hook needs
 */
int use(void *p);
int hook(void);

static int inner(void)
{
	char room[2100];

	return use(room);
}

int hook(void)
{
	char room[2100];

	return use(room) + inner();
}
