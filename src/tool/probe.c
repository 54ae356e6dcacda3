/* SPDX-License-Identifier: MIT */
/*
 * Finds out what a proxy can do without touching any peer: a CONNECT to a listener of our own on loopback, at most
 * three connections one after another, all within TS_PROBE_MS.
 *
 * First step by step, which every server understands: the kind, authentication, and whether BND.ADDR is what the far
 * side (we) sees. Then greeting and request in one write: a server that reads the greeting alone throws the request
 * away, so what counts is that the connection arrives at our listener or an answer to the request comes back. Last UDP
 * ASSOCIATE. A proxy that doesn't dial loopback is still known for what it is by its refusal.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tsproxy/handshake.h"
#include "tsproxy/socks5.h"
#include "tsproxy/tool.h"

#define METHOD_MS 100  /* an HTTP server waits for the end of a line that a greeting has not: don't spend all on that */
#define PIPELINE_MS 50 /* a server that took no pipelined request is silent */

struct talk {
	struct ts_handshake hs;
	int listen_fd;
	int64_t deadline;
	int first_ms; /* limit for the first byte of an answer */
	bool answered;
	bool arrived; /* the connection came to our listener */
	bool bnd_true;
	bool nobody;
	bool closed; /* it ended the connection */
	bool auth_refused;
	char head[256]; /* the first bytes that came, NUL-terminated */
	size_t head_len;
};

int ts_listen_loopback(struct ts_addr *at)
{
	static const uint8_t loopback[4] = { 127, 0, 0, 1 };
	struct sockaddr_storage ss;
	socklen_t len;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ts_addr_set4(at, loopback, 0);
	len = ts_addr_to_sockaddr(at, AF_INET, &ss);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&ss, len) != 0 || listen(fd, 4) != 0 ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) != 0 ||
	    !ts_addr_from_sockaddr(at, (struct sockaddr *)&ss, len)) {
		close(fd);
		return -EIO;
	}
	return fd;
}

static void wait_for(int fd, short events, int64_t until)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left = until - ts_tool_now_ms();

	if (left > 0)
		poll(&p, 1, (int)left);
}

static int dial(struct talk *t, const struct ts_addr *to)
{
	struct sockaddr_storage ss;
	int family = ts_addr_is4(to) ? AF_INET : AF_INET6, err = 0;
	socklen_t len = ts_addr_to_sockaddr(to, family, &ss), err_len = sizeof(err);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&ss, len) != 0) {
		if (errno == EINPROGRESS) {
			wait_for(fd, POLLOUT, t->deadline);
			if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &err_len) != 0 || err)
				t->nobody = true;
		} else {
			t->nobody = true;
		}
	}
	if (t->nobody) {
		close(fd);
		return -ECONNREFUSED;
	}
	return fd;
}

static bool send_next(struct talk *t, int fd, const struct ts_endpoint *e, uint8_t cmd)
{
	uint8_t out[TS_HS_OUT_MAX];
	bool request = t->hs.state == TS_HS_REPLY && !t->hs.pipelined;
	size_t n = ts_handshake_output(&t->hs, out, sizeof(out), e->user, e->pass, NULL);

	if (n == 0)
		return true;
	/* The machine makes CONNECTs; ASSOCIATE differs in this byte alone (RFC 1928, section 4). */
	if (request && n > 1)
		out[1] = cmd;
	return send(fd, out, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static void remember(struct talk *t, const uint8_t *p, size_t n)
{
	size_t room = sizeof(t->head) - 1 - t->head_len;

	if (n > room)
		n = room;
	memcpy(t->head + t->head_len, p, n);
	t->head_len += n;
}

static void feed(struct talk *t, uint8_t *buf, size_t *have, bool eof)
{
	while (t->hs.state != TS_HS_DONE && t->hs.state != TS_HS_FAILED) {
		bool auth = t->hs.state == TS_HS_AUTH || (t->hs.state == TS_HS_METHOD && *have > 1 && buf[1] == 0xff);
		size_t used = ts_handshake_input(&t->hs, buf, *have, eof);

		t->auth_refused = auth && t->hs.state == TS_HS_FAILED;
		if (used == 0)
			return;
		*have -= used;
		memmove(buf, buf + used, *have);
	}
}

static void converse(struct talk *t, int fd, const struct ts_endpoint *e, uint8_t cmd)
{
	int64_t first = ts_tool_now_ms() + t->first_ms;
	uint8_t buf[TS_HS_IN_MAX];
	size_t have = 0;

	while (t->hs.state != TS_HS_DONE && t->hs.state != TS_HS_FAILED) {
		int64_t until = !t->answered && first < t->deadline ? first : t->deadline;
		ssize_t n;

		if (!send_next(t, fd, e, cmd) || have == sizeof(buf))
			return;
		n = recv(fd, buf + have, sizeof(buf) - have, 0);
		if (n < 0 && errno == EAGAIN) {
			if (ts_tool_now_ms() >= until)
				return;
			wait_for(fd, POLLIN, until);
			continue;
		}
		t->closed = n <= 0;
		if (n < 0)
			return;
		if (n > 0) {
			t->answered = true;
			remember(t, buf + have, (size_t)n);
			have += (size_t)n;
		}
		feed(t, buf, &have, n == 0);
	}
}

static void look_at_listener(struct talk *t)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct ts_addr from;
	int fd;

	/*
	 * The success reply may overtake our own accept by nothing: the kernel queued the connection before the proxy
	 * knew of it.
	 */
	fd = accept4(t->listen_fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	t->arrived = true;
	t->bnd_true = t->hs.state == TS_HS_DONE && t->hs.bnd_known &&
		      ts_addr_from_sockaddr(&from, (struct sockaddr *)&ss, len) && ts_addr_equal(&from, &t->hs.bnd);
	close(fd);
}

static void talk(struct talk *t, const struct ts_endpoint *e, bool pipelined, uint8_t cmd, int64_t deadline,
		 int first_ms)
{
	struct ts_addr target;
	int fd;

	memset(t, 0, sizeof(*t));
	t->deadline = deadline;
	t->first_ms = first_ms;
	t->listen_fd = ts_listen_loopback(&target);
	if (t->listen_fd < 0)
		return;
	if (cmd == TS_SOCKS5_CMD_UDP_ASSOCIATE)
		ts_addr_set4(&target, (const uint8_t[4]){ 0 }, 0);
	ts_handshake_init(&t->hs, e->kind, pipelined, e->user[0] != '\0', &target);
	fd = dial(t, &e->addr);
	if (fd >= 0) {
		converse(t, fd, e, cmd);
		look_at_listener(t);
		close(fd);
	}
	close(t->listen_fd);
}

static bool request_answered(const struct talk *t)
{
	return t->hs.state == TS_HS_DONE || (t->hs.state == TS_HS_FAILED && t->hs.code != 0);
}

static enum ts_probe_result probe_socks5(struct ts_endpoint *e, int64_t deadline)
{
	struct talk t;
	int64_t started = ts_tool_now_ms(), limit;

	talk(&t, e, false, TS_SOCKS5_CMD_CONNECT, deadline, METHOD_MS);
	if (t.nobody)
		return TS_PROBE_NOBODY;
	if (!t.answered)
		return t.closed ? TS_PROBE_OTHER : TS_PROBE_TIMEOUT;
	if (t.auth_refused)
		return TS_PROBE_AUTH;
	if (t.head[0] != TS_SOCKS5_VERSION || (t.hs.state == TS_HS_FAILED && t.hs.code == 0))
		return TS_PROBE_OTHER;
	if (t.bnd_true)
		e->flags |= TS_PROXY_BND_TRUE;
	/* With credentials nothing is pipelined: they go only to a proxy that asked for them. */
	limit = ts_tool_now_ms() + 4 * (ts_tool_now_ms() - started) + PIPELINE_MS;
	if (!e->user[0]) {
		talk(&t, e, true, TS_SOCKS5_CMD_CONNECT, limit < deadline ? limit : deadline, TS_PROBE_MS);
		if (t.arrived || request_answered(&t))
			e->flags |= TS_PROXY_PIPELINE;
	}
	talk(&t, e, false, TS_SOCKS5_CMD_UDP_ASSOCIATE, deadline, TS_PROBE_MS);
	if (t.hs.state == TS_HS_DONE)
		e->flags |= TS_PROXY_UDP;
	return TS_PROBE_OK;
}

static enum ts_probe_result probe_http(struct ts_endpoint *e, int64_t deadline)
{
	struct talk t;
	int code;

	talk(&t, e, false, TS_SOCKS5_CMD_CONNECT, deadline, TS_PROBE_MS);
	if (t.nobody)
		return TS_PROBE_NOBODY;
	if (!t.answered)
		return t.closed ? TS_PROBE_OTHER : TS_PROBE_TIMEOUT;
	if (t.head_len < 12 || memcmp(t.head, "HTTP/1.", 7) != 0)
		return TS_PROBE_OTHER;
	code = atoi(t.head + 9);
	if (code == 407)
		return TS_PROBE_AUTH;
	if (t.arrived && code / 100 == 2)
		return TS_PROBE_OK;
	/*
	 * It may well not dial loopback. A web server says 400, 404, 405 or 501 to CONNECT; 403 and the gateway errors
	 * are a proxy's.
	 */
	if (strcasestr(t.head, "\r\nTailscale-Connect-Error:") != NULL)
		return TS_PROBE_OK;
	if ((e->flags & TS_PROXY_CONFIGURED) &&
	    (code / 100 == 2 || code == 403 || code == 500 || (code >= 502 && code <= 504)))
		return TS_PROBE_OK;
	return TS_PROBE_OTHER;
}

enum ts_probe_result ts_probe(struct ts_endpoint *e)
{
	int64_t deadline = ts_tool_now_ms() + TS_PROBE_MS;

	e->flags &= TS_PROXY_CONFIGURED;
	return e->kind == TS_PROXY_HTTP ? probe_http(e, deadline) : probe_socks5(e, deadline);
}

enum ts_probe_result ts_probe_far(const struct ts_endpoint *e)
{
	struct talk t = { .deadline = ts_tool_now_ms() + TS_PROBE_FAR_MS };
	int fd = dial(&t, &e->addr);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	enum ts_probe_result ret;

	if (fd < 0)
		return TS_PROBE_NOBODY;
	ret = poll(&p, 1, 0) > 0 ? TS_PROBE_OK : TS_PROBE_TIMEOUT;
	close(fd);
	return ret;
}
