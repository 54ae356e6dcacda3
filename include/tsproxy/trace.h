/* SPDX-License-Identifier: MIT */
/*
 * Telling `tsproxy trace` of connections: a line each when it is decided and when it is closed, in this form, "-" where there is no
 * such thing. Times are in microseconds but for WHEN, which is CLOCK_REALTIME in milliseconds.
 *
 *   open PID WHEN TARGET NAME VIA PROXY TOOK ERRNO		via: socks5, http, none (denied) or direct (not ours)
 *   close PID WHEN TARGET NAME SENT RECEIVED LASTED
 *
 * All but ts_trace_on (log.h) is asked only where that is set. Nothing here takes a lock; errno is kept.
 */
#ifndef TSPROXY_TRACE_H
#define TSPROXY_TRACE_H

#include <stdint.h>
#include <sys/socket.h>

#include "tsproxy/flow.h"
#include "tsproxy/log.h"

/* The flow is connected, its descriptors' flags still known. Under ts_fdtab_lock. */
void ts_trace_connected(const struct ts_flow *f, int fd);
/* The flow failed, or was given up by its program. Under ts_fdtab_lock. */
void ts_trace_failed(const struct ts_flow *f, int err);
/* A connect to an address that is ours was refused before there was a flow. */
void ts_trace_denied(const struct ts_addr *to, int err);
/* A connect on a stream socket that is not ours: its result. */
void ts_trace_direct(int fd, const struct sockaddr *sa, socklen_t len, int err);
/* Before `fd` is closed: where it is the last one of a traced connection that this process made, tells its end. */
void ts_trace_closing(int fd);
void ts_trace_duplicated(int from, int to);
/* The process ends: all of its traced connections do, as far as it knows. */
void ts_trace_ending(void);
/* In a new program: connections that it was handed over are its own. */
void ts_trace_arrive(void);

#endif
