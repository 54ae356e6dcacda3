/* SPDX-License-Identifier: MIT */
/* Looks names up in an object's DT_GNU_HASH or DT_HASH. What these tables hold was checked by nobody but who loaded the object. */
#include "tsproxy/symbols.h"

#include <elf.h>
#include <string.h>
#include <sys/auxv.h>

#define HIDDEN 0x8000	/* in a version: no reference without one means it */

/* glibc relocates these pointers in place, musl (and glibc for the vDSO) does not. */
static void *relocated(ElfW(Addr) base, ElfW(Addr) p)
{
	return (void *)(p < base ? base + p : p);
}

bool ts_symbols_read(ElfW(Addr) base, const ElfW(Dyn) *dynamic, struct ts_symbols *out)
{
	ElfW(Addr) soname = 0;

	memset(out, 0, sizeof(*out));
	out->base = base;
	for (const ElfW(Dyn) *d = dynamic; d && d->d_tag != DT_NULL; d++) {
		void *p = relocated(base, d->d_un.d_ptr);

		switch (d->d_tag) {
		case DT_SYMTAB:
			out->sym = p;
			break;
		case DT_STRTAB:
			out->str = p;
			break;
		case DT_SONAME:
			soname = d->d_un.d_val;
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
	out->soname = out->str && soname ? out->str + soname : "";
	return out->sym && out->str && (out->gnu || out->sysv);
}

static uint32_t gnu_hash(const char *s)
{
	uint32_t h = 5381;

	while (*s)
		h = h * 33 + (uint8_t)*s++;
	return h;
}

static uint32_t sysv_hash(const char *s)
{
	uint32_t h = 0;

	for (; *s; s++) {
		h = (h << 4) + (uint8_t)*s;
		h ^= h >> 24 & 0xf0;
	}
	return h & 0x0fffffff;
}

enum kind { FUNCTION, OBJECT };

static bool defines(const struct ts_symbols *o, uint32_t i, const char *name, enum kind kind)
{
	const ElfW(Sym) *s = &o->sym[i];
	unsigned type = ELF64_ST_TYPE(s->st_info);

	return s->st_shndx != SHN_UNDEF && s->st_value != 0 &&
	       (kind == OBJECT ? type == STT_OBJECT : type == STT_FUNC || type == STT_GNU_IFUNC) && strcmp(o->str + s->st_name, name) == 0;
}

static uint32_t next_gnu(const struct ts_symbols *o, const char *name, uint32_t last, enum kind kind)
{
	uint32_t nbuckets = o->gnu[0], offset = o->gnu[1], bloom_size = o->gnu[2], shift = o->gnu[3], hash = gnu_hash(name), i;
	const ElfW(Addr) *bloom = (const void *)&o->gnu[4];
	const uint32_t *buckets = (const void *)&bloom[bloom_size];
	const uint32_t *chain = &buckets[nbuckets];
	const unsigned bits = 8 * sizeof(ElfW(Addr));
	ElfW(Addr) word = bloom[hash / bits % bloom_size];

	if (!(word >> hash % bits & 1) || !(word >> (hash >> shift) % bits & 1))
		return 0;
	if (last && chain[last - offset] & 1)
		return 0;
	for (i = last ? last + 1 : buckets[hash % nbuckets]; i >= offset && i != 0; i++) {
		uint32_t h = chain[i - offset];

		if ((h | 1) == (hash | 1) && defines(o, i, name, kind))
			return i;
		if (h & 1)
			break;
	}
	return 0;
}

static uint32_t next_sysv(const struct ts_symbols *o, const char *name, uint32_t last, enum kind kind)
{
	const uint32_t *buckets = &o->sysv[2], *chain = &buckets[o->sysv[0]];
	uint32_t i;

	for (i = last ? chain[last] : buckets[sysv_hash(name) % o->sysv[0]]; i && !defines(o, i, name, kind); i = chain[i])
		;
	return i;
}

static uint32_t next(const struct ts_symbols *o, const char *name, uint32_t last, enum kind kind)
{
	return o->gnu ? next_gnu(o, name, last, kind) : next_sysv(o, name, last, kind);
}

uint32_t ts_symbols_next(const struct ts_symbols *o, const char *name, uint32_t last)
{
	return next(o, name, last, FUNCTION);
}

const ElfW(Sym) *ts_symbols_object(const struct ts_symbols *o, const char *name)
{
	uint32_t i = 0;

	while ((i = next(o, name, i, OBJECT)) != 0 && o->versym && o->versym[i] & HIDDEN)
		;
	return i ? &o->sym[i] : NULL;
}

void *ts_symbols_find(const struct ts_symbols *o, const char *name)
{
	for (uint32_t i = 0; (i = ts_symbols_next(o, name, i)) != 0;) {
		const ElfW(Sym) *s = &o->sym[i];

		if (o->versym && o->versym[i] & HIDDEN)
			continue;
		if (ELF64_ST_TYPE(s->st_info) == STT_GNU_IFUNC)
			return ((void *(*)(unsigned long))(o->base + s->st_value))(getauxval(AT_HWCAP));
		return (void *)(o->base + s->st_value);
	}
	return NULL;
}
