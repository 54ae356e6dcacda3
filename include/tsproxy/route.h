/* SPDX-License-Identifier: MIT */
/*
 * Ours or not: the one place that decides whether a destination belongs to the tailnet and which proxy carries it.
 * Asks the environment's settings and the map; no system call on the usual path, no lock, no allocation,
 * async-signal-safe.
 */
#ifndef TSPROXY_ROUTE_H
#define TSPROXY_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "tsproxy/addr.h"
#include "tsproxy/handshake.h"

enum ts_verdict {
	TS_PASS,	/* not ours: the call goes to the kernel as it is */
	TS_CARRY,	/* ours: through the proxy */
	TS_DENY,	/* ours, and it cannot be reached: fails with `err` */
};

struct ts_decision {
	enum ts_verdict verdict;
	int err;		/* TS_DENY: positive errno */
	bool loopback;		/* a configured route made a loopback address ours: TCP only, other protocols pass */
	bool remote;		/* TS_CARRY: a placeholder, for a name that the far side resolves: TCP only */
	bool offline;		/* TS_CARRY: the map says that the node is away */
};

/* What a connect needs to know of a proxy; credentials are fetched when asked for (ts_route_credentials). */
struct ts_proxy {
	struct ts_addr addr;
	uint8_t kind;		/* enum ts_endpoint_kind */
	uint8_t flags;		/* enum ts_endpoint_flag */
	bool auth;
};

struct ts_decision ts_route_decide(const struct ts_addr *to);
/* True where that is known to be TS_PASS, from not long ago and by the same map: quicker, and false where it would have to be found out. */
bool ts_route_has_passed(const struct ts_addr *to);

/* The proxy to use. `v4_only`: the socket can reach IPv4 addresses only; `v6_only` likewise. False where there is none. */
bool ts_route_proxy(bool v4_only, bool v6_only, struct ts_proxy *out);
/*
 * The proxy did not take a connection. For two seconds another is used where there is one that the socket can reach; then it is tried
 * again.
 */
void ts_route_proxy_failed(const struct ts_addr *proxy);
/* As ts_route_proxy, among those that did not fail a moment ago. */
bool ts_route_proxy_left(bool v4_only, bool v6_only, struct ts_proxy *out);
/* The same for datagrams, which only SOCKS5 carries. */
bool ts_route_socks5(bool v4_only, bool v6_only, struct ts_proxy *out);
/* True where `a` is a proxy that this process would use: such a peer may be a carried connection's. */
bool ts_route_is_proxy(const struct ts_addr *a);
/* Whether a socket with this local address can have a proxy as its peer, before asking the kernel who it is. */
bool ts_route_may_meet_proxy(const uint8_t local_ip[16]);
/* A message to a proxy, with the user and password for it. Too much for a stack: in scratch memory. */
struct ts_route_message {
	uint8_t out[TS_HS_OUT_MAX];
	char user[256], pass[256];
};

/* ts_handshake_output. */
size_t ts_route_say(struct ts_route_message *m, struct ts_handshake *hs, const struct ts_addr *proxy, const char *host);

#endif
