/* SPDX-License-Identifier: MIT */
/* What an ELF file says about how it will start. */
#ifndef TSPROXY_CLI_ELF_H
#define TSPROXY_CLI_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ts_elf {
	bool foreign;	/* of another class or machine than this launcher, so than libtsproxy.so */
	bool dynamic;	/* names a program interpreter: the loader, which honours LD_PRELOAD, starts it */
	bool go;	/* made by the Go toolchain */
};

/*
 * Reads the file behind `fd`, whose first `n` bytes are at `head` (at least 4: the magic). Whatever the
 * file says of itself is bounded; 0, or -ENOEXEC where it is no ELF file that the kernel would take.
 */
int ts_elf_inspect(int fd, const uint8_t *head, size_t n, struct ts_elf *out);

#endif
