/* SPDX-License-Identifier: MIT */
/*
 * Programs that nobody wrote: each seed is one. Sockets, their duplicates and epoll sets in a few slots, and calls on them by chance.
 *
 * Odd ones go through a proxy that takes greeting and request at once, even ones through one that takes them one after the other.
 */
#include "random.h"

#define STEPS 45
#define SEEDS 40

static void new_socket(void)
{
	int s = empty_slot(), flags = draw(5) ? SOCK_NONBLOCK : 0;

	if (s < 0)
		return;
	CALLED("%d = socket(%d)", s, flags != 0);
	fds[s] = (int)DO(socket(case_family, SOCK_STREAM | flags, 0));
}

/* In a forked child: sets are shared with the parent, and what it puts there would be in the parent's way. */
static void connecting(void)
{
	int s = some();
	int port = PICK(ECHO, ECHO, ECHO, FIRST, REFUSED, REFUSED, HALF, MUTE);

	if (child && serial)
		return;
	CALLED("connect(%d, %d)", s, port);
	DO(connect(fds[s], TO(PEER, port)));
}

static void disconnecting(void)
{
	struct sockaddr sa = { .sa_family = AF_UNSPEC };
	int s = some();

	if (child)
		return;
	CALLED("connect(%d, unspec)", s);
	DO(connect(fds[s], &sa, sizeof(sa)));
}

static void asking(void)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct tcp_info info;
	int s = some(), value = 0;

	switch (draw(8)) {
	case 0:
		CALLED("getpeername(%d)", s);
		if (DO(getpeername(fds[s], (struct sockaddr *)&sa, &len)) == 0)
			say("  %s", addr_name((struct sockaddr *)&sa, len));
		break;
	case 1:
		CALLED("getsockname(%d)", s);
		if (DO(getsockname(fds[s], (struct sockaddr *)&sa, &len)) == 0)
			say("  %s", addr_name((struct sockaddr *)&sa, len));
		break;
	case 2:
		len = sizeof(info);
		CALLED("tcp_info(%d)", s);
		if (DO(getsockopt(fds[s], IPPROTO_TCP, TCP_INFO, &info, &len)) == 0)
			say("  %d", info.tcpi_state <= TCP_SYN_SENT || info.tcpi_state == TCP_CLOSE ? info.tcpi_state : 0);
		break;
	case 3:
		len = sizeof(value);
		CALLED("rcvlowat(%d)", s);
		if (DO(getsockopt(fds[s], SOL_SOCKET, SO_RCVLOWAT, &value, &len)) == 0)
			say("  %d", value);
		break;
	case 4:
		CALLED("fionread(%d)", s);
		if (DO(ioctl(fds[s], FIONREAD, &value)) == 0)
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

	switch (draw(5)) {
	case 0:
		value = (int)PICK(1, 1, 3, 0, 100);
		CALLED("rcvlowat(%d, %d)", s, value);
		DO(setsockopt(fds[s], SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value)));
		break;
	case 1:
		CALLED("rcvtimeo(%d, %d)", s, value);
		DO(setsockopt(fds[s], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
		break;
	case 2:
		CALLED("sndtimeo(%d, %d)", s, value);
		DO(setsockopt(fds[s], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)));
		break;
	case 3:
		CALLED("nodelay(%d, %d)", s, value);
		DO(setsockopt(fds[s], IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)));
		break;
	default:
		CALLED("listen(%d)", s);
		DO(draw(3) ? listen(fds[s], 1) : accept(fds[s], NULL, NULL));
	}
}

static void reading(void)
{
	int s = some(), flags = (int)PICK(0, 0, MSG_PEEK, MSG_DONTWAIT, MSG_PEEK | MSG_DONTWAIT, MSG_WAITALL, MSG_TRUNC);
	char buf[64];
	size_t n = PICK(1, 4, 64, 64, 0);
	struct iovec iov = { buf, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	long r;

	switch (draw(4)) {
	case 0:
		CALLED("read(%d, %zu)", s, n);
		r = DO(read(fds[s], buf, n));
		break;
	case 1:
		CALLED("recvmsg(%d, %zu, %#x)", s, n, flags);
		r = DO(recvmsg(fds[s], &m, flags));
		break;
	default:
		CALLED("recv(%d, %zu, %#x)", s, n, flags);
		r = DO(recv(fds[s], buf, n, flags));
	}
	if (r > 0 && !(flags & MSG_TRUNC))
		say("  %s", bytes_name(buf, r));
}

static void writing(void)
{
	int s = some(), flags = (int)PICK(0, 0, MSG_DONTWAIT, MSG_MORE);
	char buf[8];
	size_t n = PICK(1, 4, 8, 0);
	struct iovec iov = { buf, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (flags == MSG_MORE)
		flags = MSG_DONTWAIT;	/* corked bytes leave when a timer says so */
	memset(buf, (int)('a' + draw(26)), sizeof(buf));
	switch (draw(4)) {
	case 0:
		CALLED("write(%d, %zu)", s, n);
		DO(write(fds[s], buf, n));
		break;
	case 1:
		CALLED("sendmsg(%d, %zu, %#x)", s, n, flags);
		DO(sendmsg(fds[s], &m, flags | MSG_NOSIGNAL));
		break;
	case 2:
		if (child)
			return;
		CALLED("sendto(%d, %zu, %#x)", s, n, flags);
		DO(sendto(fds[s], buf, n, flags | MSG_NOSIGNAL | (draw(2) ? MSG_FASTOPEN : 0), TO(PEER, ECHO)));
		break;
	default:
		CALLED("send(%d, %zu, %#x)", s, n, flags);
		DO(send(fds[s], buf, n, flags | MSG_NOSIGNAL));
	}
}

static void shutting(void)
{
	int s = some(), how = (int)draw(3);
	struct tcp_info info = { .tcpi_state = TCP_CLOSE };
	socklen_t len = sizeof(info);

	getsockopt(fds[s], IPPROTO_TCP, TCP_INFO, &info, &len);
	if (info.tcpi_state == TCP_CLOSE)
		return;
	CALLED("shutdown(%d, %d)", s, how);
	DO(shutdown(fds[s], how));
}

static void forking(void);

static const struct op ops[] = {
	{ new_socket, 12 }, { connecting, 16 }, { disconnecting, 2 }, { closing, 4 }, { duplicating, 4 }, { blocking, 3 },
	{ registering, 16 }, { nesting, 1 }, { waiting_in_set, 12 }, { polling, 8 }, { selecting, 3 }, { asking, 10 },
	{ setting, 4 }, { reading, 8 }, { writing, 8 }, { shutting, 3 }, { passing, 1 }, { forking, 1 }, { watching, 3 },
};

static void one_step(void)
{
	step(ops, sizeof(ops) / sizeof(*ops));
}

static void forking(void) { fork_steps(one_step); }

static void run(void)
{
	begin();
	case_family = draw(2) ? AF_INET : AF_INET6;
	case_mapped = case_family == AF_INET6 && draw(2);
	new_socket();
	for (int i = 0; i < STEPS; i++)
		one_step();
	joined();
}

__attribute__((constructor)) static void register_seeds(void) { add_seeds("seed", run, SEEDS, "slow timed", "slow timed proxy=9"); }
