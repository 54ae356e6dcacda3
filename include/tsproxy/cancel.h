/* SPDX-License-Identifier: MIT */
/* A call of ours that waits, as libc's own does: its thread may be cancelled meanwhile, and what it holds is given back then. */
#ifndef TSPROXY_CANCEL_H
#define TSPROXY_CANCEL_H

#include <stdbool.h>
#include <stddef.h>

/* Runs body(arg). Where the thread is cancelled in it, cleanup(arg) is run; else it is not. */
void ts_cancel_guarded(void (*body)(void *arg), void (*cleanup)(void *arg), void *arg);

/*
 * Runs body(memory, arg) with so many bytes of scratch memory, which is given back afterwards, and where the thread is cancelled. False: there
 * is no memory.
 */
bool ts_cancel_scratch(size_t bytes, void (*body)(void *memory, void *arg), void *arg);

#endif
