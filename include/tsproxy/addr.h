/* SPDX-License-Identifier: MIT */
/*
 * Addresses, prefixes and endpoints as one plain value type.
 *
 * An IPv4 address is kept as its IPv4-mapped IPv6 form (RFC 4291, 2.5.5.2), so that one
 * 16-byte key serves tables, prefixes and comparisons alike, and a program's AF_INET6
 * socket that names ::ffff:100.64.0.2 means the same as an AF_INET one that names 100.64.0.2.
 *
 * Nothing here allocates, blocks, or touches errno; everything is async-signal-safe.
 */
#ifndef TSPROXY_ADDR_H
#define TSPROXY_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct ts_addr {
	uint8_t ip[16];	/* network order; IPv4 as ::ffff:a.b.c.d */
	uint16_t port;	/* host order; 0 where only the address counts */
};

/* A set of addresses that share their first `bits` bits. IPv4 prefixes count from the mapped form: /10 is 106. */
struct ts_prefix {
	uint8_t ip[16];
	uint8_t bits;	/* 0 to 128 */
};

#define TS_ADDR_TEXT_MAX 64	/* "[" IPv6 "]:65535" and a NUL, with room */

bool ts_addr_is4(const struct ts_addr *a);
bool ts_ip_is4(const uint8_t ip[16]);
/* 127.0.0.0/8 or ::1. */
bool ts_ip_is_loopback(const uint8_t ip[16]);
/* 0.0.0.0 or ::, the unspecified address. */
bool ts_ip_is_any(const uint8_t ip[16]);
/* 169.254.0.0/16, fe80::/10, multicast of either family, the unspecified address, 255.255.255.255. */
bool ts_ip_is_local_scope(const uint8_t ip[16]);
/* 100.64.0.0/10 (RFC 6598) or fd7a:115c:a1e0::/48, where Tailscale numbers nodes. */
bool ts_ip_is_tailscale(const uint8_t ip[16]);
/* 100.100.100.100 or fd7a:115c:a1e0::53, the daemon's own service address. */
bool ts_ip_is_tailscale_service(const uint8_t ip[16]);
bool ts_addr_equal(const struct ts_addr *a, const struct ts_addr *b);	/* address and port */

void ts_addr_set4(struct ts_addr *a, const uint8_t ip4[4], uint16_t port);
void ts_addr_set6(struct ts_addr *a, const uint8_t ip6[16], uint16_t port);

/* False where the family is neither AF_INET nor AF_INET6, or `len` is too short for it (the kernel says what then). */
bool ts_addr_from_sockaddr(struct ts_addr *out, const struct sockaddr *sa, socklen_t len);

/*
 * Writes `a` as a sockaddr of `family` (AF_INET or AF_INET6; an IPv4 address becomes mapped in
 * the latter). Returns its length, or 0 where an IPv6 address was asked for as AF_INET.
 */
socklen_t ts_addr_to_sockaddr(const struct ts_addr *a, int family, struct sockaddr_storage *out);

/*
 * What a system call does with a caller's address buffer (accept(2), NOTES): copies as much as
 * fits in *len and sets *len to the true length. Does nothing where `dst` or `len` is null.
 */
void ts_sockaddr_copy_out(const struct sockaddr_storage *src, socklen_t src_len, struct sockaddr *dst, socklen_t *len);

/* Numeric text only, no scope, no port. `len` bytes at `s`; no NUL needed. */
bool ts_addr_parse(const char *s, size_t len, struct ts_addr *out);
/* "HOST:PORT", "[IPv6]:PORT" or "PORT"; HOST numeric or "localhost" (127.0.0.1). */
bool ts_addr_parse_hostport(const char *s, size_t len, struct ts_addr *out);
/* "100.64.0.0/10", "fd00::/8", or an address alone (one host). Bits beyond the prefix are cleared. */
bool ts_prefix_parse(const char *s, size_t len, struct ts_prefix *out);
bool ts_prefix_contains(const struct ts_prefix *p, const uint8_t ip[16]);
/* True where every address of `inner` is in `outer`. */
bool ts_prefix_covers(const struct ts_prefix *outer, const struct ts_prefix *inner);

/* Canonical text (RFC 5952), NUL-terminated; returns its length. With a port: "1.2.3.4:80", "[::1]:80". */
size_t ts_ip_format(const uint8_t ip[16], char out[TS_ADDR_TEXT_MAX]);
size_t ts_addr_format(const struct ts_addr *a, char out[TS_ADDR_TEXT_MAX]);

#endif
