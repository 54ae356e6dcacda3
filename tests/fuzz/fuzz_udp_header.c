/* SPDX-License-Identifier: MIT */
/* The header of relayed datagrams. What is taken for one must be written again as the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tsproxy/udp_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t again[TS_UDP_HEADER_MAX];
	struct ts_addr from;
	size_t n = ts_udp_header_read(data, len, &from);

	if (n > len)
		abort();
	/* An IPv4 address in its IPv6 form is written in the shorter one. */
	if (n && !(data[3] == 4 && ts_addr_is4(&from)) && (ts_udp_header_write(again, &from) != n || memcmp(again, data, n) != 0))
		abort();
	return 0;
}
