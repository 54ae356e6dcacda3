/* SPDX-License-Identifier: MIT */
/*
 * A function that is only called through a pointer whose row forgets it.
 * row: call forgotten.c go other
 * expect: nothing leads to forgotten.c:deep
 */
int use(void *p);
int other(void *p);
int hook(void);
void choose(int n);
int (*go)(void *p);

static int deep(void *p)
{
	char room[8000];

	return use(room) + use(p);
}

int other(void *p)
{
	return use(p);
}

void choose(int n)
{
	go = n ? deep : other;
}

int hook(void)
{
	int n = 1;

	return go(&n) + use(&n);
}
