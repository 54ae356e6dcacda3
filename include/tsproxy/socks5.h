/* SPDX-License-Identifier: MIT */
/*
 * SOCKS5 (RFC 1928, RFC 1929) as bytes in, bytes out: no sockets, no state, no allocation.
 * The datagrams' header is in udp_header.h; the state machine over this and HTTP CONNECT is in handshake.h.
 */
#ifndef TSPROXY_SOCKS5_H
#define TSPROXY_SOCKS5_H

#include <stddef.h>
#include <stdint.h>

#include "tsproxy/addr.h"

#define TS_SOCKS5_VERSION 5
#define TS_SOCKS5_METHOD_NONE 0x00
#define TS_SOCKS5_METHOD_USERPASS 0x02
#define TS_SOCKS5_METHOD_REFUSED 0xff
#define TS_SOCKS5_CMD_CONNECT 1
#define TS_SOCKS5_CMD_UDP_ASSOCIATE 3
#define TS_SOCKS5_ATYP_IPV4 1
#define TS_SOCKS5_ATYP_DOMAIN 3
#define TS_SOCKS5_ATYP_IPV6 4
#define TS_SOCKS5_REPLY_MIN 7	/* a domain of no bytes */
#define TS_SOCKS5_REPLY_MAX 262	/* VER REP RSV ATYP LEN 255 PORT */
#define TS_SOCKS5_REQUEST_MAX 262
#define TS_SOCKS5_AUTH_MAX 513

/* Reply field REP (RFC 1928, section 6). */
enum ts_socks5_code {
	TS_SOCKS5_OK, TS_SOCKS5_FAILURE, TS_SOCKS5_NOT_ALLOWED, TS_SOCKS5_NET_UNREACHABLE, TS_SOCKS5_HOST_UNREACHABLE,
	TS_SOCKS5_REFUSED, TS_SOCKS5_TTL_EXPIRED, TS_SOCKS5_BAD_COMMAND, TS_SOCKS5_BAD_ADDRESS,
};

struct ts_socks5_reply {
	uint8_t code;		/* enum ts_socks5_code, or whatever came */
	bool bnd_known;		/* an address came (not a domain) */
	struct ts_addr bnd;	/* of a domain: the port alone */
};

/* Each writes a message to `out` and returns its length; 0 where it does not fit in `cap`. */
size_t ts_socks5_greeting(uint8_t *out, size_t cap, bool auth);	/* auth: offers user/password too */
size_t ts_socks5_auth(uint8_t *out, size_t cap, const char *user, const char *pass);
size_t ts_socks5_request(uint8_t *out, size_t cap, uint8_t cmd, const struct ts_addr *to);
/* The far side resolves `host` (at most 255 bytes). */
size_t ts_socks5_request_name(uint8_t *out, size_t cap, uint8_t cmd, const char *host, uint16_t port);

/*
 * Each reads one message at the start of `p` and returns its length (the bytes to consume), or
 *   0          more bytes are needed: *need says how many the message has at least in all;
 *   -EPROTO    it is none.
 */
int ts_socks5_parse_method(const uint8_t *p, size_t n, uint8_t *method, size_t *need);
int ts_socks5_parse_auth(const uint8_t *p, size_t n, bool *granted, size_t *need);
int ts_socks5_parse_reply(const uint8_t *p, size_t n, struct ts_socks5_reply *out, size_t *need);

#endif
