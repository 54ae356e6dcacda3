/* SPDX-License-Identifier: MIT */
/* The header that stands in front of each datagram between client and relay (RFC 1928, section 7). Bytes in, bytes out. */
#ifndef TSPROXY_UDP_HEADER_H
#define TSPROXY_UDP_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "tsproxy/addr.h"

#define TS_UDP_HEADER4 10
#define TS_UDP_HEADER6 22
#define TS_UDP_HEADER_MAX TS_UDP_HEADER6	/* we never name a target by a domain, so no answer does */

/* Writes the header for `to` and returns its length. */
size_t ts_udp_header_write(uint8_t out[TS_UDP_HEADER_MAX], const struct ts_addr *to);
/* The length of the header at the start of the `n` bytes at `p`, and who sent what follows; 0 where it is none, or a fragment's. */
size_t ts_udp_header_read(const uint8_t *p, size_t n, struct ts_addr *from);

#endif
