/* SPDX-License-Identifier: MIT */
/*
 * The reader of a proxy's answers, fed with anything. First byte: which proxy and how it is spoken to; second: how many bytes arrive at
 * a time; the rest: what it says, then its end. Invariants: never a byte beyond what came is consumed, never more is waited for
 * than can come, and at the end of the stream everything is decided.
 */
#include <stdint.h>
#include <stdlib.h>

#include "tsproxy/handshake.h"
#include "tsproxy/map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define REQUIRE(x) \
	do { \
		if (!(x)) \
			abort(); \
	} while (0)

static void feed(struct ts_handshake *hs, const uint8_t **p, size_t *have, size_t more, bool eof)
{
	uint8_t out[TS_HS_OUT_MAX];
	size_t used;

	*have += more;
	while ((used = ts_handshake_input(hs, *p, *have, eof)) > 0) {
		REQUIRE(used <= *have);
		*p += used;
		*have -= used;
		ts_handshake_output(hs, out, sizeof(out), "user", "secret", NULL);
	}
	if (hs->state < TS_HS_DONE)
		REQUIRE(ts_handshake_need(hs, *p, *have) > *have);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ts_handshake hs;
	struct ts_addr to = { .ip = { [10] = 0xff, [11] = 0xff, [12] = 100, [13] = 64, [15] = 2 }, .port = 80 };
	uint8_t out[TS_HS_OUT_MAX];
	const uint8_t *p = data + 2;
	size_t have = 0, left;

	if (len < 2)
		return 0;
	left = len - 2;
	ts_handshake_init(&hs, data[0] & 1 ? TS_PROXY_HTTP : TS_PROXY_SOCKS5, data[0] & 2, data[0] & 4, &to);
	REQUIRE(ts_handshake_output(&hs, out, sizeof(out), "user", "secret", NULL) > 0);
	while (left && hs.state < TS_HS_DONE) {
		size_t step = data[1] && data[1] < left ? data[1] : left;

		feed(&hs, &p, &have, step, false);
		left -= step;
	}
	if (hs.state < TS_HS_DONE)
		feed(&hs, &p, &have, 0, true);
	REQUIRE(hs.state >= TS_HS_DONE);
	REQUIRE(hs.state == TS_HS_DONE || hs.err > 0);
	return 0;
}
