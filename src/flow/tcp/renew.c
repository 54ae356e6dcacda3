/* SPDX-License-Identifier: MIT */
/*
 * One socket in another's place: see tcp.h.
 *
 * Connections from one local port differ by their destinations, but carried they all lead to the proxy's one address: the kernel makes
 * the first, and says EADDRNOTAVAIL to the others, for up to a second even if the first was closed (tcp_tw_reuse). No socket gives back
 * a port that bind(2) gave it, so another socket, without the port, takes its descriptor. As it was never connected and has no other
 * descriptor, only its options and its registrations tell the two apart. The far side sees a port of the daemon's in any case.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "tcp_internal.h"
#include "tsproxy/epreg.h"
#include "tsproxy/identity.h"

#define OPTION_SIZE 64

/* What is copied: all options up to those of Linux 6.1 that can be both read and set. */
static const struct { int level, last; } options[] = {
	{ SOL_SOCKET, 75 /* SO_RCVMARK */ }, { IPPROTO_TCP, 37 /* TCP_TX_DELAY */ }, { IPPROTO_IP, 51 /* IP_LOCAL_PORT_RANGE */ },
	{ IPPROTO_IPV6, 78 /* IPV6_FREEBIND */ },
};

static void copy_option(int from, int to, int level, int name)
{
	uint8_t value[OPTION_SIZE] = { 0 }, unset[OPTION_SIZE] = { 0 };
	socklen_t len = sizeof(value), unset_len = sizeof(unset);

	if (ts_sys(SYS_getsockopt, from, level, name, value, &len) != 0 ||
	    ts_sys(SYS_getsockopt, to, level, name, unset, &unset_len) != 0 ||
	    (len == unset_len && memcmp(value, unset, sizeof(value)) == 0))
		return;
	if (level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_RCVBUF))
		ts_sock_set_int(to, level, name, ts_sock_get_int(from, level, name) / 2);	/* the kernel doubles it, socket(7) */
	else
		ts_sys(SYS_setsockopt, to, level, name, value, len);
}

static void copy_options(int from, int to)
{
	struct f_owner_ex owner;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		for (int name = 1; name <= options[i].last; name++)
			if (options[i].level != SOL_SOCKET || name != SO_GET_FILTER)
				copy_option(from, to, options[i].level, name);
	ts_sys(SYS_fcntl, to, F_SETFL, ts_sys(SYS_fcntl, from, F_GETFL));
	ts_sys(SYS_fcntl, to, F_SETSIG, ts_sys(SYS_fcntl, from, F_GETSIG));
	if (ts_sys(SYS_fcntl, from, F_GETOWN_EX, &owner) == 0 && owner.pid)
		ts_sys(SYS_fcntl, to, F_SETOWN_EX, &owner);
}

static bool has_filter(int fd)
{
	socklen_t n = 0;

	return ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_GET_FILTER, NULL, &n) == 0 && n;
}

/* What it is bound to, as the program sees it. False where it is not. */
static bool read_bound(int fd, struct ts_identity *id)
{
	struct ts_addr kernel;

	if (!ts_sock_name(fd, SYS_getsockname, &kernel) || !kernel.port)
		return false;
	if (ts_identity_read_any(fd, id) != 1)
		*id = (struct ts_identity){ .peer = kernel, .local = kernel, .local_known = true };
	id->peer.port = 0;
	id->local.port = kernel.port;
	return true;
}

bool ts_renew(int fd)
{
	long by, cloexec = ts_sys(SYS_fcntl, fd, F_GETFD) & FD_CLOEXEC;
	uint64_t cookie = ts_socket_cookie(fd);
	struct ts_identity id;
	bool done = false;

	if (!read_bound(fd, &id) || has_filter(fd))
		return false;
	by = ts_sys(SYS_socket, ts_sock_get_int(fd, SOL_SOCKET, SO_DOMAIN), SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	if (by < 0)
		return false;
	copy_options(fd, (int)by);
	ts_lock(&ts_fdtab_lock);
	/* Another thread may have duplicated or closed the descriptor meanwhile. */
	if (ts_fd_get_flags(fd) & TS_FD_TRACKED && ts_identity_write((int)by, &id) == 0 && ts_socket_cookie(fd) == cookie)
		done = ts_epreg_exchange(fd, (int)by, cloexec ? O_CLOEXEC : 0) == 0;
	if (done)
		ts_fd_set_flags(fd, TS_FD_NEW | TS_FD_TRACKED | TS_FD_OPTIONS, 0);
	ts_unlock(&ts_fdtab_lock);
	ts_sys(SYS_close, by);
	return done;
}
