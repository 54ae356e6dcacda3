/* SPDX-License-Identifier: MIT */
/* A library that finds its plugins beside itself (RUNPATH $ORIGIN, mk/diff.mk), which the loader knows from who calls dlopen. */
#include <dlfcn.h>

void *opener_open(const char *name, int flags);
void *opener_open_in(Lmid_t space, const char *name, int flags);

void *opener_open(const char *name, int flags)
{
	void *h = dlopen(name, flags);

	__asm__ volatile("" ::: "memory");	/* no tail call: this frame is the caller */
	return h;
}

void *opener_open_in(Lmid_t space, const char *name, int flags)
{
	void *h = dlmopen(space, name, flags);

	__asm__ volatile("" ::: "memory");
	return h;
}
