/* SPDX-License-Identifier: MIT */
/* What the kernel and the loader left in memory about this process: program headers, loaded objects. */
#ifndef TSPROXY_ELFAUX_H
#define TSPROXY_ELFAUX_H

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#if defined(__x86_64__)
#define TS_OWN_MACHINE EM_X86_64
#else
#define TS_OWN_MACHINE EM_AARCH64
#endif

/* This object's entry in the loader's list (the next definitions follow it), or null where the list cannot be found. */
const struct link_map *ts_link_map_self(void);
/* The program was made by the Go toolchain: its build ID note says so (owner "Go", cmd/link). */
bool ts_program_has_go_note(void);

/* Whether the ELF header at `head`, of which e_machine is there at least, is of the class and machine that this object was built for. */
static inline bool ts_elf_is_own(const void *head)
{
	Elf64_Half machine;	/* it lies at the same place in both classes */

	memcpy(&machine, (const unsigned char *)head + offsetof(Elf64_Ehdr, e_machine), sizeof(machine));
	return ((const unsigned char *)head)[EI_CLASS] == ELFCLASS64 && ((const unsigned char *)head)[EI_DATA] == ELFDATA2LSB &&
	       machine == TS_OWN_MACHINE;
}

#endif
