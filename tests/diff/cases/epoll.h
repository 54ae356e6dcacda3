/* SPDX-License-Identifier: MIT */
/* Short words for the epoll cases, which print every epoll_ctl. */
#ifndef DIFF_EPOLL_H
#define DIFF_EPOLL_H

#define ADD(ep, fd, ev, data) T(add_epoll(ep, fd, ev, data))
#define MOD(ep, fd, ev, data) T(mod_epoll(ep, fd, ev, data))

static inline int set(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

#endif
