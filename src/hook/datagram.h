/* SPDX-License-Identifier: MIT */
/* The many calls that send or receive, as sendmsg and recvmsg, for sockets with an association. Each returns as its hook does. */
#ifndef TSPROXY_HOOK_DATAGRAM_H
#define TSPROXY_HOOK_DATAGRAM_H

#include "hook.h"

#include "tsproxy/udp.h"

ssize_t ts_datagram_recv(int fd, void *buf, size_t len, int flags, struct sockaddr *addr, socklen_t *addr_len);
ssize_t ts_datagram_readv(int fd, const struct iovec *iov, int n, int flags);
ssize_t ts_datagram_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t ts_datagram_send(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr, socklen_t addr_len);
ssize_t ts_datagram_writev(int fd, const struct iovec *iov, int n, int flags);
ssize_t ts_datagram_sendmsg(int fd, const struct msghdr *msg, int flags);
int ts_datagram_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);
/* What the real call's result `r` becomes where the socket got an association meanwhile: see ts_udp_turned. */
ssize_t ts_datagram_turned(int fd, ssize_t r, const struct iovec *iov, int n, int flags, struct sockaddr *addr, socklen_t *addr_len);
ssize_t ts_datagram_turned_msg(int fd, ssize_t r, struct msghdr *msg, int flags);
int ts_datagram_turned_many(int fd, int got, struct mmsghdr *msgs, int flags);
int ts_datagram_recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *timeout);

#endif
