/* SPDX-License-Identifier: MIT */
/* The programs tsproxy-sync, -resolve and -status as a user runs them: exit statuses, output, what --json holds. */
#include <jansson.h>
#include <time.h>
#include <sys/wait.h>

#include "tsproxy/map.h"
#include "unit.h"

static char out[65536];
static const char *build;

static const char status[] = "{\"BackendState\":\"Running\",\"MagicDNSSuffix\":\"t.ts.net\",\"Self\":{\"DNSName\":"
			     "\"self.t.ts.net.\",\"HostName\":\"self\","
			     "\"OS\":\"linux\",\"TailscaleIPs\":[\"100.64.0.1\"],\"Online\":true},\"Peer\":{\"a\":{"
			     "\"DNSName\":\"db.t.ts.net.\",\"HostName\":\"db\","
			     "\"OS\":\"linux\",\"TailscaleIPs\":[\"100.64.0.2\",\"fd7a:115c:a1e0::2\"],\"Online\":"
			     "false,\"PrimaryRoutes\":[\"10.1.0.0/16\"]},"
			     "\"b\":{\"DNSName\":\"\",\"HostName\":\"he\\u001b[2Jllo\",\"TailscaleIPs\":[\"100.64.0."
			     "3\"],\"ShareeNode\":true}}}";

static void setup(void)
{
	static const char *const variables[] = {
		"TSPROXY_STATUS", "TSPROXY_SOCKET", "TSPROXY_PROFILE", "TSPROXY_SOCKS5",  "TSPROXY_HTTP_PROXY",
		"TSPROXY_MAP",    "TS_SOCKET",      "TSPROXY_ROUTE",   "TSPROXY_EXCLUDE", "XDG_CONFIG_HOME",
		"ALL_PROXY",      "all_proxy",      "http_proxy",
	};

	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		unsetenv(variables[i]);
	unit_dir_make();
	setenv("HOME", unit_dir, 1);
	setenv("XDG_RUNTIME_DIR", unit_dir, 1);
	setenv("D", unit_dir, 1);
	unit_file("s.json", status, sizeof(status) - 1);
}

/* Runs `tsproxy-COMMAND` in a shell, in the test's directory; standard output and error together in `out`. */
static int run(const char *command)
{
	char line[2000];
	size_t n;
	FILE *f;
	int code;

	snprintf(line, sizeof(line), "cd \"$D\" && '%s/tsproxy-'%s 2>&1", build, command);
	f = popen(line, "r");
	ck_assert_ptr_nonnull(f);
	n = fread(out, 1, sizeof(out) - 1, f);
	out[n] = '\0';
	code = pclose(f);
	ck_assert(WIFEXITED(code));
	return WEXITSTATUS(code);
}

#define REMOTE " -q --socks5 192.0.2.1:1055 --status s.json" /* a proxy that takes no connections, without the warning */

static const struct {
	const char *command;
	int code;
	const char *says;
} cases[] = {
	{ "sync" REMOTE, 0, NULL },
	{ "sync" REMOTE " --print", 0,
	  "node     db.t.ts.net host \"db\" os linux 100.64.0.2 fd7a:115c:a1e0::2 offline\n" },
	{ "sync --help", 0, "usage: tsproxy sync" },
	{ "sync --version", 0, "tsproxy " },
	{ "sync --nonsense", 2, "unknown option --nonsense" },
	{ "sync argument", 2, "sync takes no arguments" },
	{ "sync --status", 2, "--status needs a value" },
	{ "sync -p ../x --status s.json", 2, "--profile ../x" },
	{ "sync --route nonsense --status s.json", 2, "--route" },
	{ "sync --socks5 nonsense --status s.json", 2, "--socks5 nonsense" },
	{ "sync -q --socks5 192.0.2.1:1 --status none.json", 1, "none.json: No such file or directory" },
	{ "sync -q --socks5 192.0.2.1:1 --status - < s.json", 0, NULL },
	{ "sync -q --socks5 192.0.2.1:1 --status - < /dev/null", 1,
	  "the status from standard input is invalid: it is empty" },
	{ "sync --socks5 192.0.2.1:1 --socket none.sock", 1, "no tailscaled answers at" },
	{ "sync --map \"$D/own/x.map\"" REMOTE " --print", 0, "/own/x.map, " },
	{ "sync --map rel/x.map" REMOTE " --print", 0, "/rel/x.map, " },
	{ "resolve" REMOTE " db", 0, "db\t100.64.0.2,fd7a:115c:a1e0::2\tmap db.t.ts.net, offline\n" },
	{ "resolve" REMOTE " db example.org", 1, "example.org\t-\tnot in the tailnet\n" },
	{ "resolve" REMOTE " 10.1.2.3", 0, "10.1.2.3\t10.1.2.3\tsubnet 10.1.0.0/16 via db.t.ts.net\n" },
	{ "resolve" REMOTE " --route 192.0.2.0/24 192.0.2.9", 0, "route from --route" },
	{ "resolve" REMOTE, 2, "no name or address given" },
	{ "resolve" REMOTE " -- --odd", 1, "--odd\t-\tnot in the tailnet" },
	{ "status" REMOTE, 0, "100.64.0.2  db             linux  offline      socks5 192.0.2.1:1055\n" },
	{ "status" REMOTE, 0, "(\"he?[2Jllo\")" },
	{ "status" REMOTE, 0,
	  "# subnet 10.1.0.0/16 via db.t.ts.net\n# proxy: socks5 192.0.2.1:1055 (TCP)\n# tailnet: running, t.ts.net\n" },
	{ "status" REMOTE " x", 2, "status takes no arguments" },
	{ "status --status none.json", 1, "No such file" },
};

START_TEST(exit_statuses_and_words)
{
	int code = run(cases[_i].command);

	ck_assert_msg(code == cases[_i].code, "%s: %d: %s", cases[_i].command, code, out);
	if (cases[_i].says)
		ck_assert_msg(strstr(out, cases[_i].says) != NULL, "%s: %s", cases[_i].command, out);
	else
		ck_assert_str_eq(out, "");
	/* What fails says so in one line. */
	if (code && !strstr(cases[_i].command, "resolve"))
		ck_assert_uint_eq(unit_lines(out), 1);
	ck_assert_ptr_null(strchr(out, '\x1b'));
}
END_TEST

START_TEST(status_as_json)
{
	json_t *root, *nodes, *proxies;

	ck_assert_int_eq(run("status" REMOTE " --json"), 0);
	root = json_loads(out, 0, NULL);
	ck_assert_ptr_nonnull(root);
	nodes = json_object_get(root, "nodes");
	proxies = json_object_get(root, "proxies");
	ck_assert_uint_eq(json_array_size(nodes), 3);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(nodes, 1), "name")), "db.t.ts.net");
	ck_assert(json_is_null(json_object_get(json_array_get(nodes, 2), "name")));
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(proxies, 0), "address")), "192.0.2.1:1055");
	ck_assert_str_eq(json_string_value(json_object_get(root, "state")), "running");
	ck_assert(json_real_value(json_object_get(root, "age")) < 60);
	json_decref(root);
}
END_TEST

static const char *when(long from_now, char text[32])
{
	time_t t = time(NULL) + from_now;
	struct tm tm;

	strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	return text;
}

START_TEST(status_details)
{
	char text[2048], seen[32], soon[32], late[32];
	json_t *root, *nodes;
	int n = snprintf(text, sizeof(text),
			 "{\"BackendState\":\"Running\",\"MagicDNSSuffix\":\"t.ts.net\",\"Self\":{\"DNSName\":\"me.t.ts.net.\",\"HostName\":\"me\","
			 "\"TailscaleIPs\":[\"100.64.0.1\"],\"Online\":true,\"KeyExpiry\":\"%s\"},\"Peer\":{"
			 "\"a\":{\"DNSName\":\"away.t.ts.net.\",\"HostName\":\"away\",\"TailscaleIPs\":[\"100.64.0.2\"],\"Online\":false,"
			 "\"LastSeen\":\"%s\",\"CurAddr\":\"192.0.2.7:41641\",\"Active\":false},"
			 "\"b\":{\"DNSName\":\"far.t.ts.net.\",\"HostName\":\"far\",\"TailscaleIPs\":[\"100.64.0.3\"],\"Online\":true,\"Active\":true,"
			 "\"CurAddr\":\"\",\"Relay\":\"fra\",\"LastSeen\":\"0001-01-01T00:00:00Z\",\"KeyExpiry\":\"%s\"},"
			 "\"c\":{\"DNSName\":\"near.t.ts.net.\",\"HostName\":\"near\",\"TailscaleIPs\":[\"100.64.0.4\"],\"Online\":true,\"Active\":true,"
			 "\"CurAddr\":\"192.0.2.8:41641\",\"Relay\":\"fra\"}}}",
			 when(3 * 86400 + 60, soon), when(-7260, seen), when(30 * 86400, late));

	unit_file("s.json", text, (size_t)n);
	ck_assert_int_eq(run("status" REMOTE), 0);
	ck_assert_msg(strstr(out, "socks5 192.0.2.1:1055  key expires in 3 d\n") != NULL, "%s", out);
	ck_assert_msg(strstr(out, "socks5 192.0.2.1:1055  last seen 2 h ago\n") != NULL, "%s", out);
	ck_assert_msg(strstr(out, "socks5 192.0.2.1:1055  relayed by fra\n") != NULL, "%s", out);
	ck_assert_msg(strstr(out, "socks5 192.0.2.1:1055  direct 192.0.2.8:41641\n") != NULL, "%s", out);
	ck_assert_int_eq(run("status" REMOTE " --json"), 0);
	root = json_loads(out, 0, NULL);
	nodes = json_object_get(root, "nodes");
	for (size_t i = 0; i < 4; i++) {
		const json_t *o = json_array_get(nodes, i);
		const char *host = json_string_value(json_object_get(o, "host"));
		const char *last = json_string_value(json_object_get(o, "last-seen")), *relay = json_string_value(json_object_get(o, "relay"));
		const char *direct = json_string_value(json_object_get(o, "direct")), *expiry = json_string_value(json_object_get(o, "key-expiry"));

		ck_assert_pstr_eq(last, strcmp(host, "away") == 0 ? seen : NULL);
		ck_assert_pstr_eq(relay, strcmp(host, "far") == 0 ? "fra" : NULL);
		ck_assert_pstr_eq(direct, strcmp(host, "near") == 0 ? "192.0.2.8:41641" : NULL);
		ck_assert_pstr_eq(expiry, strcmp(host, "me") == 0 ? soon : strcmp(host, "far") == 0 ? late : NULL);
	}
	json_decref(root);
}
END_TEST

START_TEST(resolve_as_json)
{
	json_t *root, *first;

	ck_assert_int_eq(run("resolve" REMOTE " --json db nobody.t.ts.net"), 1);
	root = json_loads(out, 0, NULL);
	ck_assert_uint_eq(json_array_size(root), 2);
	first = json_array_get(root, 0);
	ck_assert(json_is_true(json_object_get(first, "tailnet")) && json_is_false(json_object_get(first, "online")));
	ck_assert_str_eq(json_string_value(json_object_get(first, "why")), "map");
	ck_assert_uint_eq(json_array_size(json_object_get(first, "addresses")), 2);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(root, 1), "why")), "no-such-name");
	json_decref(root);
}
END_TEST

START_TEST(quiet)
{
	unit_file("s.json", "{\"BackendState\":\"Stopped\"}", 26);
	ck_assert_int_eq(run("sync --status s.json"), 0);
	ck_assert(strstr(out, "tsproxy: warning: tailscaled is stopped") != NULL);
	ck_assert_int_eq(run("sync --status s.json --quiet"), 0);
	ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(full_output)
{
	ck_assert_int_eq(run("sync" REMOTE), 0);
	ck_assert_int_eq(run("status" REMOTE " > /dev/full"), 1);
	ck_assert_int_eq(run("resolve" REMOTE " db > /dev/full"), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tool_cli");
	TCase *t = tcase_create("cli");

	build = getenv("TSPROXY_BUILD");
	if (!build) {
		printf("skip: TSPROXY_BUILD does not name the build folder\n");
		return 77;
	}
	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, unit_dir_remove);
	tcase_add_loop_test(t, exit_statuses_and_words, 0, sizeof(cases) / sizeof(*cases));
	tcase_add_test(t, status_as_json);
	tcase_add_test(t, status_details);
	tcase_add_test(t, resolve_as_json);
	tcase_add_test(t, quiet);
	tcase_add_test(t, full_output);
	return unit_run(s);
}
