/* SPDX-License-Identifier: MIT */
/* The header of relayed datagrams: both families there and back, cut at every byte, and with what is none. */
#include <check.h>
#include <string.h>

#include "tsproxy/udp_header.h"
#include "unit.h"

static struct ts_addr addr(const char *text)
{
	struct ts_addr a;

	ck_assert(ts_addr_parse_hostport(text, strlen(text), &a));
	return a;
}

START_TEST(bytes)
{
	static const uint8_t want4[] = { 0, 0, 0, 1, 100, 64, 0, 2, 0x0f, 0xa0 };
	uint8_t out[TS_UDP_HEADER_MAX];
	struct ts_addr v4 = addr("100.64.0.2:4000"), v6 = addr("[fd7a:115c:a1e0::2]:53");

	ck_assert_uint_eq(ts_udp_header_write(out, &v4), TS_UDP_HEADER4);
	ck_assert_mem_eq(out, want4, sizeof(want4));
	ck_assert_uint_eq(ts_udp_header_write(out, &v6), TS_UDP_HEADER6);
	ck_assert_mem_eq(out, "\0\0\0\4\xfd\x7a\x11\x5c\xa1\xe0\0\0\0\0\0\0\0\0\0\2\0\x35", TS_UDP_HEADER6);
}
END_TEST

START_TEST(there_and_back)
{
	static const char *const texts[] = { "100.64.0.2:4000", "[fd7a:115c:a1e0::2]:53", "1.2.3.4:65535", "[::1]:1" };

	for (size_t i = 0; i < 4; i++) {
		struct ts_addr to = addr(texts[i]), from;
		uint8_t p[TS_UDP_HEADER_MAX + 3] = { 0 };
		size_t len = ts_udp_header_write(p, &to);

		ck_assert_uint_eq(ts_udp_header_read(p, len + 3, &from), len);
		ck_assert(ts_addr_equal(&to, &from));
		for (size_t cut = 0; cut < len; cut++)
			ck_assert_uint_eq(ts_udp_header_read(p, cut, &from), 0);
	}
}
END_TEST

START_TEST(none)
{
	static const char *const bad[] = {
		"\1\0\0\1\1\2\3\4\0\1", "\0\1\0\1\1\2\3\4\0\1",	/* the reserved bytes are zero */
		"\0\0\1\1\1\2\3\4\0\1", "\0\0\x80\1\1\2\3\4\0\1",	/* a fragment */
		"\0\0\0\0\1\2\3\4\0\1", "\0\0\0\3\3abc\0\1", "\0\0\0\5\1\2\3\4\0\1",
	};
	struct ts_addr from;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_uint_eq(ts_udp_header_read((const uint8_t *)bad[i], 10, &from), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("udp_header");
	TCase *c = tcase_create("header");

	tcase_add_test(c, bytes);
	tcase_add_test(c, there_and_back);
	tcase_add_test(c, none);
	suite_add_tcase(s, c);
	return unit_run(s);
}
