/* SPDX-License-Identifier: MIT */
/* Settings, proxy texts, options, and what is printed of foreign bytes. */
#include <errno.h>

#include "tsproxy/tool.h"
#include "unit.h"

static const char *const variables[] = {
	"TSPROXY_STATUS",      "TSPROXY_SOCKET",    "TSPROXY_PROFILE",   "TSPROXY_SOCKS5",
	"TSPROXY_HTTP_PROXY",  "TSPROXY_MAP",       "TSPROXY_ROUTE",     "TSPROXY_EXCLUDE",
	"TSPROXY_REMOTE_NAME", "TSPROXY_DNS_ROUTE", "TSPROXY_EXIT_NODE", "XDG_CONFIG_HOME",
};

static void setup(void)
{
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		unsetenv(variables[i]);
	unit_dir_make();
}

/* Reads one config file; *said is what came on standard error. */
static int load(struct ts_map_settings *set, const char *text, const char **said)
{
	const char *files[] = { unit_file("tsproxy.conf", text, strlen(text)), NULL };
	int err;

	unit_err_begin();
	err = ts_settings_load(set, files);
	*said = unit_err_end();
	return err;
}

static bool is_prefix(const struct ts_prefix *p, const char *text)
{
	struct ts_prefix q;

	ck_assert(ts_prefix_parse(text, strlen(text), &q));
	return q.bits == p->bits && memcmp(q.ip, p->ip, 16) == 0;
}

START_TEST(config_file)
{
	struct ts_map_settings set;
	const char *said;

	ck_assert_int_eq(load(&set,
			      "# a comment\n"
			      "socks5 = user:pw@127.0.0.1:1055\n"
			      "route = 10.0.0.0/8, fd00::/8\n"
			      "route = 192.168.7.0/24\n"
			      "exclude = 10.9.0.0/16\n"
			      "remote-name = corp.example .other.example\n"
			      "dns-route = corp.example=10.0.0.53\n"
			      "short-names = no\n"
			      "exit-node = yes\n"
			      "suffix = tail1.ts.net\n"
			      "log = debug\n"
			      "[profile work]\n"
			      "socks5 = 127.0.0.1:2055\n"
			      "route = 172.16.0.0/12\n"
			      "short-names = yes\n",
			      &said),
			 0);
	/* The launcher's own settings count in no file, and that is said; nothing else is. */
	ck_assert(strstr(said, ":11: log ") && !strchr(strchr(said, '\n') + 1, '\n'));
	ck_assert_str_eq(set.socks5, "user:pw@127.0.0.1:1055");
	ck_assert_uint_eq(set.route_count, 3);
	ck_assert(is_prefix(&set.route[0], "10.0.0.0/8") && is_prefix(&set.route[1], "fd00::/8") &&
		  is_prefix(&set.route[2], "192.168.7.0/24"));
	ck_assert_uint_eq(set.exclude_count, 1);
	ck_assert_uint_eq(set.remote_count, 2);
	ck_assert_str_eq(set.remote[1], ".other.example");
	ck_assert_uint_eq(set.dns_route_count, 1);
	ck_assert_uint_eq(set.dns_route[0].server.port, 53);
	ck_assert(set.no_short_names && set.exit_node);
	ck_assert_str_eq(set.suffix, "tail1.ts.net");
	ts_settings_free(&set);
}
END_TEST

START_TEST(profile_over_top_and_environment_over_both)
{
	static const char text[] = "socks5 = 127.0.0.1:1\nshort-names = no\nroute = 10.0.0.0/8\n"
				   "[profile work]\nsocks5 = 127.0.0.1:2\nshort-names = yes\nroute = 11.0.0.0/8\n";
	struct ts_map_settings set;
	const char *said;

	setenv("TSPROXY_PROFILE", "work", 1);
	ck_assert_int_eq(load(&set, text, &said), 0);
	ck_assert_str_eq(set.socks5, "127.0.0.1:2");
	ck_assert(!set.no_short_names);
	ck_assert_uint_eq(set.route_count, 2);
	ts_settings_free(&set);
	setenv("TSPROXY_SOCKS5", "127.0.0.1:3", 1);
	/* These are each process's own and must not get into a map that others share. */
	setenv("TSPROXY_ROUTE", "127.0.0.0/8", 1);
	setenv("TSPROXY_EXIT_NODE", "1", 1);
	ck_assert_int_eq(load(&set, text, &said), 0);
	ck_assert_str_eq(set.socks5, "127.0.0.1:3");
	ck_assert_uint_eq(set.route_count, 2);
	ck_assert(!set.exit_node);
	ts_settings_free(&set);
}
END_TEST

static const struct {
	const char *text;
	const char *says; /* in the one line that comes */
} bad_config[] = {
	{ "socks5 = 127.0.0.1:1\n\nsokcs5 = 127.0.0.1:1\n", "tsproxy.conf:3: unknown key \"sokcs5\"" },
	{ "route = 10.0.0.0/99\n", "tsproxy.conf:1: route: invalid value" },
	{ "exit-node = maybe\n", "tsproxy.conf:1: exit-node: invalid value" },
	{ "remote-name = a b!c\n", "tsproxy.conf:1: remote-name: invalid value" },
	{ "dns-route = nonsense\n", "tsproxy.conf:1: dns-route: invalid value" },
	{ "just words\n", "tsproxy.conf:1: neither [section] nor key = value" },
	{ "[profile other]\nnonsense = 1\n", "tsproxy.conf:2: unknown key" },
	{ "[other]\nsocks5 = 127.0.0.1:1\n", "tsproxy.conf:2: unknown section [other]" },
	{ "x = \x1b[31mred\n", "unknown key" },
};

START_TEST(config_file_with_mistakes)
{
	struct ts_map_settings set;
	const char *said;

	ck_assert_int_eq(load(&set, bad_config[_i].text, &said), 0);
	ck_assert_msg(strstr(said, bad_config[_i].says) != NULL, "%s", said);
	ck_assert_uint_eq(unit_lines(said), 1);
	ck_assert_ptr_null(strchr(said, '\x1b'));
	ts_settings_free(&set);
}
END_TEST

START_TEST(config_file_with_a_long_line)
{
	struct ts_map_settings set;
	char text[2000] = "exclude = 10.0.0.0/8\nroute = ";
	const char *said;

	for (int i = 0; i < 60; i++)
		sprintf(text + strlen(text), "10.%d.0.0/16 ", i);
	strcat(text, "\nsocks5 = 127.0.0.1:5\n");
	ck_assert_int_eq(load(&set, text, &said), 0);
	ck_assert_msg(strstr(said, "tsproxy.conf:2: line too long") != NULL, "%s", said);
	ck_assert_uint_eq(unit_lines(said), 1);
	ck_assert_uint_eq(set.route_count, 0);
	ck_assert_str_eq(set.socks5, "127.0.0.1:5");
	ts_settings_free(&set);
}
END_TEST

START_TEST(config_file_that_cannot_be_read)
{
	const char *files[] = { unit_dir, unit_path("none"), NULL };
	struct ts_map_settings set;

	unit_err_begin();
	ck_assert_int_eq(ts_settings_load(&set, files), 0);
	unit_err_end();
	ts_settings_free(&set);
}
END_TEST

START_TEST(environment_with_mistakes)
{
	struct ts_map_settings set;
	const char *said;

	setenv("TSPROXY_REMOTE_NAME", "what is this?", 1);
	ck_assert_int_eq(load(&set, "", &said), -EINVAL);
	ck_assert(strstr(said, "TSPROXY_REMOTE_NAME") != NULL);
	ts_settings_free(&set);
}
END_TEST

static const struct {
	const char *text;
	uint8_t kind;
	const char *at; /* null: refused */
	const char *user, *pass;
} proxies[] = {
	{ "127.0.0.1:1055", TS_PROXY_SOCKS5, "127.0.0.1:1055", "", "" },
	{ "localhost:1055", TS_PROXY_SOCKS5, "127.0.0.1:1055", "", "" },
	{ "[::1]:1080", TS_PROXY_HTTP, "[::1]:1080", "", "" },
	{ "user:p:w@10.0.0.1:1080", TS_PROXY_SOCKS5, "10.0.0.1:1080", "user", "p:w" },
	{ "user@10.0.0.1:1080", TS_PROXY_SOCKS5, "10.0.0.1:1080", "user", "" },
	{ "us@er:pw@10.0.0.1:1080", TS_PROXY_SOCKS5, "10.0.0.1:1080", "us@er", "pw" },
	{ "socks5h://localhost:1080", TS_PROXY_SOCKS5, "127.0.0.1:1080", "", "" },
	{ "socks5://a%40b:c%3ad@127.0.0.1", TS_PROXY_SOCKS5, "127.0.0.1:1080", "a@b", "c:d" },
	{ "http://127.0.0.1:3128/", TS_PROXY_HTTP, "127.0.0.1:3128", "", "" },
	{ "HTTP://127.0.0.1", TS_PROXY_HTTP, "127.0.0.1:80", "", "" },
	{ "http://127.0.0.1:3128", TS_PROXY_SOCKS5, NULL, "", "" },
	{ "https://127.0.0.1:3128", TS_PROXY_HTTP, NULL, "", "" },
	{ "socks4://127.0.0.1:1080", TS_PROXY_SOCKS5, NULL, "", "" },
	{ "", TS_PROXY_SOCKS5, NULL, "", "" },
	{ "127.0.0.1", TS_PROXY_SOCKS5, NULL, "", "" },
	{ "127.0.0.1:0", TS_PROXY_SOCKS5, NULL, "", "" },
	{ "127.0.0.1:70000", TS_PROXY_SOCKS5, NULL, "", "" },
	{ "127.0.0.1:10x", TS_PROXY_SOCKS5, NULL, "", "" },
	{ ":1080", TS_PROXY_SOCKS5, NULL, "", "" },
	{ "/run/proxy.sock", TS_PROXY_SOCKS5, NULL, "", "" },
	{ "a b:1080", TS_PROXY_SOCKS5, NULL, "", "" },
};

START_TEST(proxy_texts)
{
	struct ts_endpoint e;
	bool ok = ts_proxy_parse(proxies[_i].text, proxies[_i].kind, &e);
	char at[TS_ADDR_TEXT_MAX];

	ck_assert_msg(ok == (proxies[_i].at != NULL), "%s", proxies[_i].text);
	if (!ok)
		return;
	ts_addr_format(&e.addr, at);
	ck_assert_str_eq(at, proxies[_i].at);
	ck_assert_str_eq(e.user, proxies[_i].user);
	ck_assert_str_eq(e.pass, proxies[_i].pass);
	ck_assert_uint_eq(e.kind, proxies[_i].kind);
}
END_TEST

START_TEST(credentials_that_are_too_long)
{
	char text[400] = "";
	struct ts_endpoint e;

	memset(text, 'u', 255);
	strcpy(text + 255, ":p@127.0.0.1:1");
	ck_assert(ts_proxy_parse(text, TS_PROXY_SOCKS5, &e));
	ck_assert_uint_eq(strlen(e.user), 255);
	memset(text, 'u', 256);
	strcpy(text + 256, ":p@127.0.0.1:1");
	ck_assert(!ts_proxy_parse(text, TS_PROXY_SOCKS5, &e));
}
END_TEST

START_TEST(options_become_variables)
{
	char words[][40] = { "prog",     "--socks5=127.0.0.1:1", "first",       "--status", "rel/status.json",
			     "--route",  "10.0.0.0/8",           "-p",          "work",     "--route=11.0.0.0/8",
			     "--socket", "/run/x.sock",          "--exit-node", "--json",   "--",
			     "--status" };
	char *argv[17] = { 0 }, cwd[4096], want[4200];
	int argc = 16;

	for (int i = 0; i < argc; i++)
		argv[i] = words[i];
	setenv("TSPROXY_ROUTE", "12.0.0.0/8", 1);
	ck_assert_int_eq(ts_options_take(&argc, argv), 0);
	ck_assert_int_eq(argc, 5);
	ck_assert_str_eq(argv[1], "first");
	ck_assert_str_eq(argv[2], "--json");
	ck_assert_str_eq(argv[4], "--status");
	ck_assert_str_eq(getenv("TSPROXY_SOCKS5"), "127.0.0.1:1");
	/* A process below may have another working directory. */
	ck_assert_ptr_nonnull(getcwd(cwd, sizeof(cwd)));
	snprintf(want, sizeof(want), "%s/rel/status.json", cwd);
	ck_assert_str_eq(getenv("TSPROXY_STATUS"), want);
	ck_assert_str_eq(getenv("TSPROXY_PROFILE"), "work");
	ck_assert_str_eq(getenv("TSPROXY_SOCKET"), "/run/x.sock");
	ck_assert_str_eq(getenv("TSPROXY_ROUTE"), "10.0.0.0/8,11.0.0.0/8");
	ck_assert_str_eq(getenv("TSPROXY_EXIT_NODE"), "1");
	ck_assert(ts_options_flag(&argc, argv, "--json") && !ts_options_flag(&argc, argv, "--json"));
	ck_assert_int_eq(ts_options_end(&argc, argv), 0);
	ck_assert_int_eq(argc, 3);
	ck_assert_str_eq(argv[2], "--status");
}
END_TEST

static char *wrong_options[][3] = {
	{ (char *)"prog", (char *)"--status", NULL },
	{ (char *)"prog", (char *)"--status=", NULL },
	{ (char *)"prog", (char *)"--exit-node=1", NULL },
	{ (char *)"prog", (char *)"--unknown", NULL },
	{ (char *)"prog", (char *)"-x", NULL },
};

START_TEST(wrong_options_are_told)
{
	char **argv = wrong_options[_i];
	int argc = 2, ret;

	unit_err_begin();
	ret = ts_options_take(&argc, argv);
	if (ret == 0)
		ret = ts_options_end(&argc, argv);
	ck_assert_uint_eq(unit_lines(unit_err_end()), 1);
	ck_assert_int_eq(ret, 2);
}
END_TEST

START_TEST(foreign_bytes_on_a_terminal)
{
	char out[64], small[4];

	ck_assert_str_eq(ts_tool_printable("plain", 5, out, sizeof(out)), "plain");
	ck_assert_str_eq(ts_tool_printable("a\x1b[2J\n\0\x7f", 8, out, sizeof(out)), "a?[2J???");
	ck_assert_str_eq(ts_tool_printable("b\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", 10, out, sizeof(out)),
			 "b\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80");
	/* C1 control characters, broken and cut sequences. */
	ck_assert_str_eq(ts_tool_printable("\xc2\x9b"
					   "31m\xff\xc3",
					   7, out, sizeof(out)),
			 "??31m??");
	ck_assert_str_eq(ts_tool_printable("ab\xe2\x82\xac", 5, small, sizeof(small)), "ab");
}
END_TEST

START_TEST(range_texts)
{
	static const char *const cases[][3] = {
		{ "10.0.0.0", "10.255.255.255", "10.0.0.0/8" },
		{ "10.0.0.1", "10.0.0.1", "10.0.0.1/32" },
		{ "10.0.0.1", "10.0.0.2", "10.0.0.1-10.0.0.2" },
		{ "0.0.0.0", "255.255.255.255", "0.0.0.0/0" },
		{ "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0" },
		{ "fd00::", "fd00::ffff", "fd00::/112" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[TS_RANGE_TEXT_MAX];
		struct ts_map_range r = { .kind = TS_RANGE_ROUTE };
		struct ts_addr a;

		ck_assert(ts_addr_parse(cases[i][0], strlen(cases[i][0]), &a));
		memcpy(r.first, a.ip, 16);
		ck_assert(ts_addr_parse(cases[i][1], strlen(cases[i][1]), &a));
		memcpy(r.last, a.ip, 16);
		ck_assert_str_eq(ts_walk_range_text(&r, text), cases[i][2]);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tool");
	TCase *t = tcase_create("tool");

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, unit_dir_remove);
	tcase_add_test(t, config_file);
	tcase_add_test(t, profile_over_top_and_environment_over_both);
	tcase_add_loop_test(t, config_file_with_mistakes, 0, sizeof(bad_config) / sizeof(*bad_config));
	tcase_add_test(t, config_file_with_a_long_line);
	tcase_add_test(t, config_file_that_cannot_be_read);
	tcase_add_test(t, environment_with_mistakes);
	tcase_add_loop_test(t, proxy_texts, 0, sizeof(proxies) / sizeof(*proxies));
	tcase_add_test(t, credentials_that_are_too_long);
	tcase_add_test(t, options_become_variables);
	tcase_add_loop_test(t, wrong_options_are_told, 0, sizeof(wrong_options) / sizeof(*wrong_options));
	tcase_add_test(t, foreign_bytes_on_a_terminal);
	tcase_add_test(t, range_texts);
	return unit_run(s);
}
