/* SPDX-License-Identifier: MIT */
/* A loaded object's own symbol tables, read without the loader. Async-signal-safe. */
#ifndef TSPROXY_SYMBOLS_H
#define TSPROXY_SYMBOLS_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

struct ts_symbols {
	ElfW(Addr) base;
	ElfW(Sym) *sym;
	const char *str;
	const char *soname;	/* "" without */
	const uint32_t *gnu;
	const uint32_t *sysv;
	const ElfW(Half) *versym;
};

/* False where the object has no table that names could be looked up in. */
bool ts_symbols_read(ElfW(Addr) base, const ElfW(Dyn) *dynamic, struct ts_symbols *out);
/* The next definition of function `name` behind the one with number `last`, of whatever version; 0 begins, 0 says that there is none. */
uint32_t ts_symbols_next(const struct ts_symbols *o, const char *name, uint32_t last);
/* The default version of function `name`; null where the object does not define it. */
void *ts_symbols_find(const struct ts_symbols *o, const char *name);
/* The same for a variable. */
const ElfW(Sym) *ts_symbols_object(const struct ts_symbols *o, const char *name);

#endif
