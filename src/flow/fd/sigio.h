/* SPDX-License-Identifier: MIT */
/* Signals of a socket with O_ASYNC (fcntl(2), F_SETOWN), while what happens on it is not the program's to know. Without ts_fdtab_lock. */
#ifndef TSPROXY_FLOW_SIGIO_H
#define TSPROXY_FLOW_SIGIO_H

#include <fcntl.h>
#include <stdbool.h>

struct ts_sigio {
	bool held;
	struct f_owner_ex owner;
};
/* Keeps the kernel from signalling the program, where `file_flags` (F_GETFL) say that it would. */
void ts_sigio_hold(int fd, long file_flags, struct ts_sigio *s);
/* Lets it again. `tell`: what the program waits for happened meanwhile. */
void ts_sigio_release(int fd, const struct ts_sigio *s, bool tell);

#endif
