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

/*
 * Makes all streams of files, now and later, use `ours`; `*libc`: what they used, filled in before that. Once a process. False
 * where this libc's cannot be made to.
 */
bool ts_streams_take(const struct ts_streams *ours, struct ts_streams *libc);

#endif
