/* SPDX-License-Identifier: MIT */
/* What the kernel and the loader left in memory about this process: program headers, loaded objects. */
#ifndef TSPROXY_ELFAUX_H
#define TSPROXY_ELFAUX_H

#include <link.h>
#include <stdbool.h>

/* This object's entry in the loader's list (the next definitions follow it), or null where the list cannot be found. */
const struct link_map *ts_link_map_self(void);
/* The program was made by the Go toolchain: its build ID note says so (owner "Go", cmd/link). */
bool ts_program_has_go_note(void);

#endif
