/* SPDX-License-Identifier: MIT */
/* A call of ours that waits, as libc's own does: its thread may be cancelled meanwhile, and what it holds is given back then. */
#ifndef TSPROXY_CANCEL_H
#define TSPROXY_CANCEL_H

/* Runs body(arg). Where the thread is cancelled in it, cleanup(arg) is run; else it is not. */
void ts_cancel_guarded(void (*body)(void *arg), void (*cleanup)(void *arg), void *arg);

#endif
