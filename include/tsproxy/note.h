/* SPDX-License-Identifier: MIT */
/*
 * 32 bytes kept in a TCP socket: identity.h and handoff.h say what. They go wherever the socket goes, over dup, fork, exec and
 * SCM_RIGHTS, and need no table, file or descriptor.
 *
 * They lie in TCP_FASTOPEN_KEY (tcp(7); 32 bytes since Linux 5.3), which matters only to fast-open listeners, can be set without privilege
 * on any TCP socket, and is not inherited by anything. Where the program has a key of its own there, they lie in a socket filter
 * that lets everything pass.
 */
#ifndef TSPROXY_NOTE_H
#define TSPROXY_NOTE_H

#include <stdbool.h>
#include <stdint.h>

#define TS_NOTE_SIZE 32
/* The first two bytes, in network order, say whose they are. */
#define TS_NOTE_IDENTITY 0x7450
#define TS_NOTE_HANDOFF 0x7451
#define TS_NOTE_VOID 0x7452

/* 0 or -errno. */
int ts_note_write(int fd, const uint8_t note[TS_NOTE_SIZE]);
/* 1; 0 there is none; -errno: the kernel did not say. */
int ts_note_read(int fd, uint8_t note[TS_NOTE_SIZE]);
/* Where it lies; a program that asks for the one or the other has none of its own there. */
bool ts_note_is_key(int fd);
bool ts_note_is_filter(int fd);
/* The program is about to set a key, or a filter, of its own. False: it cannot be had elsewhere, and the key must not be set. */
bool ts_note_leave_key(int fd);
void ts_note_leave_filter(int fd);

#endif
