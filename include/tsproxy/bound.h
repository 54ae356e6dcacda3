/* SPDX-License-Identifier: MIT */
/*
 * Local addresses of TCP sockets that the kernel cannot give as they are meant: this node's own tailnet addresses, which no interface
 * here has, and IPv6 alone where the proxy is at an IPv4 address. No lock; async-signal-safe.
 */
#ifndef TSPROXY_BOUND_H
#define TSPROXY_BOUND_H

#include <stdbool.h>
#include <sys/socket.h>

/*
 * bind(2) of what the kernel said EADDRNOTAVAIL to. An own address is bound as the one from which a local proxy is reached, and to
 * which tailscaled hands what comes from the tailnet: loopback. The socket remembers what it stands for (identity.h). 0 or -errno.
 */
int ts_bound_bind(int fd, const struct sockaddr *sa, socklen_t len);
/* Clears IPV6_V6ONLY, which the kernel allows only before bind(2). False where that cannot be undone; nothing is changed then. */
bool ts_bound_open(int fd);

#endif
