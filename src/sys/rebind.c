/* SPDX-License-Identifier: MIT */
/*
 * A library that is loaded with RTLD_DEEPBIND, and what is loaded for its sake, looks in its own dependencies first: it finds
 * libc's functions, not those of a preloaded object. Also who asks libc by its handle (dlsym) finds these.
 *
 * What could be done:
 *  - drop the flag: then the library's calls to functions of its own may reach the program's of the same name, which is what it is for.
 *  - exchange the slots of what was loaded, after dlopen: too late for its constructors and for threads that use it at once; what it
 *    binds lazily or takes by dlsym comes later still; and our frame between the caller and the loader hides the caller's search path.
 *  - exchange the definitions that are found: the entries of our names in libc's symbol table, in this process's memory. Whoever
 *    binds to them from then on, at once or lazily, in whichever scope, gets the hook, constructors included. Everything else about the
 *    look-up (scopes, versions, audit modules) stays the loader's; the table has no other use in a running process but dladdr's,
 *    which goes by addresses. One word an entry is written, so a look-up at that moment finds the one or the other.
 * The last is done, when a program first asks for RTLD_DEEPBIND. A process that never does keeps libc's pages as they are.
 *
 * Other preloaded objects (and libraries of the program that define such a name) look for libc's function by dlsym(RTLD_NEXT), some of
 * them at each call: theirs must lead to libc, not to us, who call them. So a name that one of them defines gets an entrance that looks
 * where the call comes from. An object that ends in a jump to it leaves the return address of its own caller: that is a hook, which
 * never jumps (Makefile). dlopen's and dlmopen's must, so libc's own keep their entries: from then on those hooks have nothing to do.
 * The hooks themselves keep the pointers that they have.
 *
 * dl_iterate_phdr holds the loader's lock over its list, so nothing that is looked at goes away meanwhile.
 * Not reached: a libc in a namespace of its own (dlmopen), which has its own errno and memory that our hooks know nothing of; and
 * before glibc 2.34 a libpthread or libresolv that only comes with the library.
 * musl knows no RTLD_DEEPBIND, but has handles.
 */
#include "tsproxy/rebind.h"

#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "tsproxy/guard.h"
#include "tsproxy/log.h"
#include "tsproxy/scratch.h"
#include "tsproxy/symbols.h"
#include "tsproxy/sys.h"

#pragma weak dl_iterate_phdr

#define PARTS 8				/* of glibc: there are five */
#define TRIES 8

struct part {
	struct ts_symbols symbols;
	int prot;	/* of its symbol table's memory */
};

/* What one walk over the loaded objects finds. */
struct walk {
	unsigned long long unloaded;	/* how many objects had been, at that time */
	bool behind, past_libc;		/* ours has been passed, and libc */
	unsigned kin_count, part_count;
	struct ts_rebind_range kin[TS_REBIND_KIN + 1];
	struct part part[PARTS];
	void *hook[TS_REBIND_ROWS];
	bool shared[TS_REBIND_ROWS];	/* one of the kin defines it */
};

/* The rows' names in their order, each ended by a null byte. */
static const char names[] =
#define TS_HOOK(result, name, params) #name "\0"
#define TS_HOOK_RARE TS_HOOK
#include "hooks.def"
;

struct ts_rebind_range ts_rebind_kin[TS_REBIND_KIN + 1];
void *ts_rebind_hook[TS_REBIND_ROWS];
void *ts_rebind_real[TS_REBIND_ROWS];

static int begun, rebound;

static bool is_glibc(const char *soname)
{
	static const char parts[] = "libc.so.6\0libpthread.so.0\0libresolv.so.2\0libanl.so.1\0libdl.so.2\0";

	for (const char *part = parts; *part; part += strlen(part) + 1)
		if (strcmp(part, soname) == 0)
			return true;
	return false;
}

/* musl is one object, whose name differs between distributions, and may be none. */
static bool is_musl(const struct ts_symbols *o)
{
	return !is_glibc(o->soname) && ts_symbols_find(o, "__libc_start_main") && ts_symbols_find(o, "__errno_location");
}

/* What an object defines of our names; returns how many. `found` has room for all. */
static unsigned definitions(const struct ts_symbols *o, void *found[TS_REBIND_ROWS])
{
	const char *name = names;
	unsigned n = 0;

	for (size_t i = 0; i < TS_REBIND_ROWS; i++, name += strlen(name) + 1)
		n += (found[i] = ts_symbols_find(o, name)) != NULL;
	return n;
}

static const ElfW(Dyn) *dynamic_of(const struct dl_phdr_info *info)
{
	for (size_t i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			return (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
	return NULL;
}

static void add_kin(struct walk *w, const struct dl_phdr_info *info)
{
	struct ts_rebind_range *k = &w->kin[w->kin_count++];
	unsigned long end = 0;

	k->start = ~0ul;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type != PT_LOAD)
			continue;
		if (info->dlpi_addr + p->p_vaddr < k->start)
			k->start = info->dlpi_addr + p->p_vaddr;
		if (info->dlpi_addr + p->p_vaddr + p->p_memsz > end)
			end = info->dlpi_addr + p->p_vaddr + p->p_memsz;
	}
	k->len = end - k->start;
}

static void add_part(struct walk *w, const struct dl_phdr_info *info, const struct ts_symbols *o)
{
	struct part *part = &w->part[w->part_count++];

	part->symbols = *o;
	part->prot = PROT_READ;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && (ElfW(Addr))o->sym - info->dlpi_addr - p->p_vaddr < p->p_memsz && p->p_flags & PF_X)
			part->prot |= PROT_EXEC;
	}
}

/* For each object, in the order in which RTLD_NEXT goes through them. */
static int look(struct dl_phdr_info *info, size_t size, void *arg)
{
	const ElfW(Dyn) *dynamic = dynamic_of(info);
	void *found[TS_REBIND_ROWS];
	struct walk *w = arg;
	struct ts_symbols o;

	(void)size;
	w->unloaded = info->dlpi_subs;
	if (!ts_symbols_read(info->dlpi_addr, dynamic, &o))
		return 0;
	if (dynamic == _DYNAMIC) {
		w->behind = true;
		definitions(&o, w->hook);
		add_kin(w, info);
	} else if (w->behind && (is_glibc(o.soname) || is_musl(&o)) && w->part_count < PARTS) {
		w->past_libc |= is_musl(&o) || strcmp(o.soname, "libc.so.6") == 0;
		add_part(w, info, &o);
	} else if (w->behind && !w->past_libc && definitions(&o, found)) {
		if (w->kin_count == TS_REBIND_KIN)
			return 1;
		add_kin(w, info);
		for (size_t i = 0; i < TS_REBIND_ROWS; i++)
			w->shared[i] |= found[i] != NULL;
	}
	return 0;
}

/* What the pages of one table hold that is to change. */
struct span {
	unsigned long from, to;
	unsigned count;
};

/*
 * The entries of one table that are to change: of each of our names the default version, and others that are the same function.
 * Measures where they lie, or (`span` null) changes them.
 */
static void each_entry(const struct walk *w, const struct ts_symbols *o, struct span *span)
{
	const char *name = names;

	for (size_t row = 0; row < TS_REBIND_ROWS; row++, name += strlen(name) + 1) {
		void *real = ts_symbols_find(o, name);
		const void *to = w->shared[row] ? ts_rebind_entrances + row * TS_REBIND_STEP : w->hook[row];

		if (!real || !w->hook[row] || row == TS_REBIND_ROW_dlopen || row == TS_REBIND_ROW_dlmopen)
			continue;
		if (!ts_rebind_real[row])
			ts_rebind_real[row] = real;
		for (uint32_t i = 0; (i = ts_symbols_next(o, name, i)) != 0;) {
			const ElfW(Sym) *sym = &o->sym[i];

			if ((void *)(o->base + sym->st_value) != real)
				continue;
			if (!span) {
				__atomic_store_n((ElfW(Addr) *)&sym->st_value, (ElfW(Addr))to - o->base, __ATOMIC_RELEASE);
				continue;
			}
			span->from = (unsigned long)sym < span->from ? (unsigned long)sym : span->from;
			span->to = (unsigned long)(sym + 1) > span->to ? (unsigned long)(sym + 1) : span->to;
			span->count++;
		}
	}
}

static void redirect(const struct walk *w, const struct part *part)
{
	unsigned long page = getauxval(AT_PAGESZ), from, len;
	struct span span = { .from = ~0ul };
	long r;

	each_entry(w, &part->symbols, &span);
	if (span.count == 0)
		return;
	from = span.from & -page;
	len = ((span.to + page - 1) & -page) - from;
	r = ts_sys(SYS_mprotect, from, len, part->prot | PROT_WRITE);
	if (r < 0) {
		ts_debug("calls from RTLD_DEEPBIND libraries to %s are not hooked: %e", part->symbols.soname, (int)-r);
		return;
	}
	each_entry(w, &part->symbols, NULL);
	/* A sandbox may forbid to make anything executable; then the table, which holds no code, stays not executable. */
	if (ts_sys(SYS_mprotect, from, len, part->prot) < 0)
		ts_sys(SYS_mprotect, from, len, PROT_READ);
	ts_debug("%s: %u functions hooked for RTLD_DEEPBIND libraries", part->symbols.soname, span.count);
}

/* For the first object alone: what matters is that nothing is unloaded as long as this runs, and that nothing was since the walk. */
static int apply(struct dl_phdr_info *info, size_t size, void *arg)
{
	const struct walk *w = arg;

	(void)size;
	if (info->dlpi_subs != w->unloaded)
		return 1;
	if (__sync_bool_compare_and_swap(&begun, 0, 1)) {
		memcpy(ts_rebind_kin, w->kin, sizeof(w->kin));
		memcpy(ts_rebind_hook, w->hook, sizeof(w->hook));
		for (unsigned i = 0; i < w->part_count; i++)
			redirect(w, &w->part[i]);
		__atomic_store_n(&rebound, 1, __ATOMIC_RELEASE);
	}
	return 1;
}

void ts_rebind_libc(void)
{
	struct walk *w;

	if (!dl_iterate_phdr || !ts_enabled())
		return;
	ts_real();	/* before libc's own table says something else */
	w = ts_scratch_get(sizeof(*w));
	for (unsigned i = 0; w && i < TRIES && !__atomic_load_n(&rebound, __ATOMIC_ACQUIRE); i++) {
		memset(w, 0, sizeof(*w));
		if (dl_iterate_phdr(look, w) != 0 || !w->behind)
			break;
		dl_iterate_phdr(apply, w);
	}
	ts_scratch_put(w, sizeof(*w));
}

void *ts_rebind_original(void *function)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	for (size_t row = 0; function && row < TS_REBIND_ROWS; row++)
		if (function == ts_rebind_hook[row])
			return ts_rebind_real[row];
	return function;
}
