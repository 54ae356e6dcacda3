/* SPDX-License-Identifier: MIT */
/* See family.h. */
#include "tsproxy/family.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "tsproxy/fdtab.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

struct ts_family *_Atomic ts_family;
_Atomic bool ts_carries;

void ts_family_begin(void)
{
	struct ts_family *made = ts_family ? NULL : ts_zero_pages(sizeof(*made), MAP_SHARED), *none = NULL;

	if (!made)
		return;
	made->carries = ts_carries;
	if (!atomic_compare_exchange_strong(&ts_family, &none, made))
		ts_sys(SYS_munmap, made, sizeof(*made));
}

void ts_family_carry(void)
{
	if (ts_carries)
		return;
	ts_process();	/* so that a vfork child is told from this process from here on */
	ts_carries = true;
	if (ts_family)
		ts_family->carries = true;
}
