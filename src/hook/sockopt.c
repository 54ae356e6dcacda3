/* SPDX-License-Identifier: MIT */
/* What a socket's options and ioctl(2) say: a connect under way is SYN_SENT, and what we keep in a socket is not the program's. */
#include "may_be_carried.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "tsproxy/fdtab.h"
#include "tsproxy/identity.h"
#include "tsproxy/note.h"
#include "tsproxy/sys.h"
#include "tsproxy/tcp.h"
#include "tsproxy/udp.h"

/* Answers an integer option as the kernel does. It tells another one first, which is refused for the same reasons. */
static int answer_int(int fd, int value, void *out, socklen_t *len)
{
	int r = ts_real()->getsockopt(fd, SOL_SOCKET, SO_TYPE, out, len);

	if (r == 0)
		memcpy(out, &value, *len);
	return r;
}

/* A socket that was for IPv6 only had to be opened to reach a proxy at an IPv4 address: the program's own setting is told. */
static int v6only(int fd, void *value, socklen_t *len)
{
	struct ts_identity id;
	int r = ts_real()->getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, value, len);

	if (r == 0 && ts_may_be_carried(fd) && *len == sizeof(int) &&
	    ((ts_is_pending(fd) && ts_tcp_names(fd, &id) && id.v6only) || (ts_identity_read_any(fd, &id) == 1 && id.v6only)))
		*(int *)value = 1;
	return r;
}

/* What is kept there for us, the program has not set. */
static bool has_none(int fd, int level, int name)
{
	if (!(level == IPPROTO_TCP && name == TCP_FASTOPEN_KEY) && !(level == SOL_SOCKET && name == SO_GET_FILTER))
		return false;
	if (!ts_may_be_carried(fd))
		return false;
	return level == IPPROTO_TCP ? ts_note_is_key(fd) : ts_fd_is_udp(fd) || ts_note_is_filter(fd);
}

/* The error of a connect that failed in the hands of whoever sent the descriptor. */
static int error_of_arrived(int fd, int err)
{
	struct ts_identity id;

	return err == ECONNREFUSED && ts_fd_get_flags(fd) & TS_FD_ARRIVED && !ts_sandboxed() && ts_identity_read_failed(fd, &id) ?
		       id.failed : err;
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	int lowat, err, r;
	bool is_pending;

	if (ts_fd_is_udp(fd) && ts_plausible(value) && ts_plausible(len) && ts_udp_get_option(fd, level, name, &lowat))
		return answer_int(fd, lowat, value, len);
	if (__builtin_expect(has_none(fd, level, name), 0)) {
		r = answer_int(fd, 0, &lowat, len);
		if (r == 0)
			*len = 0;
		return r;
	}
	if (__builtin_expect(level == IPPROTO_IPV6 && name == IPV6_V6ONLY, 0))
		return v6only(fd, value, len);
	if (__builtin_expect(!(ts_fd_has_flow(fd) || ts_fd_get_flags(fd) & TS_FD_ARRIVED), 1) || !ts_plausible(value) || !ts_plausible(len))
		return ts_real()->getsockopt(fd, level, name, value, len);
	is_pending = ts_is_pending(fd);
	if (level == SOL_SOCKET && name == SO_RCVLOWAT && ts_tcp_get_lowat(fd, &lowat))
		return answer_int(fd, lowat, value, len);
	if (level == SOL_SOCKET && name == SO_ERROR && is_pending)
		return answer_int(fd, 0, value, len);
	if (level == IPPROTO_IPV6 && name == IPV6_ADDRFORM && is_pending)
		return ts_result(-ENOTCONN);
	r = ts_real()->getsockopt(fd, level, name, value, len);
	if (r == 0 && level == IPPROTO_TCP && name == TCP_INFO && *len > 0 && is_pending)
		*(uint8_t *)value = TCP_SYN_SENT;
	if (r == 0 && level == SOL_SOCKET && name == SO_ERROR && *len == sizeof(err)) {
		memcpy(&err, value, sizeof(err));
		err = error_of_arrived(fd, ts_tcp_error(fd, err));
		memcpy(value, &err, sizeof(err));
	}
	return r;
}

/* A datagram socket with an association needs its filter (udp_record.c), and can have only one. 0: the real call. */
static int set_filter_of_udp(int fd, int name, const void *value, socklen_t len)
{
	if (len < sizeof(int) || !ts_option_readable(fd, value) || (name == SO_LOCK_FILTER && !*(const int *)value))
		return 0;
	return name == SO_DETACH_FILTER ? -ENOENT : -EOPNOTSUPP;
}

static bool is_filter(int level, int name)
{
	return level == SOL_SOCKET &&
	       (name == SO_ATTACH_FILTER || name == SO_ATTACH_BPF || name == SO_DETACH_FILTER || name == SO_LOCK_FILTER);
}

/* Hides our record in the socket: it has no key or filter, and a TCP socket may be given either. 1: done. 0: the real call. Else -errno. */
static int set_noted(int fd, int level, int name, const void *value, socklen_t len)
{
	if (level == IPPROTO_TCP && name == TCP_FASTOPEN_KEY) {
		bool left = !ts_may_be_carried(fd) || ts_note_leave_key(fd);

		if (ts_fd_get_flags(fd))
			ts_fd_set_flags(fd, TS_FD_KEYED, 0);
		return !left && ts_plausible(value) && (len == TS_NOTE_SIZE || len == TS_NOTE_SIZE / 2);
	}
	if (!is_filter(level, name) || !ts_may_be_carried(fd))
		return 0;
	if (ts_fd_is_udp(fd))
		return set_filter_of_udp(fd, name, value, len);
	if (name == SO_LOCK_FILTER || !ts_note_is_filter(fd))
		return 0;
	if (name == SO_DETACH_FILTER)
		return -ENOENT;
	ts_note_leave_filter(fd);
	return 0;
}

/* Options after which a handshake may not rely on the defaults. */
static bool unusual(int level, int name)
{
	if (level == IPPROTO_TCP)
		return name == TCP_FASTOPEN_CONNECT;
	return level == SOL_SOCKET &&
	       (name == SO_RCVLOWAT || name == SO_RCVTIMEO_OLD || name == SO_SNDTIMEO_OLD || name == SO_RCVTIMEO_NEW ||
		name == SO_SNDTIMEO_NEW || name == SO_BINDTODEVICE || name == SO_BINDTOIFINDEX);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int lowat, done = ts_fd_is_udp(fd) ? ts_udp_set_option(fd, level, name, value, len) : 0;

	if (!done && __builtin_expect((level == IPPROTO_TCP && name == TCP_FASTOPEN_KEY) || level == SOL_SOCKET, 0) && ts_enabled())
		done = set_noted(fd, level, name, value, len);
	if (done)
		return done < 0 ? ts_result(done) : 0;
	if (__builtin_expect(unusual(level, name), 0) && ts_fd_get_flags(fd) & TS_FD_NEW)
		ts_fd_set_flags(fd, TS_FD_OPTIONS, 0);
	if (ts_fd_has_flow(fd) && level == SOL_SOCKET && name == SO_RCVLOWAT && len >= sizeof(lowat) && ts_option_readable(fd, value)) {
		memcpy(&lowat, value, sizeof(lowat));
		if (ts_tcp_set_lowat(fd, lowat))
			return 0;
	}
	return ts_real()->setsockopt(fd, level, name, value, len);
}

/* What is there to read or unsent, where the kernel counts what is ours. In SYN_SENT nothing is (tcp(7), SIOCINQ, SIOCOUTQ). */
static bool counts(int fd, uint32_t request, int *n)
{
	*n = 0;
	if (ts_fd_has_flow(fd) && (request == FIONREAD || request == TIOCOUTQ))
		return ts_is_pending(fd);
	return ts_fd_is_udp(fd) && request == FIONREAD && ts_udp_unread(fd, n);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	bool ours;
	int n, r;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	ours = counts(fd, (uint32_t)request, &n);
	r = ts_real()->ioctl(fd, request, arg);
	if (ours && r == 0)
		memcpy(arg, &n, sizeof(n));
	return r;
}
