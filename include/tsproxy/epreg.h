/* SPDX-License-Identifier: MIT */
/*
 * Epoll registrations of sockets that are, or may soon be, part of a flow.
 *
 * While a connection is pending, the kernel's registration is a stand-in: EPOLLIN with data that names our record (a "tag"), so
 * that epoll wakes exactly when the proxy's answer is there, and the program sees nothing. At the end the program's own events
 * and data are put back, and the kernel reports what there is to report: level, edge and one-shot are the kernel's own.
 *
 * All but ts_epreg_is_tag and ts_tags_used is called with ts_fdtab_lock held. Functions that make kernel calls use the
 * real epoll_ctl directly, never block and return 0 or -errno.
 */
#ifndef TSPROXY_EPREG_H
#define TSPROXY_EPREG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/*
 * Set for good before the first tag enters the kernel. Not a count of those that are there: a thread may come back from epoll_wait
 * with a tag that another thread has taken out of the set by then.
 */
extern int ts_tags_used;

/* True where event data is a tag, alive or not: the program must never see it. */
bool ts_epreg_is_tag(uint64_t data);
/* The descriptor that a live tag stands for, else -1 (its flow is over). */
int ts_epreg_tag_fd(uint64_t data);

/* The program's epoll_ctl on a descriptor that we track but that belongs to no pending flow: does it and keeps it in mind. */
int ts_epreg_ctl_tracked(int epfd, int op, int fd, const struct epoll_event *ev);
/* The same on a descriptor of a pending flow: the kernel gets a tag that fires on `wake` (EPOLLIN or EPOLLOUT). */
int ts_epreg_ctl_pending(int epfd, int op, int fd, const struct epoll_event *ev, uint32_t wake);

/* The same where the kernel has done it already, and knows no tag yet. */
void ts_epreg_done(int epfd, int op, int fd, const struct epoll_event *ev, uint32_t wake);

/*
 * Turns every registration of `fd` into a tag that fires on `wake`: before its connect leaves, and when what it waits for changes. 0, or
 * -errno where the kernel refuses one, which stays as it was.
 */
int ts_epreg_tag(int fd, uint32_t wake);
/* Puts the program's own registrations of `fd` back. They stay known. */
void ts_epreg_untag(int fd);
/* The same where another process ended the flow: what it put back already, and may have been told of since, is left alone. */
void ts_epreg_untag_left(int fd);
/* `from` is being closed while `to` names the same socket: its registrations live on, as they do in the kernel. */
void ts_epreg_move(int from, int to, uint32_t wake);
/* Whether any registration of `fd` is known; needs no lock. */
bool ts_epreg_any(int fd);
/* dup3(by, fd, flags), where `fd` has no other number: its registrations become those of `by`'s socket. 0, or -errno and nothing is changed. */
int ts_epreg_exchange(int fd, int by, int flags);
/* Forgets all registrations of `fd` (it is connected, closed, or not ours); the kernel's stay as they are. */
void ts_epreg_forget(int fd);

/* Another number than `fd` names its socket, too: whoever connects it must ask the kernel for those and where they are registered. */
void ts_fd_untrack(int fd);
/* The same for one that has no flow, without the lock. */
void ts_fd_untrack_plain(int fd);

/* The next descriptor with a tag in the set `epfd`, or -1; `*cursor` starts at 0. */
int ts_epreg_tagged_in(int epfd, uint32_t *cursor);
/* Takes a registration that the kernel already has into the table. 0 or -ENOMEM. */
int ts_epreg_adopt(int epfd, int fd, const struct epoll_event *ev);

/*
 * For a descriptor that is not tracked (it has aliases, or came through exec, SCM_RIGHTS or a raw system call): finds the other
 * numbers of its socket, each handed to `alias`, and reads the registrations of all from /proc/self/fdinfo, in every epoll set of
 * this process. Costs a walk over all descriptors. 0, or -errno where it could not be made to its end. (epdiscover.c)
 */
int ts_epreg_discover(int fd, void (*alias)(int fd, void *arg), void *arg);
/*
 * Calls `each` for every descriptor of this process whose link in /proc/self/fd begins with `kind`. Needs no lock, writes
 * nothing. 0, or -errno where that cannot be read. (epdiscover.c)
 */
int ts_fds_each(const char *kind, void (*each)(int fd, void *arg), void *arg);
/* What the kernel has for one registration now; `*ev` stays where it cannot be read. (epdiscover.c) */
void ts_epreg_kernel(int epfd, int fd, struct epoll_event *ev);

#endif
