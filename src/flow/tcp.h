/* SPDX-License-Identifier: MIT */
/* Between tcp.c (how a connect begins and is waited for) and tcp_drive.c (how it advances and ends). ts_fdtab_lock is held throughout. */
#ifndef TSPROXY_FLOW_TCP_H
#define TSPROXY_FLOW_TCP_H

#include "tsproxy/fdtab.h"

/* Whether another thread's connect is in charge of the flow: it reads the answer, others must leave it there. */
bool ts_drive_has_driver(struct ts_flow *f);
/* Advances as far as possible without blocking. Afterwards `f` may be gone: 1 still pending, 0 over (ts_flow_of says whether FAILED stays). */
int ts_drive(struct ts_flow *f, int fd);
/* Sends what the handshake has to send. False where the proxy is gone. */
bool ts_drive_send(struct ts_flow *f, int fd);
/* The kernel's connect stands: says the first words, registrations wait for the answer from here on. */
bool ts_drive_begin(struct ts_flow *f, int fd);
/*
 * Reads the proxy's answer. 1 pending, 0 decided (`f->hs.state`), without ending the flow. `blocking`: the caller goes on to wait in
 * recv, so nothing need be armed while no byte is there.
 */
int ts_drive_receive(struct ts_flow *f, int fd, bool blocking);
/* Ends a decided flow: socket options, registrations, identity; the flow is freed. Returns 0 or the positive errno it failed with. */
int ts_drive_finish_connected(struct ts_flow *f, int fd);
/* `blocking`: connect itself reports the error, so the kernel must not keep it. */
int ts_drive_finish_failed(struct ts_flow *f, int fd, int err, bool blocking);
/* The errno that the handshake's failure means. */
int ts_drive_errno(const struct ts_flow *f);
/* Makes the kernel withhold readiness until the rest of the answer is there. */
void ts_drive_arm(struct ts_flow *f, int fd, const uint8_t *p, size_t have);

#endif
