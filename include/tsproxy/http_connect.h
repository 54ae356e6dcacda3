/* SPDX-License-Identifier: MIT */
/* HTTP CONNECT (RFC 9110, 9.3.6) as bytes in, bytes out: for a proxy without a SOCKS5 port. */
#ifndef TSPROXY_HTTP_CONNECT_H
#define TSPROXY_HTTP_CONNECT_H

#include <stddef.h>
#include <stdint.h>

#include "tsproxy/addr.h"

#define TS_HTTP_RESPONSE_MAX 4096	/* header section; a proxy that says more is refused */
#define TS_HTTP_REQUEST_MAX 1024

/* Writes the request, for `name` where one is given; `user` may be empty. Returns its length, 0 where it does not fit. */
size_t ts_http_connect_request(uint8_t *out, size_t cap, const struct ts_addr *to, const char *name, const char *user,
			       const char *pass);

/*
 * Reads a response's header section at the start of `p`. Returns its length with *err 0 (2xx) or the positive errno that
 * the status line or tailscaled's Tailscale-Connect-Error header means; 0 where more bytes are needed; -EPROTO where it is none.
 */
int ts_http_connect_parse(const uint8_t *p, size_t n, int *err);

#endif
