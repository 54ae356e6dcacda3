/* SPDX-License-Identifier: MIT */
/*
 * Between the parts of one connect: tcp_connect.c (how it begins), tcp_wait.c (how it is waited for), tcp_drive.c (how it advances and ends),
 * tcp_ops.c (what else happens to it). ts_fdtab_lock is held where nothing else is said.
 */
#ifndef TSPROXY_FLOW_TCP_H
#define TSPROXY_FLOW_TCP_H

#include <errno.h>

#include "../fd/sock.h"
#include "tsproxy/flow.h"
#include "tsproxy/sys.h"

/* Whether another thread's connect is in charge of the flow: it reads the answer, others must leave it there. */
bool ts_drive_has_driver(struct ts_flow *f);
/* Advances as far as possible without blocking. Afterwards `f` may be gone: 1 still pending, 0 over (ts_flow_of says whether FAILED stays). */
int ts_drive(struct ts_flow *f, int fd);
/* Sends what the handshake has to send. False where it failed. */
bool ts_drive_send(struct ts_flow *f, int fd);
/* The kernel's connect stands: says the first words, registrations wait for the answer from here on. */
bool ts_drive_begin(struct ts_flow *f, int fd);
enum ts_step {
	TS_STEP_CHECK,		/* for whoever happens to look: not where a thread is in charge */
	TS_STEP_WAIT,		/* for the thread in charge, which waits in recv: nothing need be armed while no byte is there */
	TS_STEP_CONNECT,	/* likewise; connect itself reports a failure, so the kernel must not keep it */
};
/* The start of the unread bytes; all of them, where `n` is less than was asked for. */
struct ts_seen {
	const uint8_t *p;
	long n;
};
/*
 * Advances the flow; ends it where it is decided. 1 pending; 0 over: `*err` is 0 or the positive errno it failed with; -1: it was over
 * already, by another process. But for 1, `f` may be gone afterwards.
 */
int ts_drive_step(struct ts_flow *f, int fd, enum ts_step how, const struct ts_seen *seen, int *err);
/* The errno that the handshake's failure means. */
int ts_drive_errno(const struct ts_flow *f);
/* Makes the kernel withhold readiness until the rest of the answer is there. */
void ts_drive_arm(struct ts_flow *f, int fd, const uint8_t *p, size_t have);
/* For who waits in recv: any byte ends the wait. A signal would get no EINTR from a recv that has part of what it waits for. */
void ts_drive_relax(struct ts_flow *f, int fd);
/* Forgets a flow whose connect to the proxy failed; the kernel's registrations are the program's again. Without the lock. */
void ts_tcp_cancel(int fd, int err);

/* --- handoff.c --- */

/* ts_handoff_publish from a vfork child, without ts_fdtab_lock. True where the flow is not over. */
bool ts_handoff_publish_borrowed(struct ts_flow *f, int fd);

/* --- tcp_wait.c; without the lock --- */

#define TS_NO_TIMEOUT 0	/* for `option`: the descriptor is known to have none */

/*
 * Waits on a pending flow whose descriptor blocks; `option` as in ts_tcp_settle. 0: connected, nothing to wait for, or failed and not
 * `in_connect`. Else -errno: the connection's error, or -EINTR or -EAGAIN (time-out), with the flow left pending.
 */
int ts_tcp_wait(int fd, int option, bool in_connect);
/* The flow that a thread waits on, which may be over, and its slot in use again, when the thread wakes. */
struct ts_waited {
	const struct ts_flow *f;
	uint32_t gen;
};
/* The same for a thread that is in charge of the flow already. */
int ts_tcp_wait_in_charge(int fd, const struct ts_waited *w, int option, bool in_connect);
/*
 * Hands the kernel the connect to the proxy, then says the first words. 0, or -errno; -EINPROGRESS and -EINTR: it goes on by itself.
 * `stay`, where given: after 0 this thread remains in charge, to wait for the answer. `flags` as in ts_tcp_connect.
 */
int ts_tcp_reach_proxy(int fd, const struct ts_addr *proxy, int family, int flags, struct ts_waited *stay);
/* A connect that does not wait even where the descriptor blocks. What the kernel says, -errno. */
int ts_tcp_begin_connect(int fd, const struct sockaddr_storage *sa, socklen_t len);
/*
 * What a call of ours that failed on the way to the proxy means to the program, -errno for -errno. A proxy that ends the connection: for the
 * program, nobody listens there. EAGAIN is want of memory where it does not mean to wait.
 */
static inline int ts_tcp_meaning(int err)
{
	if (err == -ECONNRESET || err == -EPIPE)
		return -ECONNREFUSED;
	return err == -EAGAIN ? -ENOBUFS : err;
}

/* --- renew.c; without the lock --- */

/*
 * Puts another socket in the place of one that is bound and not connected: with the same options and registrations, and without its local
 * port, which it remembers (identity.h). False where that cannot be done, and nothing is changed.
 */
bool ts_renew(int fd);

#endif
