/* SPDX-License-Identifier: MIT */
/*
 * Whether anything leads to the tailnet. The proxy is not connected to: a port of this machine at which somebody listens
 * cannot be bound, and that is asked without anybody's noticing.
 */
#include "way.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "environ.h"
#include "help.h"
#include "tsproxy/buf.h"
#include "tsproxy/map.h"
#include "tsproxy/sys.h"

/* As the daemon's own listener would: what is left of a former connection is no obstacle (SO_REUSEADDR, socket(7)). */
static bool nobody_listens(const struct ts_addr *a)
{
	int family = ts_addr_is4(a) ? AF_INET : AF_INET6, on = 1, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	socklen_t len = ts_addr_to_sockaddr(a, family, &ss);
	bool could;

	if (fd < 0)
		return false;
	could = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 && bind(fd, (struct sockaddr *)&ss, len) == 0;
	close(fd);
	return could;
}

static enum ts_way_kind judge(int fd, const struct ts_map_header *h, struct ts_endpoint *e)
{
	struct ts_map_endpoint first;

	if (memcmp(h->magic, TS_MAP_MAGIC, sizeof(h->magic)) != 0 || h->version != TS_MAP_VERSION || h->header_len != sizeof(*h))
		return TS_WAY_NO_MAP;
	if (h->flags & TS_MAP_TUN)
		return TS_WAY_KERNEL;
	if (h->state == TS_STATE_STOPPED || h->state == TS_STATE_NEEDS_LOGIN)
		return TS_WAY_DOWN;
	if (!h->endpoints.count || pread(fd, &first, sizeof(first), h->endpoints.off) != sizeof(first))
		return TS_WAY_NO_PROXY;
	memcpy(e->addr.ip, first.ip, sizeof(first.ip));
	e->addr.port = first.port;
	e->kind = first.kind;
	e->flags = first.flags;
	if (ts_ip_is_loopback(first.ip) && h->endpoints.count == 1 && nobody_listens(&e->addr))
		return TS_WAY_GONE;
	return h->flags & TS_MAP_NO_ANSWER ? TS_WAY_NO_ANSWER : TS_WAY_PROXY;
}

void ts_way_find(const char *map_path, struct ts_way *out)
{
	struct ts_map_header h;
	int fd = map_path[0] ? (int)ts_sys(SYS_openat, AT_FDCWD, map_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY) : -1;

	memset(out, 0, sizeof(*out));
	if (fd < 0)
		return;
	if (pread(fd, &h, sizeof(h), 0) == sizeof(h)) {
		out->kind = judge(fd, &h, &out->e);
		out->nodes = h.nodes.count;
	}
	close(fd);
}

void ts_way_say(const struct ts_way *way)
{
	char at[TS_ADDR_TEXT_MAX], count[24];
	struct ts_wr w = ts_wr_over(count, sizeof(count));

	ts_addr_format(&way->e.addr, at);
	ts_wr_dec(&w, way->nodes);
	ts_wr_end(&w);
	switch (way->kind) {
	case TS_WAY_NO_MAP:
		ts_say("the tailnet cannot be reached: no tailscaled was found; start one with tsproxy up");
		break;
	case TS_WAY_DOWN:
		ts_say("the tailnet cannot be reached: tailscaled is stopped or logged out; run tsproxy up");
		break;
	case TS_WAY_NO_PROXY:
		ts_say("the tailnet cannot be reached: tailscaled has no proxy; run tsproxy doctor");
		break;
	case TS_WAY_GONE:
		ts_say("the tailnet cannot be reached: no proxy listens at ", at, "; start tailscaled with tsproxy up");
		break;
	case TS_WAY_NO_ANSWER:
		ts_say("the tailnet cannot be reached: the proxy at ", at, " does not work; run tsproxy doctor");
		break;
	case TS_WAY_PROXY:
		ts_say("connections to the tailnet go through ", way->e.kind == TS_PROXY_HTTP ? "http " : "socks5 ", at, " (",
		       count, " nodes)");
		break;
	case TS_WAY_KERNEL:
		ts_say("the kernel routes the tailnet (TUN): connections need no proxy");
		break;
	}
}

/* Go's net/http reads HTTPS_PROXY, and not ALL_PROXY. */
const char *ts_way_instead(const char *map_path)
{
	static const char ssh[] = "; for ssh: ProxyCommand tsproxy -- nc %h %p";
	char at[TS_ADDR_TEXT_MAX];
	struct ts_way way;

	ts_way_find(map_path, &way);
	if (way.kind == TS_WAY_KERNEL)
		return "run it without tsproxy: the kernel routes the tailnet";
	if (way.kind != TS_WAY_PROXY)
		return ts_join("for HTTPS: set HTTPS_PROXY to the proxy that tsproxy status shows", ssh);
	ts_addr_format(&way.e.addr, at);
	return ts_join("for HTTPS: HTTPS_PROXY=", way.e.kind == TS_PROXY_HTTP ? "http://" : "socks5://",
		       way.e.flags & TS_PROXY_AUTH ? "USER:PASSWORD@" : "", at, ssh);
}
