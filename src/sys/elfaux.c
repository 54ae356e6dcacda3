/* SPDX-License-Identifier: MIT */
/*
 * The program's own headers (AT_PHDR, getauxval(3)) lead to its dynamic section, whose DT_DEBUG the loader has pointed at the list
 * of loaded objects: the way debuggers take, the same under glibc and musl, without a symbol of either.
 */
#include "tsproxy/elfaux.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

struct program {
	const ElfW(Phdr) *phdr;
	size_t count;
	ElfW(Addr) bias;
};

static bool program_headers(struct program *p)
{
	p->phdr = (const void *)getauxval(AT_PHDR);
	p->count = getauxval(AT_PHNUM);
	p->bias = 0;
	if (!p->phdr)
		return false;
	for (size_t i = 0; i < p->count; i++)
		if (p->phdr[i].p_type == PT_PHDR)
			p->bias = (ElfW(Addr))p->phdr - p->phdr[i].p_vaddr;
	return true;
}

const struct link_map *ts_link_map_self(void)
{
	const struct r_debug *debug = NULL;
	const struct link_map *m;
	struct program p;

	if (!program_headers(&p))
		return NULL;
	for (size_t i = 0; i < p.count; i++) {
		if (p.phdr[i].p_type != PT_DYNAMIC)
			continue;
		for (const ElfW(Dyn) *d = (const void *)(p.bias + p.phdr[i].p_vaddr); d->d_tag != DT_NULL; d++)
			if (d->d_tag == DT_DEBUG)
				debug = (const void *)d->d_un.d_ptr;
	}
	if (!debug)
		return NULL;
	for (m = debug->r_map; m && m->l_ld != _DYNAMIC; m = m->l_next)
		;
	return m;
}

bool ts_program_has_go_note(void)
{
	struct program p;

	if (!program_headers(&p))
		return false;
	for (size_t i = 0; i < p.count; i++) {
		const uint8_t *note = (const void *)(p.bias + p.phdr[i].p_vaddr);
		size_t left = p.phdr[i].p_memsz;

		if (p.phdr[i].p_type != PT_NOTE)
			continue;
		while (left >= sizeof(ElfW(Nhdr)) + 4) {
			ElfW(Nhdr) n;
			size_t len;

			memcpy(&n, note, sizeof(n));
			if (n.n_namesz == 4 && memcmp(note + sizeof(n), "Go\0", 4) == 0)
				return true;
			len = sizeof(n) + ((n.n_namesz + 3) & ~3ul) + ((n.n_descsz + 3) & ~3ul);
			if (len > left)
				break;
			note += len;
			left -= len;
		}
	}
	return false;
}
