/* SPDX-License-Identifier: MIT */
/*
 * A flow may be completed by another thread, which consumes the answer that this one waits for: an eventfd, which exists only during the
 * wait, wakes it (ts_wait_wake). Without ts_fdtab_lock.
 */
#ifndef TSPROXY_FLOW_WAKER_H
#define TSPROXY_FLOW_WAKER_H

/* A slot with a descriptor that becomes readable when a flow ends; -1: none to be had. */
int ts_waker_open(void);
void ts_waker_close(int waker);
/* Its descriptor; -1 for -1, and where the program closed it. */
int ts_waker_fd(int waker);

#endif
