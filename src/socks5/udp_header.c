/* SPDX-License-Identifier: MIT */
/* See udp_header.h. */
#include "tsproxy/udp_header.h"

#include "tsproxy/buf.h"
#include "tsproxy/socks5.h"

size_t ts_udp_header_write(uint8_t out[TS_UDP_HEADER_MAX], const struct ts_addr *to)
{
	bool is4 = ts_addr_is4(to);
	struct ts_wr w = ts_wr_over(out, TS_UDP_HEADER_MAX);

	ts_wr_be16(&w, 0);
	ts_wr_u8(&w, 0);
	ts_wr_u8(&w, is4 ? TS_SOCKS5_ATYP_IPV4 : TS_SOCKS5_ATYP_IPV6);
	ts_wr_bytes(&w, is4 ? to->ip + 12 : to->ip, is4 ? 4 : 16);
	ts_wr_be16(&w, to->port);
	return w.len;
}

size_t ts_udp_header_read(const uint8_t *p, size_t n, struct ts_addr *from)
{
	struct ts_rd r = ts_rd_over(p, n);
	bool whole = ts_rd_be16(&r) == 0;
	const uint8_t *ip;
	uint8_t type;
	uint16_t port;

	whole = ts_rd_u8(&r) == 0 && whole;
	type = ts_rd_u8(&r);
	if (!whole || (type != TS_SOCKS5_ATYP_IPV4 && type != TS_SOCKS5_ATYP_IPV6))
		return 0;
	ip = ts_rd_bytes(&r, type == TS_SOCKS5_ATYP_IPV4 ? 4 : 16);
	port = ts_rd_be16(&r);
	if (r.bad)
		return 0;
	if (type == TS_SOCKS5_ATYP_IPV4)
		ts_addr_set4(from, ip, port);
	else
		ts_addr_set6(from, ip, port);
	return n - r.left;
}
