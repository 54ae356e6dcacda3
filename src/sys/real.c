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
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

#include "tsproxy/elfaux.h"
#include "tsproxy/guard.h"
#include "tsproxy/sys.h"

struct ts_real ts_real_table;
int ts_real_ready;
void *ts_real_syscall;

/* Names in the order of struct ts_real's members, as one string of strings: an array of pointers would cost relocations at every start. */
static const char names[] =
#define TS_HOOK(result, name, params) #name "\0"
#include "hooks.def"
#undef TS_HOOK
	"clock_gettime\0"
	"__idna_to_dns_encoding\0"
	"__idna_from_dns_encoding\0";

#define COUNT (sizeof(struct ts_real) / sizeof(void *))

/* Weak: static programs and odd loaders lack them. */
#pragma weak dlsym
#pragma weak dlopen

/* One loaded object's symbol tables. */
struct symbols {
	ElfW(Addr) base;
	const ElfW(Sym) *sym;
	const char *str;
	const uint32_t *gnu;
	const uint32_t *sysv;
	const ElfW(Half) *versym;
};

/* glibc relocates these pointers in place, musl (and glibc for the vDSO) does not. */
static const void *relocated(const struct link_map *m, ElfW(Addr) p)
{
	return (const void *)(p < m->l_addr ? m->l_addr + p : p);
}

static bool read_symbols(const struct link_map *m, struct symbols *out)
{
	memset(out, 0, sizeof(*out));
	out->base = m->l_addr;
	for (const ElfW(Dyn) *d = m->l_ld; d && d->d_tag != DT_NULL; d++) {
		const void *p = relocated(m, d->d_un.d_ptr);

		switch (d->d_tag) {
		case DT_SYMTAB:
			out->sym = p;
			break;
		case DT_STRTAB:
			out->str = p;
			break;
		case DT_GNU_HASH:
			out->gnu = p;
			break;
		case DT_HASH:
			out->sysv = p;
			break;
		case DT_VERSYM:
			out->versym = p;
			break;
		}
	}
	return out->sym && out->str && (out->gnu || out->sysv);
}

static uint32_t gnu_hash(const char *s)
{
	uint32_t h = 5381;

	while (*s)
		h = h * 33 + (uint8_t)*s++;
	return h;
}

/* The function that symbol `i` stands for, or null where it is undefined, not a function or a hidden (old) version of it. */
static void *symbol_value(const struct symbols *o, uint32_t i, const char *name)
{
	const ElfW(Sym) *s = &o->sym[i];
	unsigned type = ELF64_ST_TYPE(s->st_info);

	if (s->st_shndx == SHN_UNDEF || s->st_value == 0 || (type != STT_FUNC && type != STT_GNU_IFUNC))
		return NULL;
	if (o->versym && o->versym[i] & 0x8000)
		return NULL;
	if (strcmp(o->str + s->st_name, name) != 0)
		return NULL;
	if (type == STT_GNU_IFUNC)
		return ((void *(*)(unsigned long))(o->base + s->st_value))(getauxval(AT_HWCAP));
	return (void *)(o->base + s->st_value);
}

static void *find_gnu(const struct symbols *o, const char *name, uint32_t hash)
{
	uint32_t nbuckets = o->gnu[0], offset = o->gnu[1], bloom_size = o->gnu[2], shift = o->gnu[3];
	const ElfW(Addr) *bloom = (const void *)&o->gnu[4];
	const uint32_t *buckets = (const void *)&bloom[bloom_size];
	const uint32_t *chain = &buckets[nbuckets];
	const unsigned bits = 8 * sizeof(ElfW(Addr));
	ElfW(Addr) word = bloom[hash / bits % bloom_size];
	uint32_t i;

	if (!(word >> hash % bits & 1) || !(word >> (hash >> shift) % bits & 1))
		return NULL;
	for (i = buckets[hash % nbuckets]; i >= offset && i != 0; i++) {
		uint32_t h = chain[i - offset];
		void *p;

		if ((h | 1) == (hash | 1) && (p = symbol_value(o, i, name)))
			return p;
		if (h & 1)
			break;
	}
	return NULL;
}

static void *find_sysv(const struct symbols *o, const char *name)
{
	uint32_t h = 0;

	for (const char *s = name; *s; s++) {
		h = (h << 4) + (uint8_t)*s;
		h ^= h >> 24 & 0xf0;
	}
	h &= 0x0fffffff;
	for (uint32_t i = o->sysv[2 + h % o->sysv[0]]; i; i = o->sysv[2 + o->sysv[0] + i]) {
		void *p = symbol_value(o, i, name);

		if (p)
			return p;
	}
	return NULL;
}

/* Fills what is still null in `found` from one object. Returns how many stay null. */
static size_t search(const struct symbols *o, void *found[COUNT])
{
	const char *name = names;
	size_t missing = 0;

	for (size_t i = 0; i < COUNT; i++, name += strlen(name) + 1) {
		if (found[i])
			continue;
		found[i] = o->gnu ? find_gnu(o, name, gnu_hash(name)) : find_sysv(o, name);
		missing += !found[i];
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
	void *handle = dlopen && dlsym ? dlopen(library, RTLD_LAZY | RTLD_NOLOAD) : NULL;

	return handle ? dlsym(handle, name) : NULL;
}

static void missing_closefrom(int first)
{
	ts_sys(SYS_close_range, first, ~0u, 0);
}

void ts_real_resolve(void)
{
	void *found[COUNT] = { 0 };
	void **table = (void **)&ts_real_table;
	const char *name = names;

	for (const struct link_map *m = ts_link_map_self(); m; m = m->l_next) {
		struct symbols o;

		if (m->l_ld == _DYNAMIC || !read_symbols(m, &o))
			continue;
		if (search(&o, found) == 0)
			break;
	}
	for (size_t i = 0; i < COUNT; i++, name += strlen(name) + 1) {
		if (!found[i] && !found[0] && dlsym)
			found[i] = dlsym((void *)-1l /* RTLD_NEXT */, name);
		if (!found[i])
			found[i] = strcmp(name, "closefrom") == 0 ? (void *)missing_closefrom : (void *)missing;
		__atomic_store_n(&table[i], found[i], __ATOMIC_RELAXED);
	}
	__atomic_store_n(&ts_real_syscall, (void *)ts_real_table.syscall, __ATOMIC_RELAXED);
	__atomic_store_n(&ts_real_ready, 1, __ATOMIC_RELEASE);
}
