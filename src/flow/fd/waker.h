/* SPDX-License-Identifier: MIT */
/*
 * A flow may be completed by another thread, which consumes the answer that this one waits for: an eventfd, which exists only during the
 * wait, wakes it (ts_waker_wake). Without ts_fdtab_lock unless said otherwise.
 */
#ifndef TSPROXY_FLOW_WAKER_H
#define TSPROXY_FLOW_WAKER_H

#include <stdbool.h>

#define TS_UNWOKEN_MS 10	/* how long a wait is at a time where another process may end the flow, or no waker is to be had */

/* A slot with a descriptor that becomes readable when a flow ends; -1: none to be had. */
int ts_waker_open(void);
void ts_waker_close(int waker);
/* Its descriptor; -1 for -1, and where the program closed it. */
int ts_waker_fd(int waker);
/* What poll said of it, in `revents`. True where a flow ended. One that the program closed is given back, and `*waker` is -1. */
bool ts_waker_heard(int *waker, short revents);
/* A flow ended: whoever waits for it in another thread looks again. With ts_fdtab_lock. */
void ts_waker_wake(void);
/* The program closes or replaces a descriptor that is a waiting thread's eventfd. With ts_fdtab_lock. */
void ts_waker_forget(int fd);

#endif
