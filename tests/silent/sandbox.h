/* SPDX-License-Identifier: MIT */
/* Ways into a sandbox in which every system call that comes out of libtsproxy.so is fatal, and every other is allowed. */
#ifndef SILENT_SANDBOX_H
#define SILENT_SANDBOX_H

#include <stdbool.h>

/*
 * prctl; seccomp: by its number; tsync: for all threads, set by another than the caller; thread: the filter is for another thread alone;
 * trap: a call is not fatal but raises SIGSYS, whose handler says which it was and goes on. False: there is no such way.
 */
bool sandbox_enter(const char *way);

#endif
