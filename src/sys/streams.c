/* SPDX-License-Identifier: MIT */
/*
 * libc's streams call its own read and write, not the exported functions: no hook is asked. glibc's do so through a table, one for streams
 * of bytes and one for wide characters, whose exported names (_IO_file_jumps, _IO_wfile_jumps) and those of the two functions
 * (_IO_file_read, _IO_file_write) it keeps for old programs. glibc ends a process in which a stream has a table that is not its own, but
 * what stands in these it does not ask. So the two entries in each are exchanged, in this process's memory; the loader made it read-only
 * (RELRO), and so it is again afterwards. One word an entry is written, so who calls at that moment gets the one or the other.
 *
 * What could be done instead: a stream of fopencookie(3) in fdopen's place has other buffers, reads large pieces otherwise, knows no wide
 * characters, and the standard streams stay what they are.
 *
 * An entry is found by what it holds, so where anything is not as it should be, nothing is changed. musl has pointers in each
 * stream instead, in a structure of its own that no name leads to.
 */
#include "tsproxy/streams.h"

#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "tsproxy/elfaux.h"
#include "tsproxy/log.h"
#include "tsproxy/symbols.h"
#include "tsproxy/sys.h"

#define TABLES 2
#define ENTRIES_MAX 64	/* of a table; there are 21 */

struct ts_streams ts_streams_libc;
_Atomic bool ts_streams_taken, ts_streams_wanted;
TS_EVERY_START static const struct ts_streams *offered;

struct table {
	void **read, **write;
};

static void **entry_of(const ElfW(Sym) *table, ElfW(Addr) base, const void *function)
{
	void **at = (void **)(base + table->st_value);

	for (size_t i = 0; i < table->st_size / sizeof(void *) && i < ENTRIES_MAX; i++)
		if (at[i] == function)
			return &at[i];
	return NULL;
}

static bool find(const struct ts_symbols *o, struct table out[TABLES], struct ts_streams *libc)
{
	static const char *const names[TABLES] = { "_IO_file_jumps", "_IO_wfile_jumps" };
	void *read = ts_symbols_find(o, "_IO_file_read"), *write = ts_symbols_find(o, "_IO_file_write");

	for (int i = 0; i < TABLES && read && write; i++) {
		const ElfW(Sym) *table = ts_symbols_object(o, names[i]);

		if (!table || !(out[i].read = entry_of(table, o->base, read)) || !(out[i].write = entry_of(table, o->base, write)))
			return false;
	}
	libc->read = (ssize_t (*)(FILE *, void *, ssize_t))read;
	libc->write = (ssize_t (*)(FILE *, const void *, ssize_t))write;
	return read && write;
}

/* Whether the loader has made this memory read-only. */
static bool is_relro(ElfW(Addr) base, const void *at)
{
	const ElfW(Ehdr) *head = (const void *)base;
	const ElfW(Phdr) *p = (const void *)(base + head->e_phoff);

	for (int i = 0; memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 && i < head->e_phnum; i++)
		if (p[i].p_type == PT_GNU_RELRO && (ElfW(Addr))at - base - p[i].p_vaddr < p[i].p_memsz)
			return true;
	return false;
}

static bool exchange(ElfW(Addr) base, void **entry, const void *function)
{
	unsigned long page = getauxval(AT_PAGESZ), at = (unsigned long)entry & -page;
	bool relro = is_relro(base, entry);
	long r = relro ? ts_sys(SYS_mprotect, at, page, PROT_READ | PROT_WRITE) : 0;

	if (r < 0) {
		ts_debug("standard I/O streams are not hooked: %e", (int)-r);
		return false;
	}
	__atomic_store_n(entry, (void *)function, __ATOMIC_RELEASE);
	if (relro)
		ts_sys(SYS_mprotect, at, page, PROT_READ);
	return true;
}

static bool take(const struct ts_streams *ours)
{
	for (const struct link_map *m = ts_link_map_self(); m; m = m->l_next) {
		struct table t[TABLES];
		struct ts_symbols o;

		if (!ts_symbols_read(m->l_addr, m->l_ld, &o) || strcmp(o.soname, "libc.so.6") != 0)
			continue;
		if (!find(&o, t, &ts_streams_libc) || !exchange(o.base, t[0].write, (const void *)ours->write))
			return false;
		exchange(o.base, t[0].read, (const void *)ours->read);
		exchange(o.base, t[1].write, (const void *)ours->write);
		exchange(o.base, t[1].read, (const void *)ours->read);
		return true;
	}
	return false;
}

void ts_streams_offer(const struct ts_streams *ours)
{
	offered = ours;
}

void ts_streams_take(void)
{
	const struct ts_streams *ours = offered;

	offered = NULL;
	if (ours)
		ts_streams_taken = take(ours);
}
