/* SPDX-License-Identifier: MIT */
/* The handshake with every kind of proxy, fed whole, one byte at a time, cut at every byte, and with what is no answer at all. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tsproxy/handshake.h"
#include "tsproxy/map.h"
#include "tsproxy/socks5.h"

static struct ts_addr target(void)
{
	struct ts_addr a;

	ck_assert(ts_addr_parse("100.64.0.2", 10, &a));
	a.port = 5432;
	return a;
}

static struct ts_handshake begin(uint8_t kind, bool pipelined, bool auth)
{
	struct ts_handshake hs;
	struct ts_addr to = target();

	ts_handshake_init(&hs, kind, pipelined, auth, &to);
	return hs;
}

/* What one side has to say now, appended to `out`. */
static size_t say(struct ts_handshake *hs, uint8_t *out)
{
	return ts_handshake_output(hs, out, TS_HS_OUT_MAX, "user", "secret", "db.corp.example");
}

/*
 * Plays `answer` to `hs`, at most `step` bytes more at a time. Returns how many were consumed. Whatever the machine asks for must be
 * there in the end: it may never wait for more than the answer holds.
 */
static size_t play(struct ts_handshake *hs, const uint8_t *answer, size_t len, size_t step)
{
	uint8_t out[TS_HS_OUT_MAX];
	size_t consumed = 0, have = 0;

	say(hs, out);
	while (hs->state < TS_HS_DONE) {
		size_t used;

		if (consumed + have < len) {
			have += step;
			if (consumed + have > len)
				have = len - consumed;
		} else {
			ck_assert_uint_gt(ts_handshake_need(hs, answer + consumed, have), have);
			return consumed;
		}
		while ((used = ts_handshake_input(hs, answer + consumed, have, false)) > 0) {
			ck_assert_uint_le(used, have);
			consumed += used;
			have -= used;
			say(hs, out);
		}
	}
	return consumed;
}

static const uint8_t reply4[] = { 5, 0, 5, 0, 0, 1, 100, 64, 0, 1, 0x12, 0x34 };
static const uint8_t reply6[] = { 5, 0, 5, 0, 0, 4, 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x12, 0x34 };
static const uint8_t reply_name[] = { 5, 0, 5, 0, 0, 3, 3, 'a', '.', 'b', 0, 1 };
static const uint8_t reply_no_name[] = { 5, 0, 5, 0, 0, 3, 0, 0, 1 };
static const struct { const uint8_t *p; size_t len; bool bnd; } good[] = {
	{ reply4, sizeof(reply4), true },
	{ reply6, sizeof(reply6), true },
	{ reply_name, sizeof(reply_name), false },
	{ reply_no_name, sizeof(reply_no_name), false },
};

START_TEST(asks_for_a_name)
{
	static const uint8_t socks[] = "\5\1\0\5\1\0\3\17db.corp.example";
	struct ts_addr to;
	struct ts_handshake hs;
	uint8_t out[TS_HS_OUT_MAX];
	char text[TS_HS_OUT_MAX + 1];
	size_t n;

	ts_addr_parse_hostport("198.19.64.1:80", 14, &to);
	ts_handshake_init(&hs, TS_PROXY_SOCKS5, true, false, &to);
	hs.named = true;
	n = ts_handshake_output(&hs, out, sizeof(out), "", "", "db.corp.example");
	ck_assert_uint_eq(n, sizeof(socks) - 1 + 2);
	ck_assert_mem_eq(out, socks, sizeof(socks) - 1);
	ts_handshake_init(&hs, TS_PROXY_HTTP, false, false, &to);
	hs.named = true;
	n = ts_handshake_output(&hs, out, sizeof(out), "", "", "db.corp.example");
	memcpy(text, out, n);
	text[n] = '\0';
	ck_assert_str_eq(text, "CONNECT db.corp.example:80 HTTP/1.1\r\nHost: db.corp.example:80\r\n\r\n");
	/* The placeholder itself is never asked for. */
	for (int kind = 0; kind < 2; kind++) {
		ts_handshake_init(&hs, kind ? TS_PROXY_HTTP : TS_PROXY_SOCKS5, true, false, &to);
		hs.named = true;
		ck_assert_uint_eq(ts_handshake_output(&hs, out, sizeof(out), "", "", NULL), 0);
		ck_assert_int_eq(hs.state, TS_HS_FAILED);
		ck_assert_int_eq(hs.err, EHOSTUNREACH);
	}
}
END_TEST

START_TEST(socks5_success)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		for (size_t step = 1; step <= good[i].len; step++) {
			struct ts_handshake hs = begin(TS_PROXY_SOCKS5, _i, false);

			ck_assert_uint_eq(play(&hs, good[i].p, good[i].len, step), good[i].len);
			ck_assert_int_eq(hs.state, TS_HS_DONE);
			ck_assert_int_eq(hs.bnd_known, good[i].bnd);
			/* Of a name the port alone is known, at no address. */
			ck_assert_uint_eq(hs.bnd.port, good[i].p[good[i].len - 2] << 8 | good[i].p[good[i].len - 1]);
			ck_assert(good[i].bnd || memcmp(hs.bnd.ip, (uint8_t[16]){ 0 }, 16) == 0);
		}
	}
}
END_TEST

START_TEST(first_words)
{
	static const uint8_t both[] = { 5, 1, 0, 5, 1, 0, 1, 100, 64, 0, 2, 0x15, 0x38 };
	struct ts_handshake hs = begin(TS_PROXY_SOCKS5, true, false);
	uint8_t out[TS_HS_OUT_MAX];

	ck_assert_uint_eq(say(&hs, out), sizeof(both));
	ck_assert_mem_eq(out, both, sizeof(both));
	ck_assert_uint_eq(say(&hs, out), 0);
	hs = begin(TS_PROXY_SOCKS5, false, false);
	ck_assert_uint_eq(say(&hs, out), 3);
	ck_assert_uint_eq(ts_handshake_input(&hs, reply4, 2, false), 2);
	ck_assert_uint_eq(say(&hs, out), sizeof(both) - 3);
	ck_assert_mem_eq(out, both + 3, sizeof(both) - 3);
	ck_assert_uint_eq(say(&hs, out), 0);
}
END_TEST

START_TEST(what_the_far_side_says_first_stays)
{
	uint8_t glued[sizeof(reply4) + 5];
	struct ts_handshake hs = begin(TS_PROXY_SOCKS5, true, false);

	memcpy(glued, reply4, sizeof(reply4));
	memcpy(glued + sizeof(reply4), "hello", 5);
	ck_assert_uint_eq(play(&hs, glued, sizeof(glued), sizeof(glued)), sizeof(reply4));
	ck_assert_int_eq(hs.state, TS_HS_DONE);
}
END_TEST

START_TEST(end_of_stream_at_every_byte)
{
	for (size_t cut = 0; cut < sizeof(reply4); cut++) {
		struct ts_handshake hs = begin(TS_PROXY_SOCKS5, true, false);
		uint8_t out[TS_HS_OUT_MAX];
		size_t used;

		say(&hs, out);
		used = ts_handshake_input(&hs, reply4, cut, true);
		while (hs.state < TS_HS_DONE)
			used += ts_handshake_input(&hs, reply4 + used, cut - used, true);
		ck_assert_int_eq(hs.state, TS_HS_FAILED);
		ck_assert_int_eq(hs.err, ECONNREFUSED);
	}
}
END_TEST

START_TEST(refusals)
{
	static const int want[] = { 0, ECONNREFUSED, EACCES, ENETUNREACH, EHOSTUNREACH, ECONNREFUSED, ETIMEDOUT, EOPNOTSUPP,
				    EAFNOSUPPORT, ECONNREFUSED, ECONNREFUSED };

	for (uint8_t code = 1; code < 11; code++) {
		struct ts_handshake hs = begin(TS_PROXY_SOCKS5, true, false);
		uint8_t refusal[sizeof(reply4)];

		memcpy(refusal, reply4, sizeof(refusal));
		refusal[3] = code;
		play(&hs, refusal, sizeof(refusal), 1);
		ck_assert_int_eq(hs.state, TS_HS_FAILED);
		ck_assert_int_eq(hs.code, code);
		ck_assert_int_eq(ts_socks5_code_errno(code, 10, false), want[code]);
	}
	ck_assert_int_eq(ts_socks5_code_errno(1, 5000, false), ETIMEDOUT);
	ck_assert_int_eq(ts_socks5_code_errno(1, 10, true), ETIMEDOUT);
}
END_TEST

static const struct { uint8_t p[12]; int err; } nonsense[] = {
	{ { 4, 0, 5, 0, 0, 1 }, ECONNREFUSED },
	{ { 5, 0, 4, 0, 0, 1 }, ECONNREFUSED },
	{ { 5, 0, 5, 0, 0, 2 }, ECONNREFUSED },
	{ { 5, 0xff }, EACCES },
	{ { 5, 2 }, ECONNREFUSED },
	{ { 'H', 'T', 'T', 'P' }, ECONNREFUSED },
};

START_TEST(no_socks_at_all)
{
	struct ts_handshake hs = begin(TS_PROXY_SOCKS5, true, false);

	play(&hs, nonsense[_i].p, sizeof(nonsense[_i].p), 1);
	ck_assert_int_eq(hs.state, TS_HS_FAILED);
	ck_assert_int_eq(hs.err, nonsense[_i].err);
}
END_TEST

START_TEST(user_and_password)
{
	static const uint8_t granted[] = { 5, 2, 1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0 };
	static const uint8_t open[] = { 5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0 };
	static const uint8_t refused[] = { 5, 2, 1, 1 };
	static const uint8_t auth[] = { 1, 4, 'u', 's', 'e', 'r', 6, 's', 'e', 'c', 'r', 'e', 't' };
	struct ts_handshake hs = begin(TS_PROXY_SOCKS5, true, true);
	uint8_t out[TS_HS_OUT_MAX];

	ck_assert_uint_eq(say(&hs, out), 4);
	ck_assert_mem_eq(out, "\5\2\0\2", 4);
	ck_assert_uint_eq(ts_handshake_input(&hs, granted, 2, false), 2);
	ck_assert_uint_eq(say(&hs, out), sizeof(auth));
	ck_assert_mem_eq(out, auth, sizeof(auth));
	hs = begin(TS_PROXY_SOCKS5, false, true);
	ck_assert_uint_eq(play(&hs, granted, sizeof(granted), 1), sizeof(granted));
	ck_assert_int_eq(hs.state, TS_HS_DONE);
	/* One that wants no user takes who names one; one that was offered none may not ask for it. */
	hs = begin(TS_PROXY_SOCKS5, false, true);
	ck_assert_uint_eq(play(&hs, open, sizeof(open), 1), sizeof(open));
	ck_assert_int_eq(hs.state, TS_HS_DONE);
	hs = begin(TS_PROXY_SOCKS5, false, false);
	play(&hs, granted, sizeof(granted), 1);
	ck_assert_int_eq(hs.state, TS_HS_FAILED);
	hs = begin(TS_PROXY_SOCKS5, false, true);
	play(&hs, refused, sizeof(refused), 1);
	ck_assert_int_eq(hs.state, TS_HS_FAILED);
	ck_assert_int_eq(hs.err, EACCES);
}
END_TEST

static const struct { const char *text; int state, err; } responses[] = {
	{ "HTTP/1.1 200 OK\r\n\r\n", TS_HS_DONE, 0 },
	{ "HTTP/1.0 200 Connection established\r\nX: y\r\n\r\n", TS_HS_DONE, 0 },
	{ "HTTP/1.1 500 x\r\nTailscale-Connect-Error: connect tcp 100.64.0.2:3999: connection was refused\r\n\r\n", TS_HS_FAILED,
	  ECONNREFUSED },
	{ "HTTP/1.1 500 x\r\nTailscale-Connect-Error: connect tcp 100.64.0.2:1: operation timed out\r\n\r\n", TS_HS_FAILED, ETIMEDOUT },
	{ "HTTP/1.1 502 x\r\nE: no route to host\r\n\r\n", TS_HS_FAILED, EHOSTUNREACH },
	{ "HTTP/1.1 504 Gateway Timeout\r\n\r\n", TS_HS_FAILED, ETIMEDOUT },
	{ "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", TS_HS_FAILED, EACCES },
	{ "HTTP/1.1 xyz\r\n\r\n", TS_HS_FAILED, ECONNREFUSED },
	{ "SSH-2.0-OpenSSH\r\n\r\n", TS_HS_FAILED, ECONNREFUSED },
	{ "HTTP/1.1 200 OK\r\n", TS_HS_RESPONSE, 0 },
};

START_TEST(http_connect)
{
	size_t len = strlen(responses[_i].text);

	for (size_t step = 1; step <= len; step++) {
		struct ts_handshake hs = begin(TS_PROXY_HTTP, false, false);

		play(&hs, (const uint8_t *)responses[_i].text, len, step);
		ck_assert_int_eq(hs.state, responses[_i].state);
		ck_assert_int_eq(hs.err, responses[_i].err);
	}
}
END_TEST

START_TEST(http_request)
{
	static const char plain[] = "CONNECT 100.64.0.2:5432 HTTP/1.1\r\nHost: 100.64.0.2:5432\r\n\r\n";
	struct ts_handshake hs = begin(TS_PROXY_HTTP, false, false);
	uint8_t out[TS_HS_OUT_MAX + 1];
	size_t n = say(&hs, out);

	ck_assert_uint_eq(n, sizeof(plain) - 1);
	ck_assert_mem_eq(out, plain, n);
	hs = begin(TS_PROXY_HTTP, false, true);
	out[say(&hs, out)] = '\0';
	ck_assert_ptr_nonnull(strstr((char *)out, "\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n"));
}
END_TEST

START_TEST(endless_header)
{
	struct ts_handshake hs = begin(TS_PROXY_HTTP, false, false);
	uint8_t out[TS_HS_OUT_MAX], flood[TS_HS_IN_MAX];

	memset(flood, 'a', sizeof(flood));
	memcpy(flood, "HTTP/1.1 200 OK\r\n", 17);
	say(&hs, out);
	ck_assert_uint_eq(ts_handshake_input(&hs, flood, sizeof(flood), false), 0);
	ck_assert_int_eq(hs.state, TS_HS_FAILED);
}
END_TEST

START_TEST(longest_domain)
{
	uint8_t answer[2 + TS_SOCKS5_REPLY_MAX] = { 5, 0, 5, 0, 0, 3, 255 };

	for (size_t step = 1; step < sizeof(answer); step += 7) {
		struct ts_handshake hs = begin(TS_PROXY_SOCKS5, true, false);

		ck_assert_uint_eq(play(&hs, answer, sizeof(answer), step), sizeof(answer));
		ck_assert_int_eq(hs.state, TS_HS_DONE);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("handshake");
	TCase *t = tcase_create("handshake");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, socks5_success, 0, 2);
	tcase_add_test(t, asks_for_a_name);
	tcase_add_test(t, first_words);
	tcase_add_test(t, what_the_far_side_says_first_stays);
	tcase_add_test(t, end_of_stream_at_every_byte);
	tcase_add_test(t, refusals);
	tcase_add_loop_test(t, no_socks_at_all, 0, sizeof(nonsense) / sizeof(*nonsense));
	tcase_add_test(t, user_and_password);
	tcase_add_loop_test(t, http_connect, 0, sizeof(responses) / sizeof(*responses));
	tcase_add_test(t, http_request);
	tcase_add_test(t, endless_header);
	tcase_add_test(t, longest_domain);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
