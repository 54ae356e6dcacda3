/* SPDX-License-Identifier: MIT */
/* What libc's streams (FILE) read and write with. */
#ifndef TSPROXY_STREAMS_H
#define TSPROXY_STREAMS_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct ts_streams {
	ssize_t (*read)(FILE *f, void *to, ssize_t len);		/* a length, or -1 and errno */
	ssize_t (*write)(FILE *f, const void *from, ssize_t len);	/* how much, all but where an error was noted in `f` */
};

/* At the start of the process: what streams shall use once they are taken. It is kept, not copied. */
void ts_streams_offer(const struct ts_streams *ours);
/*
 * Makes all streams of files, now and later, read and write sockets of ours as the hooks do, where that can be done. Once a process; with
 * ts_fdtab_lock held.
 */
void ts_streams_take(void);
extern struct ts_streams ts_streams_libc;	/* what they used before; set before they are taken */
extern _Atomic bool ts_streams_taken;
/* A socket that was not connected yet got a stream: with the first connect through a proxy streams are to be taken. */
extern _Atomic bool ts_streams_wanted;

#endif
