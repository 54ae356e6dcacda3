/* SPDX-License-Identifier: MIT */
/* Standard I/O on what is carried: libc reads and writes by itself, past the hooks. */
#ifndef TSPROXY_STREAM_IO_H
#define TSPROXY_STREAM_IO_H

#include <stdbool.h>

/*
 * Makes libc's streams, those that there are and those to come, read and write sockets of ours as the hooks do, where that can be
 * done (streams.h). Once a process. With ts_fdtab_lock held.
 */
void ts_stream_io_take(void);
extern _Atomic bool ts_stream_io_taken;
/* A socket that was not connected yet got a stream: with the first connect through a proxy streams are to be taken. */
extern _Atomic bool ts_stream_io_wanted;

#endif
