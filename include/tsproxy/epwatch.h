/* SPDX-License-Identifier: MIT */
/*
 * The epoll registrations of TCP sockets that were never connected, as the program makes them: should one of these sockets be connected to
 * the tailnet, its registrations become stand-ins (epreg.h), which takes events and data. Nearly all of them never are, so keeping this
 * costs no system call, no lock and little memory. What is not kept can be read from /proc at the connect (epdiscover.c).
 *
 * Any thread and any signal handler may call any of these at any time.
 */
#ifndef TSPROXY_EPWATCH_H
#define TSPROXY_EPWATCH_H

#include <stdbool.h>
#include <sys/epoll.h>

/* epoll_ctl's three operations. False: it could not be kept, so what is known of `fd` is not all; forget it. */
bool ts_epwatch_note(int epfd, int op, int fd, const struct epoll_event *ev);
void ts_epwatch_forget(int fd);
/* Takes one registration of `fd` out. False where none is left. */
bool ts_epwatch_take(int fd, int *epfd, struct epoll_event *ev);

#endif
