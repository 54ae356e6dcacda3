/* SPDX-License-Identifier: MIT */
/*
 * Connects under way whose socket reaches another program or process: by exec, posix_spawn, SCM_RIGHTS, or a socket that was
 * open when the process forked.
 *
 * What the other side needs to go on is written into the socket itself, where later the identity stands (identity.h). From
 * then on that record is the flow's state, and the flow in each process a copy of it. Whoever wants to advance the connect takes a
 * record lock (fcntl(2), F_SETLK) on the socket: it needs no descriptor or file, keeps any two processes apart, and goes
 * with its owner. Flows that never leave their process know nothing of all this.
 *
 * How the other side learns of it: a new program by a variable in its environment, which it takes out again; a fork's two sides by
 * suspecting every socket that could be connected by the other, once either of them carries anything (family.h).
 *
 * Who receives descriptors looks at each if it, or a relative by fork, has carried something. Others mark them, and look when something is
 * asked that the kernel does not know of a carried connection. So that they need not know of a connect under way, a message to strangers
 * waits until it is decided.
 *
 * ts_fdtab_lock is held unless said otherwise.
 */
#ifndef TSPROXY_HANDOFF_H
#define TSPROXY_HANDOFF_H

#include <stdbool.h>
#include <sys/socket.h>

struct ts_flow;

/* The flow may be in others' hands from here on. Before its connect leaves, and after every step of its own: ts_handoff_store. */
void ts_handoff_publish(struct ts_flow *f, int fd);
void ts_handoff_store(struct ts_flow *f, int fd);
/* The connect was taken back. */
void ts_handoff_void(const struct ts_flow *f, int fd);

enum ts_turn {
	TS_TURN_MINE,	/* `f` is up to date; ts_handoff_leave follows */
	TS_TURN_TAKEN,	/* another process is at it this moment */
	TS_TURN_OVER,	/* another process ended it: f->state is OVER or FAILED */
};
/* With the flow's lock: asks for the turn to advance a flow that was handed off. Any other has it already. */
enum ts_turn ts_handoff_enter(struct ts_flow *f, int fd);
void ts_handoff_leave(struct ts_flow *f, int fd);
/* True where the socket has an error to tell. */
bool ts_handoff_has_error(int fd);

/* A flow for a socket whose record says that it is under way, or that it failed with an error that nobody was told yet. */
bool ts_handoff_adopt(int fd);

/* --- without the lock --- */

/* Before fork: whatever descriptor either side may connect becomes suspect in both. */
void ts_handoff_forking(void);
/*
 * Before exec: publishes what the new program will hold. True where it must be told of it (TS_HANDOFF_VARIABLE in its
 * environment). Also in a vfork child, where nothing but the flows themselves is written to. `all`: close-on-exec does
 * not count, because descriptors will be duplicated first.
 */
bool ts_handoff_exec(bool all);
/* Before and after this process becomes another program: the kernel's registrations are the program's own meanwhile. */
void ts_handoff_leaving(void);
void ts_handoff_staying(void);
#define TS_HANDOFF_VARIABLE "TSPROXY_PENDING=1"
/* At the start of a program that was told. */
void ts_handoff_arrive(void);
/*
 * A message with descriptors is about to leave by `by`; `flags` are the call's. 0, or -errno where a connect under way would have to be waited
 * for: -EAGAIN, -EINTR.
 */
int ts_handoff_sending(int by, const struct msghdr *msg, int flags);
/* One has arrived. */
void ts_handoff_received(const struct msghdr *msg);
/* Before a descriptor is asked about that came so: looks at what it is, once. Without the lock. */
void ts_handoff_look(int fd);

#endif
