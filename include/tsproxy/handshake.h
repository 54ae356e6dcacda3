/* SPDX-License-Identifier: MIT */
/*
 * What is said to a proxy until a connection stands, as a state machine fed with bytes: it never sees a socket. The
 * same machine serves a blocking connect, a pending one that any thread may advance, and the tests.
 *
 *            pipelined: both at once
 *   START ──────────────────────────────► METHOD ─► [AUTH] ─► REPLY ─► DONE
 *            else: greeting, then request after the method            └► FAILED (err)
 *   HTTP:  START ─► RESPONSE ─► DONE | FAILED
 */
#ifndef TSPROXY_HANDSHAKE_H
#define TSPROXY_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tsproxy/addr.h"

enum ts_hs_state {
	TS_HS_START,	/* nothing sent */
	TS_HS_METHOD,	/* greeting sent; its answer is awaited */
	TS_HS_AUTH,	/* RFC 1929 message sent */
	TS_HS_REPLY,	/* request sent */
	TS_HS_RESPONSE,	/* HTTP request sent */
	TS_HS_DONE,
	TS_HS_FAILED,
};

/* Plain data: it may live in memory shared between processes. */
struct ts_handshake {
	uint8_t state;		/* enum ts_hs_state */
	uint8_t kind;		/* enum ts_endpoint_kind */
	uint8_t cmd;		/* SOCKS5: TS_SOCKS5_CMD_CONNECT, unless changed before the first output */
	bool pipelined;
	bool auth;
	bool named;		/* set after init: the proxy is asked for a name, and resolves it */
	bool sent;		/* AUTH, REPLY: this state's message was handed out */
	bool bnd_known;
	uint8_t code;		/* the REP field of a refusal; 0 where the failure was another */
	int err;		/* FAILED: positive errno */
	struct ts_addr target;
	struct ts_addr bnd;	/* DONE: the address the far side sees, where the proxy said it */
};

#define TS_HS_OUT_MAX 1024	/* the longest message */
#define TS_HS_IN_MAX 4096	/* the longest answer */

void ts_handshake_init(struct ts_handshake *hs, uint8_t kind, bool pipelined, bool auth, const struct ts_addr *target);

/*
 * The message to send now; its length, or 0 where there is none to send (an answer is awaited, or all is over).
 * Each message is handed out once. `user` and `pass` matter only where `auth` was set, `host` only where `named` was; without one
 * such a handshake fails.
 */
size_t ts_handshake_output(struct ts_handshake *hs, uint8_t *out, size_t cap, const char *user, const char *pass,
			   const char *host);

/*
 * Feeds the unread bytes of the stream (`eof`: none will follow). Returns how many of them belong to the handshake and must be
 * consumed: never a byte of what the far side says first. Call again with the rest while it returns more than 0.
 */
size_t ts_handshake_input(struct ts_handshake *hs, const uint8_t *p, size_t n, bool eof);

/* How many unread bytes must be there before ts_handshake_input can go on, given that `have` are: never less than 1. */
size_t ts_handshake_need(const struct ts_handshake *hs, const uint8_t *p, size_t have);

/* The errno for a reply code (RFC 1928, section 6), after `elapsed_ms`, `offline`: the map says that the peer is away. */
int ts_socks5_code_errno(uint8_t code, unsigned elapsed_ms, bool offline);

#endif
