/* SPDX-License-Identifier: MIT */
/*
 * As random.c, with datagrams: sockets that talk to the tailnet and to a neighbour on this machine in turn, connected and not, by every
 * call there is.
 *
 * Not drawn: what docs/differences.md lists. Two peers are not asked in one tick, because the order of their answers is nobody's promise.
 */
#include "random.h"

#include <netinet/udp.h>

#define STEPS 60
#define SEEDS 40

static int near_fd, last_port;
static struct sockaddr_storage near_name;
static socklen_t near_len;
enum { NOBODY, NEAR, FAR };
static char data[9000];

static void new_socket(void)
{
	int s = empty_slot(), flags = draw(5) ? SOCK_NONBLOCK : 0;

	if (s < 0)
		return;
	CALLED("%d = socket(%d)", s, flags != 0);
	fds[s] = (int)DO(socket(case_family, SOCK_DGRAM | flags, 0));
}

static int far_port(void)
{
	int port = (int)PICK(4000, 4000, 4000, 4002, 4004, 4003, 4005, 4007);

	if (port != last_port)
		align(true);
	last_port = port;
	return port;
}

/* Whom a slot's socket is connected to. */
static int peer_of(int s)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (fds[s] < 0 || getpeername(fds[s], (void *)&sa, &len) != 0)
		return NOBODY;
	return len == near_len && memcmp(&sa, &near_name, near_len) == 0 ? NEAR : FAR;
}

/*
 * A socket that was connected to an IPv4 peer and disconnected gets nothing more by IPv6: the kernel goes on to look for IPv4. So a program's
 * peers are all IPv4, or it connects to none of those.
 */
static bool all_mapped;

static void mapped_or_not(bool connecting)
{
	case_mapped = case_family == AF_INET6 && (all_mapped || (!connecting && draw(2)));
}

static void connecting(void)
{
	int s = some(), port = far_port();

	if (child)
		return;	/* an association ends with who made it */
	mapped_or_not(true);
	if (draw(5)) {
		CALLED("connect(%d, %d%s)", s, port, case_mapped ? ", mapped" : "");
		DO(connect(fds[s], TO(PEER, port)));
	} else if (case_family == AF_INET && peer_of(s) != FAR) {	/* else from the tailnet's address, which is not there */
		CALLED("connect(%d, near)", s);
		DO(connect(fds[s], (void *)&near_name, near_len));
	}
}

static void disconnecting(void)
{
	struct sockaddr sa = { .sa_family = AF_UNSPEC };
	int s = some();

	CALLED("connect(%d, unspec)", s);
	DO(connect(fds[s], &sa, sizeof(sa)));
}

static void binding(void)
{
	struct sockaddr_storage name = { .ss_family = (sa_family_t)case_family };
	int s = some();

	CALLED("bind(%d)", s);
	DO(bind(fds[s], (void *)&name, case_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)));
}

static size_t length(void) { return PICK(0, 1, 1, 4, 4, 10, 100, 1400, 3000, 8000, 65536); }

static const char *text(size_t n)
{
	static char much[70000];

	memset(n > sizeof(data) ? much : data, (int)('a' + draw(26)), n > sizeof(data) ? n : sizeof(data));
	return n > sizeof(data) ? much : data;
}

struct to {
	const struct sockaddr *name;
	socklen_t len;
	char says[32];
};

/* Where to: nowhere in particular, the tailnet, the neighbour. */
static struct to target(int s)
{
	struct to to = { NULL, 0, "peer" };
	int port, kind = (int)draw(4);

	mapped_or_not(false);
	if (kind == 0)
		return to;
	if (kind == 1 && case_family == AF_INET && peer_of(s) != FAR) {
		to.name = (void *)&near_name;
		to.len = near_len;
		strcpy(to.says, "near");
		return to;
	}
	if (peer_of(s) == NEAR)
		return to;	/* from its address nothing leads to a far one, natively and here, and errors differ */
	port = far_port();
	to.name = at(PEER, port);
	to.len = at_len();
	snprintf(to.says, sizeof(to.says), "%d%s", port, case_mapped ? " mapped" : "");
	return to;
}

static void writing(void)
{
	int s = some(), flags = (int)PICK(0, 0, MSG_DONTWAIT, MSG_CONFIRM) | MSG_NOSIGNAL, how = (int)draw(7);
	size_t n = length(), half = n / 2;
	const char *p = text(n);
	struct to to = target(s);
	struct iovec iov[3] = { { (void *)p, half }, { (void *)p, 0 }, { (void *)(p + half), n - half } };
	struct msghdr m = { .msg_name = (void *)to.name, .msg_namelen = to.len, .msg_iov = iov, .msg_iovlen = 3 };

	if (child && fds[s] >= 0 && peer_of(s) != FAR)
		return;
	switch (how) {
	case 0:
		CALLED("write(%d, %zu)", s, n);
		DO(write(fds[s], p, n));
		break;
	case 1:
		CALLED("writev(%d, %zu)", s, n);
		DO(writev(fds[s], iov, 3));
		break;
	case 2:
		CALLED("send(%d, %zu, %#x)", s, n, flags);
		DO(send(fds[s], p, n, flags));
		break;
	case 3:
	case 4:
		CALLED("sendmsg(%d, %zu, %#x, %s)", s, n, flags, to.says);
		DO(sendmsg(fds[s], &m, flags));
		break;
	default:
		CALLED("sendto(%d, %zu, %#x, %s)", s, n, flags, to.says);
		DO(sendto(fds[s], p, n, flags, to.name, to.len));
	}
}

static void writing_many(void)
{
	int s = some(), count = 1 + (int)draw(4), sent, at = 0;
	static char texts[4][3000];
	struct mmsghdr m[4];
	struct iovec iov[4];
	char says[128] = "";

	if (child)
		return;
	memset(m, 0, sizeof(m));
	for (int i = 0; i < count; i++) {
		struct to to = i && draw(2) ? (struct to){ m[i - 1].msg_hdr.msg_name, m[i - 1].msg_hdr.msg_namelen, "same" } : target(s);

		memset(texts[i], (int)('a' + draw(26)), sizeof(texts[i]));
		iov[i] = (struct iovec){ texts[i], PICK(0, 1, 4, 10, 1400, 3000) };
		m[i].msg_hdr = (struct msghdr){ .msg_name = (void *)to.name, .msg_namelen = to.len, .msg_iov = &iov[i], .msg_iovlen = draw(8) ? 1 : 0 };
		at += snprintf(says + at, sizeof(says) - (size_t)at, " %s", to.says);
	}
	CALLED("sendmmsg(%d,%s)", s, says);
	sent = (int)DO(sendmmsg(fds[s], m, (unsigned)count, (int)PICK(0, MSG_DONTWAIT)));
	for (int i = 0; i < sent; i++)
		say("  %u", m[i].msg_len);
}

static const char *who(const void *sa, socklen_t len)
{
	return len ? addr_name(sa, len) : "nobody";
}

static const char *what(const char *p, long n)
{
	static char out[64];

	for (long i = 1; i < n; i++)
		if (p[i] != p[0])
			return bytes_name(p, n < 40 ? n : 40);
	if (n > 0)
		snprintf(out, sizeof(out), "%ld of %s", n, bytes_name(p, 1));
	return n > 0 ? out : "nothing";
}

static int receive_flags(void)
{
	return (int)PICK(0, 0, 0, MSG_PEEK, MSG_DONTWAIT, MSG_PEEK | MSG_DONTWAIT, MSG_WAITALL, MSG_TRUNC, MSG_PEEK | MSG_TRUNC, MSG_ERRQUEUE);
}

static void reading(void)
{
	int s = some(), flags = receive_flags();
	char buf[9000];
	size_t n = PICK(1, 4, 9000, 9000, 9000, 0, 100);
	struct iovec iov[2] = { { buf, n / 2 }, { buf + n / 2, n - n / 2 } };
	struct sockaddr_storage from;
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2, .msg_name = &from, .msg_namelen = PICK(0, 4, sizeof(from), sizeof(from)) };
	socklen_t len = m.msg_namelen;
	long r;

	memset(&from, 0, sizeof(from));
	if (!draw(3))
		m.msg_name = NULL;
	switch (draw(6)) {
	case 0:
		CALLED("read(%d, %zu)", s, n);
		r = DO(read(fds[s], buf, n));
		break;
	case 1:
		CALLED("readv(%d, %zu)", s, n);
		r = DO(readv(fds[s], iov, 2));
		break;
	case 2:
		CALLED("recv(%d, %zu, %#x)", s, n, flags);
		r = DO(recv(fds[s], buf, n, flags));
		break;
	case 3:
		CALLED("recvfrom(%d, %zu, %#x)", s, n, flags);
		r = DO(recvfrom(fds[s], buf, n, flags, (void *)&from, &len));
		if (r >= 0)
			say("  from %u %s", len, len == m.msg_namelen && len < 16 ? "" : who(&from, m.msg_namelen < len ? 0 : len));
		break;
	default:
		CALLED("recvmsg(%d, %zu, %#x)", s, n, flags);
		r = DO(recvmsg(fds[s], &m, flags));
		if (r >= 0)
			say("  flags %#x from %u %s", (unsigned)m.msg_flags, m.msg_namelen, m.msg_name && len >= m.msg_namelen ? who(&from, m.msg_namelen) : "");
	}
	if (r > 0)
		say("  %s", what(buf, r < (long)n ? r : (long)n));
}

static void reading_many(void)
{
	int s = some(), count = 1 + (int)draw(3), got;
	static char bufs[3][5000];
	struct sockaddr_storage from[3];
	struct iovec iov[3];
	struct mmsghdr m[3];
	int flags = (int)PICK(MSG_DONTWAIT, MSG_WAITFORONE, MSG_DONTWAIT | MSG_PEEK, MSG_WAITFORONE | MSG_TRUNC, 0);

	memset(m, 0, sizeof(m));
	for (int i = 0; i < count; i++) {
		iov[i] = (struct iovec){ bufs[i], PICK(1, 5000, 5000, 10) };
		m[i].msg_hdr = (struct msghdr){ .msg_name = &from[i], .msg_namelen = sizeof(from[i]), .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	CALLED("recvmmsg(%d, %d, %#x)", s, count, flags);
	got = (int)DO(recvmmsg(fds[s], m, (unsigned)count, flags, NULL));
	for (int i = 0; i < got; i++)
		say("  %u %#x %s %s", m[i].msg_len, (unsigned)m[i].msg_hdr.msg_flags, who(&from[i], m[i].msg_hdr.msg_namelen),
		    what(bufs[i], m[i].msg_len < iov[i].iov_len ? m[i].msg_len : (long)iov[i].iov_len));
}

/* What came at the neighbour's, and its answer to that. */
static void neighbour(void)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	static char buf[9000];
	ssize_t n = recvfrom(near_fd, buf, sizeof(buf), MSG_DONTWAIT, (void *)&from, &len);

	say("neighbour: %zd", n);
	if (n >= 0)
		say("  from %s: %s", who(&from, len), what(buf, n));
	if (n >= 0 && draw(2))
		say("  answered %zd", sendto(near_fd, buf, (size_t)n, 0, (void *)&from, len));
}

static void asking(void)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int s = some(), value = 0;

	switch (draw(6)) {
	case 0:
		CALLED("getpeername(%d)", s);
		if (DO(getpeername(fds[s], (void *)&sa, &len)) == 0)
			say("  %s", addr_name((void *)&sa, len));
		break;
	case 1:
		CALLED("getsockname(%d)", s);
		if (DO(getsockname(fds[s], (void *)&sa, &len)) == 0)
			say("  %s", addr_name((void *)&sa, len));
		break;
	case 2:
	case 3:
		CALLED("fionread(%d)", s);
		if (DO(ioctl(fds[s], FIONREAD, &value)) == 0)
			say("  %d", value);
		break;
	case 4:
		CALLED("outq(%d)", s);
		if (DO(ioctl(fds[s], TIOCOUTQ, &value)) == 0)
			say("  %d", value);
		break;
	default:
		len = sizeof(value);
		CALLED("so_error(%d)", s);
		if (DO(getsockopt(fds[s], SOL_SOCKET, SO_ERROR, &value, &len)) == 0)
			say("  %s", err_name(value));
	}
}

static void setting(void)
{
	int s = some(), value = (int)draw(2);
	struct timeval t = { 0, value ? 375l * rtt_ms : 0 };

	switch (draw(6)) {
	case 0:
	case 1:
		CALLED("rcvtimeo(%d, %d)", s, value);
		DO(setsockopt(fds[s], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
		break;
	case 2:
		value = (int)PICK(0, 0, 3, 1000);
		CALLED("segment(%d, %d)", s, value);
		DO(setsockopt(fds[s], IPPROTO_UDP, UDP_SEGMENT, &value, sizeof(value)));
		break;
	case 3:
		CALLED("gro(%d, %d)", s, value);
		DO(setsockopt(fds[s], IPPROTO_UDP, UDP_GRO, &value, sizeof(value)));
		break;
	case 4:
		CALLED("broadcast(%d, %d)", s, value);
		DO(setsockopt(fds[s], SOL_SOCKET, SO_BROADCAST, &value, sizeof(value)));
		break;
	default:
		CALLED("rcvlowat(%d, %d)", s, value * 10);
		value *= 10;
		DO(setsockopt(fds[s], SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value)));
	}
}

static void shutting(void)
{
	int s = some(), how = (int)draw(3);

	CALLED("shutdown(%d, %d)", s, how);
	DO(shutdown(fds[s], how));
}

/* One datagram by several calls. Of a connected socket for its peer: after others' the kernel sends what is the peer's to that one (ts_udp_send). */
static void in_pieces(void)
{
	int s = some(), n = 1 + (int)draw(2), segment = 0;
	size_t len = PICK(0, 1, 4, 100, 1400);
	socklen_t size = sizeof(segment);
	struct to to = target(s);

	if (child || (getsockopt(fds[s], IPPROTO_UDP, UDP_SEGMENT, &segment, &size) == 0 && segment))
		return;
	if (fds[s] >= 0 && peer_of(s) != NOBODY)
		to = (struct to){ NULL, 0, "peer" };
	for (int i = 0; i <= n; i++) {
		CALLED("piece(%d, %zu, %s)", s, len, to.says);
		DO(sendto(fds[s], text(len), len, i < n ? MSG_MORE : 0, to.name, to.len));
	}
}

static void forking(void);

static const struct op ops[] = {
	{ new_socket, 8 }, { connecting, 8 }, { disconnecting, 3 }, { binding, 2 }, { closing, 3 }, { duplicating, 4 }, { passing, 1 }, { blocking, 3 },
	{ registering, 8 }, { nesting, 1 }, { waiting_in_set, 8 }, { polling, 8 }, { selecting, 3 }, { asking, 10 }, { setting, 5 },
	{ reading, 20 }, { reading_many, 5 }, { writing, 20 }, { writing_many, 6 }, { neighbour, 6 }, { shutting, 1 }, { forking, 1 },
	{ watching, 3 }, { in_pieces, 4 },
};

static void one_step(void)
{
	step(ops, sizeof(ops) / sizeof(*ops));
}

static void forking(void) { fork_steps(one_step); }

static void start(void)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	begin();
	case_family = draw(2) ? AF_INET : AF_INET6;
	all_mapped = draw(2);
	near_fd = (int)MUST(socket(AF_INET, SOCK_DGRAM, 0));
	near_len = sizeof(near_name);
	MUST(bind(near_fd, (void *)&name, sizeof(name)));
	MUST(getsockname(near_fd, (void *)&near_name, &near_len));
	new_socket();
}

static void run(void)
{
	start();
	for (int i = 0; i < STEPS; i++)
		one_step();
	joined();
}

__attribute__((constructor)) static void register_seeds(void)
{
	add_seeds("seed", run, SEEDS, "slow timed", "slow timed proxy=9");
}
