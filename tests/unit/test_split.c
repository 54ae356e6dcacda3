/* SPDX-License-Identifier: MIT */
/* Split DNS before anybody is asked: what settings and the daemon say, what of it is in the map, and which server a name gets. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tsproxy/conf.h"
#include "tsproxy/settings.h"
#include "tsproxy/split.h"
#include "tsproxy/status.h"

static const struct { const char *text, *suffix, *server; } texts[] = {
	{ "corp.example=10.0.0.53", "corp.example", "10.0.0.53:53" }, { "corp=1.2.3.4:5353", "corp", "1.2.3.4:5353" },
	{ ".Corp.Example.=fd00::53", "Corp.Example", "[fd00::53]:53" }, { "x=[fd00::53]", "x", "[fd00::53]:53" },
	{ "x=[fd00::53]:5353", "x", "[fd00::53]:5353" }, { "9.10.in-addr.arpa=127.0.0.1:1", "9.10.in-addr.arpa", "127.0.0.1:1" },
	{ "_a-b.c=::1", "_a-b.c", "[::1]:53" },
	{ "", NULL, NULL }, { "corp.example", NULL, NULL }, { "=10.0.0.1", NULL, NULL }, { "x=", NULL, NULL }, { ".=10.0.0.1", NULL, NULL },
	{ "x=53", NULL, NULL }, { "x=localhost:53", NULL, NULL }, { "x=db:53", NULL, NULL }, { "x=10.0.0.1:", NULL, NULL },
	{ "x=10.0.0.1:0", NULL, NULL }, { "x=10.0.0.1:65536", NULL, NULL }, { "x=10.0.0.1:5x", NULL, NULL }, { "x=10.0.0", NULL, NULL },
	{ "x=[10.0.0.1]", NULL, NULL }, { "x=[fd00::1", NULL, NULL }, { "x=[]:53", NULL, NULL }, { "x=:53", NULL, NULL },
	{ "a..b=10.0.0.1", NULL, NULL }, { "..a=10.0.0.1", NULL, NULL }, { "a b=10.0.0.1", NULL, NULL }, { "a/b=10.0.0.1", NULL, NULL },
	{ "x=https://dns.example/q", NULL, NULL },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=10.0.0.1", NULL, NULL },
};

START_TEST(reads_settings)
{
	struct ts_conf_dns_route r;
	char server[TS_ADDR_TEXT_MAX];
	bool ok = ts_conf_parse_dns_route(texts[_i].text, strlen(texts[_i].text), &r);

	ck_assert_msg(ok == (texts[_i].suffix != NULL), "%s", texts[_i].text);
	if (!ok)
		return;
	ck_assert_uint_eq(r.suffix_len, strlen(texts[_i].suffix));
	ck_assert_int_eq(memcmp(r.suffix, texts[_i].suffix, r.suffix_len), 0);
	ts_addr_format(&r.server, server);
	ck_assert_str_eq(server, texts[_i].server);
}
END_TEST

START_TEST(reads_lists)
{
	const char *list = " a=10.0.0.1,,b=10.0.0.2 nonsense\tc=10.0.0.3,", *suffixes[] = { "a", "b", "c" };
	struct ts_conf_dns_route r;
	bool bad = false;
	unsigned n = 0;

	while (ts_conf_next_dns_route(&list, &r, &bad))
		ck_assert(r.suffix_len == 1 && *r.suffix == *suffixes[n++]);
	ck_assert(n == 3 && bad && *list == '\0');
}
END_TEST

/* The map of a tailnet whose daemon says this of DNS, and settings; not yet of what the environment says. */
static struct ts_map build(const char *dns, const char *settings)
{
	static const char status[] = "{\"BackendState\":\"Running\",\"MagicDNSSuffix\":\"tail1.ts.net\"}";
	struct ts_dns_route routes[8];
	struct ts_map_settings set = { .dns_route = routes };
	char why[TS_STATUS_WHY_MAX] = "";
	struct ts_conf_dns_route r;
	struct ts_tailnet tn;
	struct ts_map m;
	uint8_t *data;
	bool bad = false;

	ck_assert_int_eq(ts_status_parse(status, strlen(status), &tn, why), 0);
	ck_assert_int_eq(ts_status_parse_dns(dns, strlen(dns), &tn), 0);
	while (ts_conf_next_dns_route(&settings, &r, &bad))
		routes[set.dns_route_count++] = (struct ts_dns_route){ strndup(r.suffix, r.suffix_len), r.server };
	ck_assert_int_eq(ts_map_build(&tn, &set, &data, &m.len), 0);
	m.base = data;
	m.proof = NULL;
	ck_assert_int_eq(ts_map_check(&m), 0);
	ts_tailnet_free(&tn);
	for (size_t i = 0; i < set.dns_route_count; i++)
		free(routes[i].suffix);
	return m;
}

/* "SERVER SERVER...", "none" or "unserved"; "-" where the name is nobody's. */
static void says(const char *list, const struct ts_map *m, const char *name, const char *want)
{
	struct ts_split s;
	char text[5 * TS_ADDR_TEXT_MAX] = "";

	if (!ts_split_find_in(list, m, name, strlen(name), &s)) {
		strcpy(text, "-");
	} else if (s.count == 0) {
		strcpy(text, s.flags & TS_DNS_ROUTE_NO_SERVER ? "none" : s.flags & TS_DNS_ROUTE_UNSERVED ? "unserved" : "?");
	}
	for (unsigned i = 0; text[0] != '-' && i < s.count; i++) {
		if (i)
			strcat(text, " ");
		ts_addr_format(&s.server[i], text + strlen(text));
	}
	ck_assert_msg(strcmp(text, want) == 0, "%s: %s, not %s", name, text, want);
}

static const char tailnet[] =
	"{\"Routes\":{\"corp.example\":[{\"Addr\":\"100.64.0.53\"},{\"Addr\":\"[fd00::53]:5353\"}],"
	"\"deep.corp.example.\":[{\"Addr\":\"10.9.9.9:54\"}],\"Doh.Example\":[{\"Addr\":\"https://dns.example/x\"}],"
	"\"mixed.example\":[{\"Addr\":\"https://dns.example/x\"},{\"Addr\":\"10.1.1.1\"}],\"own.example\":[],\"null.example\":null,"
	"\"tail1.ts.net\":[{\"Addr\":\"6.6.6.6\"}],\"wrong.example\":7,\"odd.example\":[7,{\"Addr\":8},{}],"
	"\"many.example\":[{\"Addr\":\"10.0.0.1\"},{\"Addr\":\"10.0.0.2\"},{\"Addr\":\"10.0.0.3\"},{\"Addr\":\"10.0.0.4\"},"
	"{\"Addr\":\"10.0.0.5\"}],\"white space\":[{\"Addr\":\"10.0.0.1\"}],\"\":[{\"Addr\":\"10.0.0.1\"}]},\"Proxied\":true}";

START_TEST(takes_the_tailnets_word)
{
	struct ts_map m = build(tailnet, "");

	says("", &m, "db.corp.example", "100.64.0.53:53 [fd00::53]:5353");
	says("", &m, "CORP.Example.", "100.64.0.53:53 [fd00::53]:5353");
	says("", &m, "x.deep.corp.example", "10.9.9.9:54");
	says("", &m, "xdeep.corp.example", "100.64.0.53:53 [fd00::53]:5353");
	says("", &m, "notcorp.example", "-");
	says("", &m, "example", "-");
	says("", &m, "", "-");
	says("", &m, ".", "-");
	says("", &m, "a.doh.example", "unserved");
	says("", &m, "a.odd.example", "unserved");
	says("", &m, "a.mixed.example", "10.1.1.1:53");
	says("", &m, "a.own.example", "none");
	says("", &m, "a.null.example", "none");
	says("", &m, "a.wrong.example", "-");
	says("", &m, "db.tail1.ts.net", "-");
	says("", &m, "a.many.example", "10.0.0.1:53 10.0.0.2:53 10.0.0.3:53 10.0.0.4:53");
	free((void *)m.base);
}
END_TEST

START_TEST(the_longest_and_the_nearest_win)
{
	struct ts_map m = build(tailnet, "corp.example=10.5.5.5,corp.example=10.5.5.6 other.example=10.5.5.7,own.example=10.5.5.8");
	const char *env = "x.corp.example=10.7.7.7,own.example=10.7.7.8,own.example=10.7.7.9,example=10.7.7.1";

	says("", &m, "db.corp.example", "10.5.5.5:53 10.5.5.6:53");
	says("", &m, "a.deep.corp.example", "10.9.9.9:54");
	says("", &m, "other.example", "10.5.5.7:53");
	says("", &m, "own.example", "10.5.5.8:53");
	says(env, &m, "db.corp.example", "10.5.5.5:53 10.5.5.6:53");
	says(env, &m, "x.corp.example", "10.7.7.7:53");
	says(env, &m, "a.deep.corp.example", "10.9.9.9:54");
	says(env, &m, "own.example", "10.7.7.8:53 10.7.7.9:53");
	says(env, &m, "else.example", "10.7.7.1:53");
	says(env, &m, "doh.example", "unserved");
	says(env, NULL, "doh.example", "10.7.7.1:53");
	free((void *)m.base);
}
END_TEST

START_TEST(anything_may_be_said)
{
	static const char *const texts_of_dns[] = {
		"", "null", "[]", "{", "{\"Routes\":[]}", "{\"Routes\":null}", "{\"Routes\":{\"a\":{}}}", "no netmap\n", "7",
	};

	for (size_t i = 0; i < sizeof(texts_of_dns) / sizeof(*texts_of_dns); i++) {
		struct ts_map m = build(texts_of_dns[i], "");

		ck_assert_uint_eq(ts_map_header(&m).dns_routes.count, 0);
		free((void *)m.base);
	}
}
END_TEST

/* Bytes in a file are an ABI (map.h). */
START_TEST(layout)
{
	ck_assert_uint_eq(sizeof(struct ts_map_dns_route), 28);
	ck_assert_uint_eq(offsetof(struct ts_map_dns_route, ip), 8);
	ck_assert_uint_eq(offsetof(struct ts_map_dns_route, port), 24);
	ck_assert_uint_eq(offsetof(struct ts_map_dns_route, flags), 26);
	ck_assert_uint_eq(TS_DNS_ROUTE_NO_SERVER | TS_DNS_ROUTE_UNSERVED << 4 | TS_DNS_ROUTE_TAILNET << 8, 0x421);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("split");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, reads_settings, 0, sizeof(texts) / sizeof(*texts));
	tcase_add_test(t, reads_lists);
	tcase_add_test(t, takes_the_tailnets_word);
	tcase_add_test(t, the_longest_and_the_nearest_win);
	tcase_add_test(t, anything_may_be_said);
	tcase_add_test(t, layout);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
