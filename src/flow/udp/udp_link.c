/* SPDX-License-Identifier: MIT */
/*
 * The control connection of an association.
 *
 * It must stay for as long as the association, yet be in nobody's way: programs close descriptors that they do not know, select on
 * numbers, and count. So once the relay is known one page of the TCP socket is mapped (the kernel offers that for receiving without
 * copies) and its descriptor closed: the mapping holds the socket, survives every close loop, and is the child's too after fork.
 *
 * Without a descriptor nobody tells when the proxy goes away. Its relay's port is then free, and an attempt to bind it succeeds.
 *
 * A datagram that was sent is on its way natively, whatever becomes of its sender. A proxy forgets what it has not read yet when the control
 * connection ends, and a program may end, or close the socket, right after it sent. So the end must come a moment later, and
 * nobody may be left to bring it about: the request goes in segments enough that the kernel paces the connection (tcp_output.c: from the
 * tenth on), and the last byte of it takes 250 ms by the rate that is set then. No FIN goes before. Kernels without pacing do without.
 */
#include "udp_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#include "tsproxy/clock.h"
#include "tsproxy/endpoint.h"
#include "tsproxy/handshake.h"
#include "tsproxy/log.h"
#include "tsproxy/scratch.h"
#include "tsproxy/socks5.h"
#include "tsproxy/sys.h"

#define PAGE 4096
#define OUT_OF_THE_WAY 1024	/* above FD_SETSIZE */

#define LINGER_MS 250
#define PACED_SEGMENTS 10

/* 0 or -errno. The socket's buffer is empty, so what does not go at once does not go for want of memory. */
static int send_bytes(int fd, const uint8_t *bytes, size_t n)
{
	long sent = ts_sys(SYS_sendto, fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);

	return sent == (long)n ? 0 : sent < 0 && sent != -EAGAIN ? (int)sent : -ENOBUFS;
}

/* Sends `n` bytes, each of the last ones in a segment of its own; not by sendmmsg, which a sandbox may know no use for. */
static int send_paced(int fd, const uint8_t *bytes, size_t n)
{
	size_t at = n - PACED_SEGMENTS + 1;
	int err;

	ts_sock_set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	err = send_bytes(fd, bytes, at);
	for (; !err && at < n - 1; at++)
		err = send_bytes(fd, bytes + at, 1);
	ts_sock_set_int(fd, SOL_SOCKET, SO_MAX_PACING_RATE, 1000 / LINGER_MS);
	return err ? err : send_bytes(fd, bytes + at, 1);
}

static int say(struct ts_udp_attempt *a)
{
	struct ts_route_message *m = ts_scratch_get(sizeof(*m));
	size_t n = m ? ts_route_say(m, &a->hs, &a->proxy.addr, NULL) : 0;
	int err = m ? 0 : -ENOBUFS;

	if (n >= PACED_SEGMENTS && (a->hs.pipelined || a->hs.state == TS_HS_REPLY))
		err = send_paced(a->fd, m->out, n);
	else if (n)
		err = send_bytes(a->fd, m->out, n);
	ts_scratch_put(m, sizeof(*m));
	return err;
}

static int finish_connect(struct ts_udp_attempt *a)
{
	struct pollfd p = { .fd = a->fd, .events = POLLOUT };
	struct timespec none = { 0 };
	int so_error = 0;
	socklen_t len = sizeof(so_error);
	long r = ts_sys(SYS_ppoll, &p, 1, &none, NULL, 0);

	if (r <= 0)
		return r && r != -EINTR ? (int)r : -EAGAIN;
	ts_sys(SYS_getsockopt, a->fd, SOL_SOCKET, SO_ERROR, &so_error, &len);
	a->connected = !so_error;
	return -so_error;
}

/* 0: the handshake is decided. */
static int converse(struct ts_udp_attempt *a)
{
	int err = say(a);

	while (!err && a->hs.state < TS_HS_DONE) {
		long n = ts_sys(SYS_recvfrom, a->fd, a->in + a->have, sizeof(a->in) - a->have, MSG_DONTWAIT, NULL, NULL);
		size_t used;

		if (n < 0 && n != -EINTR)
			return (int)n;
		a->have += n > 0 ? (size_t)n : 0;
		while (!err && a->hs.state < TS_HS_DONE && (used = ts_handshake_input(&a->hs, a->in, a->have, n == 0)) > 0) {
			a->have -= used;
			memmove(a->in, a->in + used, a->have);
			err = say(a);
		}
	}
	return err;
}

/* What a failure means to the program: what this process or machine lacks is told as that. */
static int meaning(int err)
{
	switch (-err) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return -ENOBUFS;
	default:
		return -EHOSTUNREACH;
	}
}

static int keep(int fd, struct ts_udp_link *out)
{
	long p = ts_sys(SYS_mmap, 0, PAGE, PROT_READ, MAP_SHARED, fd, 0), high;

	out->page = NULL;
	out->fd = -1;
	out->made_ms = ts_udp_now_ms();
	if ((unsigned long)p <= -4096ul) {
		out->page = (void *)p;
		ts_sys(SYS_close, fd);
		return 0;
	}
	high = ts_sys(SYS_fcntl, fd, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
	out->fd = high < 0 ? fd : (int)high;
	if (high >= 0)
		ts_sys(SYS_close, fd);
	return 0;
}

/* Where the relay is: a proxy that gives no address, or a name, means the one that it was asked at (RFC 1928 says nothing of it). */
static bool relay_of(const struct ts_handshake *hs, const struct ts_proxy *proxy, struct ts_addr *out)
{
	static const uint8_t any4[16] = { [10] = 0xff, [11] = 0xff }, any6[16];

	*out = hs->bnd;
	if (!out->port)
		return false;
	if (memcmp(out->ip, any4, 16) == 0 || memcmp(out->ip, any6, 16) == 0 ||
	    (ts_ip_is_loopback(out->ip) && !ts_ip_is_loopback(proxy->addr.ip)))
		memcpy(out->ip, proxy->addr.ip, 16);
	return true;
}

int ts_udp_attempt_begin(struct ts_udp_attempt *a)
{
	static const uint8_t any4[4];
	const struct ts_proxy *proxy = &a->proxy;
	int family = ts_addr_is4(&proxy->addr) ? AF_INET : AF_INET6;
	union ts_udp_name name;
	struct ts_addr any;
	socklen_t len;
	long fd = ts_sys(SYS_socket, family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), high, r;

	if (fd < 0)
		return meaning((int)fd);
	high = ts_sys(SYS_fcntl, fd, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
	if (high >= 0) {
		ts_sys(SYS_close, fd);
		fd = high;
	}
	ts_udp_name_set(&name, &len, &proxy->addr, family);
	r = ts_sys(SYS_connect, fd, &name, len);
	if (r && r != -EINPROGRESS) {
		ts_warn("proxy %a: %e", &proxy->addr, (int)-r);
		ts_sys(SYS_close, fd);
		return meaning((int)r);
	}
	a->fd = (int)fd;
	a->maker = (int)ts_sys(SYS_getpid);
	a->connected = r == 0;
	a->begun_ms = ts_now_ms();
	a->cookie = ts_socket_cookie(a->fd);
	a->have = 0;
	ts_addr_set4(&any, any4, 0);
	ts_handshake_init(&a->hs, proxy->kind, proxy->flags & TS_PROXY_PIPELINE, proxy->auth, &any);
	a->hs.cmd = TS_SOCKS5_CMD_UDP_ASSOCIATE;
	return 0;
}

void ts_udp_attempt_end(struct ts_udp_attempt *a)
{
	if (a->fd >= 0 && ts_socket_is(a->fd, a->cookie))	/* else the program closed it, and the number is another's */
		ts_sys(SYS_close, a->fd);
	a->fd = -1;
}

int ts_udp_attempt_step(struct ts_udp_attempt *a, struct ts_udp_link *out)
{
	int err = ts_socket_is(a->fd, a->cookie) ? 0 : -EBADF;

	if (!err && !a->connected)
		err = finish_connect(a);
	if (!err)
		err = converse(a);
	if (err == -EAGAIN)
		return err;
	if (!err && a->hs.state == TS_HS_DONE && relay_of(&a->hs, &a->proxy, &out->relay)) {
		ts_debug("proxy %a relays datagrams at %a", &a->proxy.addr, &out->relay);
		err = keep(a->fd, out);
		a->fd = -1;
		return err;
	}
	ts_warn("proxy %a: UDP association failed: %e (reply code %d)", &a->proxy.addr, err ? -err : a->hs.err, a->hs.code);
	ts_udp_attempt_end(a);
	return meaning(err);
}

void ts_udp_link_close(struct ts_udp_link *link)
{
	if (link->page)
		ts_sys(SYS_munmap, link->page, PAGE);
	else if (link->fd >= 0)
		ts_sys(SYS_close, link->fd);
	link->page = NULL;
	link->fd = -1;
}

int64_t ts_udp_now_ms(void)
{
	return ts_coarse_ns() / 1000000;
}

/* What a proxy needs to read a datagram and to send it on, with room to spare. */
#define READ_MS 50

bool ts_udp_link_hurries(const struct ts_udp_link *link, int64_t used_ms)
{
	int64_t now = ts_udp_now_ms();

	return (link->page || link->fd >= 0) && now - used_ms < READ_MS && now - link->made_ms > LINGER_MS - READ_MS;
}

/* Control connections whose sockets are closed: unmapped when the next ones come. Few, for the mappings of a process are counted. */
static struct { void *page; int64_t until_ms; } leaving[8];

void ts_udp_link_leave(struct ts_udp_link *link, int64_t used_ms)
{
	int64_t now = ts_udp_now_ms();
	unsigned at = 0;

	for (unsigned i = 0; i < sizeof(leaving) / sizeof(*leaving); i++) {
		if (leaving[i].page && leaving[i].until_ms <= now) {
			ts_sys(SYS_munmap, leaving[i].page, PAGE);
			leaving[i].page = NULL;
		}
		if (!leaving[i].page || (leaving[at].page && leaving[i].until_ms < leaving[at].until_ms))
			at = i;
	}
	if (!link->page || !ts_udp_link_hurries(link, used_ms)) {
		ts_udp_link_close(link);
		return;
	}
	if (leaving[at].page)
		ts_sys(SYS_munmap, leaving[at].page, PAGE);
	leaving[at].page = link->page;
	leaving[at].until_ms = now + READ_MS;
	link->page = NULL;
	ts_udp_link_close(link);
}

bool ts_udp_link_dead(const struct ts_addr *relay)
{
	union ts_udp_name name;
	int family = ts_addr_is4(relay) ? AF_INET : AF_INET6;
	socklen_t len;
	long fd = ts_sys(SYS_socket, family, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return false;
	ts_udp_name_set(&name, &len, relay, family);
	r = ts_sys(SYS_bind, fd, &name, len);
	ts_sys(SYS_close, fd);
	return r == 0;
}
