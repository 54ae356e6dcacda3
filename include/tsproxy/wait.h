/* SPDX-License-Identifier: MIT */
/* Waiting for readiness where some of the descriptors are connections that are being made. */
#ifndef TSPROXY_WAIT_H
#define TSPROXY_WAIT_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

/* True where one of them may belong to a flow: cheap, no lock. */
bool ts_wait_poll_concerns(const struct pollfd *fds, nfds_t n);
bool ts_wait_select_concerns(int n, const fd_set *r, const fd_set *w, const fd_set *x);

/* ppoll(2) and pselect(2): results and errno as theirs. `timeout` null: forever; else it is counted down to what is left. */
int ts_wait_poll(struct pollfd *fds, nfds_t n, struct timespec *timeout, const sigset_t *mask);
int ts_wait_select(int n, fd_set *r, fd_set *w, fd_set *x, struct timespec *timeout, const sigset_t *mask);

/*
 * Takes the stand-ins of pending connections out of what epoll_wait gave, advancing each.
 * Returns how many events are left; fewer than `n` means: wait again if none is.
 */
int ts_wait_epoll_filter(struct epoll_event *events, int n);

#endif
