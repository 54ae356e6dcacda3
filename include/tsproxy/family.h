/* SPDX-License-Identifier: MIT */
/*
 * What processes that are related by fork tell each other. Until one of them carries something, none of them asks the kernel about a
 * descriptor on its own account.
 */
#ifndef TSPROXY_FAMILY_H
#define TSPROXY_FAMILY_H

#include <stdbool.h>

/* In memory that they share. */
struct ts_family {
	_Atomic bool carries;	/* one of them has or had a socket of the tailnet's */
	_Atomic unsigned changes;	/* of their associations: udp_record.c */
};
extern struct ts_family *_Atomic ts_family;	/* null: this process has no relatives by fork */
extern _Atomic bool ts_carries;		/* this process has or had a socket of the tailnet's, or one that it was forked from */

/* Before a fork. Makes one system call (mmap), in the first process of a family. */
void ts_family_begin(void);
/* This process gets a socket of the tailnet's. */
void ts_family_carry(void);

/* Whether a socket that this process did not make, or that a relative has, too, may be the tailnet's. */
static inline bool ts_family_carries(void)
{
	const struct ts_family *f = ts_family;

	return ts_carries || (f && f->carries);
}

#endif
