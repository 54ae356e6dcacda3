/* SPDX-License-Identifier: MIT */
/*
 * Finds the functions behind the hooks.
 *
 * dlsym(RTLD_NEXT) takes the loader's lock, which another thread may hold while it runs a constructor in dlopen: a hook that
 * waited for it would deadlock the program (in a vfork child as well). So the loader's list of objects is read directly: one pass over
 * it, from the object behind ours on, with all names at once through each object's own hash table. The list only
 * grows at its end, and the objects that we read were loaded with the program and stay. dlsym is the
 * fallback for what the pass did not find because it does not know the loader's layout.
 */
#include "tsproxy/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>

#include "tsproxy/elfaux.h"
#include "tsproxy/guard.h"
#include "tsproxy/rebind.h"
#include "tsproxy/symbols.h"
#include "tsproxy/sys.h"

struct ts_real_state ts_real_state __attribute__((aligned(64)));
void *ts_real_syscall;

/* Names in the order of struct ts_real's members, as one string of strings: an array of pointers would cost relocations at every start. */
static const char names[] =
#define TS_HOOK(result, name, params) #name "\0"
#include "hooks.def"
	"clock_gettime\0"
	"__idna_to_dns_encoding\0"
	"__idna_from_dns_encoding\0";

#define COUNT (sizeof(struct ts_real) / sizeof(void *))

/* Weak: static programs and odd loaders lack them. */
#pragma weak dlsym
#pragma weak dl_iterate_phdr

/*
 * Fills what is still null in the table from one object. Returns how many stay null. Several threads may do so at once: each finds the same
 * in the same order.
 */
static size_t search(const struct ts_symbols *o, void *table[COUNT])
{
	const char *name = names;
	size_t missing = 0;

	for (size_t i = 0; i < COUNT; i++, name += strlen(name) + 1) {
		void *found = __atomic_load_n(&table[i], __ATOMIC_RELAXED);

		if (!found && (found = ts_symbols_find(o, name)))
			__atomic_store_n(&table[i], found, __ATOMIC_RELAXED);
		missing += !found;
	}
	return missing;
}

/* Stands for a function that this libc lacks: only a program that looked for it by dlsym and found our hook can call it. */
static long missing(void)
{
	ts_errno = ENOSYS;
	return -1;
}

bool ts_real_has(const void *function)
{
	return function != (const void *)missing;
}

void *ts_real_late(const char *library, const char *name)
{
	void *(*open)(const char *, int) = ts_real()->dlopen;
	void *handle = ts_real_has((const void *)open) && dlsym ? open(library, RTLD_LAZY | RTLD_NOLOAD) : NULL;

	return handle ? ts_rebind_original(dlsym(handle, name)) : NULL;
}

/* What is looked for among all objects behind ours, those loaded since the start too. */
struct wanted {
	const char *name;
	void *found;
	bool behind;
};

static int look_in(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct wanted *w = arg;
	struct ts_symbols o;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Dyn) *dynamic = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);

		if (info->dlpi_phdr[i].p_type != PT_DYNAMIC)
			continue;
		if (dynamic == _DYNAMIC)
			w->behind = true;
		else if (w->behind && ts_symbols_read(info->dlpi_addr, dynamic, &o))
			w->found = ts_symbols_find(&o, w->name);
	}
	return w->found != NULL;
}

void *ts_real_loaded(const char *name)
{
	struct wanted w = { .name = name };

	if (dl_iterate_phdr)
		dl_iterate_phdr(look_in, &w);
	return ts_rebind_original(w.found);
}

static void missing_closefrom(int first)
{
	ts_sys(SYS_close_range, first, ~0u, 0);
}

void ts_real_resolve(void)
{
	void **table = (void **)&ts_real_state.table;
	const char *name = names;
	bool nowhere;

	for (const struct link_map *m = ts_link_map_self(); m; m = m->l_next) {
		struct ts_symbols o;

		if (m->l_ld == _DYNAMIC || !ts_symbols_read(m->l_addr, m->l_ld, &o))
			continue;
		if (search(&o, table) == 0)
			break;
	}
	nowhere = !__atomic_load_n(&table[0], __ATOMIC_RELAXED);
	for (size_t i = 0; i < COUNT; i++, name += strlen(name) + 1) {
		void *found = __atomic_load_n(&table[i], __ATOMIC_RELAXED);

		if (found)
			continue;
		if (nowhere && dlsym)
			found = dlsym((void *)-1l /* RTLD_NEXT */, name);
		if (!found)
			found = strcmp(name, "closefrom") == 0 ? (void *)missing_closefrom : (void *)missing;
		__atomic_store_n(&table[i], found, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&ts_real_syscall, (void *)ts_real_state.table.syscall, __ATOMIC_RELAXED);
	__atomic_store_n(&ts_real_state.ready, 1, __ATOMIC_RELEASE);
}
