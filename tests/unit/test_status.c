/* SPDX-License-Identifier: MIT */
/* The daemon's status, JSON and table: what a real daemon says, and everything that is broken about one. */
#include <errno.h>

#include "tsproxy/status.h"
#include "unit.h"

static const char whole[] =
	"{\"Version\":\"1.102.5\",\"TUN\":false,\"BackendState\":\"Running\",\n"
	"\"TailscaleIPs\":[\"100.93.121.122\",\"fd7a:115c:a1e0::5f01:797a\"],\n"
	"\"Self\":{\"HostName\":\"jawnsy-tailscale-2\",\"DNSName\":\"jawnsy-tailscale-2.tail1234.ts.net.\",\"OS\":"
	"\"linux\",\n"
	" \"TailscaleIPs\":[\"100.93.121.122\",\"fd7a:115c:a1e0::5f01:797a\"],\"Online\":true},\n"
	"\"MagicDNSSuffix\":\"old.ts.net\",\n"
	"\"CurrentTailnet\":{\"Name\":\"x\",\"MagicDNSSuffix\":\"tail1234.ts.net\",\"MagicDNSEnabled\":true},\n"
	"\"CertDomains\":[\"jawnsy-tailscale-2.tail1234.ts.net\"],\n"
	"\"ExtraRecords\":[{\"Name\":\"db.tail1234.ts.net\",\"Value\":\"100.90.56.90\"},\n"
	" {\"Name\":\"txt.tail1234.ts.net\",\"Type\":\"TXT\",\"Value\":\"100.90.56.91\"}],\n"
	"\"Peer\":{\"nodekey:a\":{\"HostName\":\"jawnsy-tailscale-1\",\"DNSName\":\"jawnsy-tailscale-1.tail1234.ts.net."
	"\",\n"
	" \"OS\":\"linux\",\"TailscaleIPs\":[\"100.90.56.90\"],\"AllowedIPs\":[\"100.90.56.90/32\",\"0.0.0.0/0\",\"::/"
	"0\"],\n"
	" \"PrimaryRoutes\":[\"10.0.0.0/8\"],\"Online\":false,\"ExitNode\":false,\"ExitNodeOption\":true},\n"
	"\"nodekey:b\":{\"HostName\":\"Hello "
	"World\",\"DNSName\":\"\",\"OS\":\"\",\"TailscaleIPs\":[\"100.101.102.103\"],\n"
	" \"ShareeNode\":true,\"Expired\":true}}}\n";

static bool slice_is(struct ts_slice s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

static int parse(const char *text, size_t len, struct ts_tailnet *tn)
{
	char why[TS_STATUS_WHY_MAX] = "";
	int err = ts_status_parse(text, len, tn, why);

	/* A refusal always says why, in one line. */
	ck_assert(err != -EBADMSG || (why[0] && !strchr(why, '\n')));
	return err;
}

static void parse_ok(const char *text, struct ts_tailnet *tn)
{
	ck_assert_int_eq(parse(text, strlen(text), tn), 0);
}

START_TEST(as_the_daemon_says)
{
	struct ts_tailnet tn;

	parse_ok(whole, &tn);
	ck_assert_int_eq(tn.state, TS_STATE_RUNNING);
	ck_assert(!tn.tun && !tn.no_magicdns && tn.has_self);
	ck_assert(slice_is(tn.suffix, "tail1234.ts.net"));
	ck_assert_uint_eq(tn.node_count, 3);
	ck_assert_uint_eq(tn.nodes[0].flags, TS_NODE_SELF | TS_NODE_ONLINE | TS_NODE_ONLINE_KNOWN);
	ck_assert_uint_eq(tn.nodes[0].ip_count, 2);
	ck_assert(slice_is(tn.nodes[1].fqdn, "jawnsy-tailscale-1.tail1234.ts.net."));
	ck_assert_uint_eq(tn.nodes[1].flags, TS_NODE_EXIT_OPTION | TS_NODE_ONLINE_KNOWN);
	/* PrimaryRoutes only: AllowedIPs holds the default routes of every possible exit node. */
	ck_assert_uint_eq(tn.nodes[1].route_count, 1);
	ck_assert_uint_eq(tn.route_count, 1);
	ck_assert_uint_eq(tn.nodes[2].flags, TS_NODE_SHAREE | TS_NODE_EXPIRED);
	ck_assert_uint_eq(tn.nodes[2].fqdn.len, 0);
	ck_assert(slice_is(tn.nodes[2].host, "Hello World"));
	ck_assert_uint_eq(tn.record_count, 2);
	ck_assert(slice_is(tn.records[0].name, "db.tail1234.ts.net") && !tn.records[0].own);
	ck_assert(tn.records[1].own);
	ts_tailnet_free(&tn);
}
END_TEST

static const struct {
	const char *word;
	enum ts_map_state state;
} states[] = {
	{ "Running", TS_STATE_RUNNING },        { "Stopped", TS_STATE_STOPPED },
	{ "Starting", TS_STATE_STOPPED },       { "NoState", TS_STATE_STOPPED },
	{ "NeedsLogin", TS_STATE_NEEDS_LOGIN }, { "NeedsMachineAuth", TS_STATE_NEEDS_LOGIN },
	{ "SomethingNew", TS_STATE_UNKNOWN },
};

START_TEST(backend_state)
{
	struct ts_tailnet tn;
	char text[200];

	snprintf(text, sizeof(text), "{\"BackendState\":\"%s\",\"TUN\":true,\"Self\":null,\"Peer\":null}",
		 states[_i].word);
	parse_ok(text, &tn);
	ck_assert_int_eq(tn.state, states[_i].state);
	ck_assert(tn.tun && !tn.has_self);
	ts_tailnet_free(&tn);
}
END_TEST

START_TEST(truncated_at_every_byte)
{
	size_t len = strlen(whole);

	/* Only the newline at the end may be missing. */
	for (size_t n = 0; n < len - 1; n++) {
		char *exact = malloc(n ? n : 1);
		struct ts_tailnet tn;

		memcpy(exact, whole, n);
		ck_assert_int_eq(parse(exact, n, &tn), -EBADMSG);
		ts_tailnet_free(&tn);
		free(exact);
	}
}
END_TEST

START_TEST(wrong_types_cost_their_field)
{
	struct ts_tailnet tn;

	parse_ok("{\"BackendState\":5,\"TUN\":\"yes\",\"MagicDNSSuffix\":[],\"CurrentTailnet\":7,\"CertDomains\":{},"
		 "\"ExtraRecords\":"
		 "[1,{\"Name\":3,\"Value\":4},{\"Name\":\"a.b\",\"Value\":\"no address\"}],"
		 "\"Self\":[],\"Peer\":{\"a\":7,\"b\":null,\"c\":{\"DNSName\":[],\"HostName\":{},\"Online\":\"yes\","
		 "\"ExitNode\":1,"
		 "\"TailscaleIPs\":[1,null,\"nonsense\",\"100.64.0.300\",\"100.64.0.7\"],\"PrimaryRoutes\":[\"10.0.0.0/"
		 "99\",{}]}}}",
		 &tn);
	ck_assert_int_eq(tn.state, TS_STATE_UNKNOWN);
	ck_assert(!tn.tun && !tn.has_self);
	ck_assert_uint_eq(tn.node_count, 1);
	ck_assert_uint_eq(tn.nodes[0].ip_count, 1);
	ck_assert_uint_eq(tn.nodes[0].route_count, 0);
	ck_assert_uint_eq(tn.nodes[0].flags, 0);
	ck_assert_uint_eq(tn.record_count, 0);
	ts_tailnet_free(&tn);
}
END_TEST

START_TEST(strings_of_any_bytes)
{
	struct ts_tailnet tn;

	/* One peer chooses its HostName: it must not cost the others theirs. */
	parse_ok("{\"Peer\":{\"a\":{\"HostName\":\"x\\u0000\\u001b[2J\\n\",\"DNSName\":\"a\\u0000b.\"},"
		 "\"b\":{\"DNSName\":\"fine.ts.net.\"}}}",
		 &tn);
	ck_assert_uint_eq(tn.node_count, 2);
	ck_assert_uint_eq(tn.nodes[0].host.len, 7);
	ck_assert(slice_is(tn.nodes[1].fqdn, "fine.ts.net."));
	ts_tailnet_free(&tn);
}
END_TEST

static const char *const refused[] = {
	"",
	" \n\t",
	"{",
	"{}",
	"[]",
	"null",
	"{\"a\":1}",
	"{\"Peer\":{}} trailing",
	"{\"Peer\":{},\"Peer\":{}}",
	"{\"Peer\":{\"a\":{\"HostName\":\"x\",\"HostName\":\"y\"}}}",
	"{\"Self\":{\"HostName\":\"\xff\xfe\"}}",
	"{\"Self\":{\"HostName\":\"tab\there\"}}",
	"<html><body>502 Bad Gateway</body></html>",
	"# only a comment\n",
	"hello world\n",
	"100.64.0.1 a x@ linux -\nand then nonsense\n",
	"\x7f\x45\x4c\x46\x02\x01",
	"100.64.0.1x name\n",
};

START_TEST(no_status_at_all)
{
	struct ts_tailnet tn;

	ck_assert_int_eq(parse(refused[_i], strlen(refused[_i]), &tn), -EBADMSG);
	ts_tailnet_free(&tn);
}
END_TEST

START_TEST(nul_bytes)
{
	struct ts_tailnet tn;

	ck_assert_int_eq(parse("{\"Peer\":\0{}}", 12, &tn), -EBADMSG);
	ts_tailnet_free(&tn);
	ck_assert_int_eq(parse("\0\0\0\0", 4, &tn), -EBADMSG);
	ts_tailnet_free(&tn);
}
END_TEST

START_TEST(deeply_nested)
{
	enum { DEPTH = 200000 };
	char *text = malloc(DEPTH + 10);
	struct ts_tailnet tn;

	memcpy(text, "{\"Peer\":", 8);
	memset(text + 8, '[', DEPTH);
	ck_assert_int_eq(parse(text, DEPTH + 8, &tn), -EBADMSG);
	ts_tailnet_free(&tn);
	free(text);
}
END_TEST

START_TEST(table)
{
	struct ts_tailnet tn;

	parse_ok("100.101.102.103 (\"hello\")            services@    linux   -\n"
		 "100.90.56.90    jawnsy-tailscale-1   jonathan@    linux   idle, tx 3144 rx 2708\r\n"
		 "100.93.121.122  jawnsy-tailscale-2   jonathan@    linux   offline\n"
		 "100.64.0.4      nodot.tail9.ts.net   bob@         macOS   active; relay \"fra\"; offline, tx 1 rx 0\n"
		 "100.64.0.5      exit                 tagged-devices linux active; exit node; direct 192.0.2.1:41641\n"
		 "100.64.0.6      maybe                bob@                 idle; offers exit node\n"
		 "100.64.0.7      xn--bcher-kva (b\xc3\xbc"
		 "cher) bob@ windows -\n"
		 "fd7a:115c:a1e0::8 six bob@ linux -\n"
		 "100.64.0.9 (\"two words \\\"q\\\"\") bob@ linux -\n"
		 "100.64.0.10\n"
		 "\n# Health check:\n#     - not well\n",
		 &tn);
	ck_assert_int_eq(tn.state, TS_STATE_UNKNOWN);
	ck_assert(!tn.has_self);
	ck_assert_uint_eq(tn.node_count, 10);
	ck_assert_uint_eq(tn.ip_count, 10);
	ck_assert(slice_is(tn.nodes[0].host, "hello") && tn.nodes[0].label.len == 0 && tn.nodes[0].fqdn.len == 0);
	ck_assert_uint_eq(tn.nodes[0].flags, TS_NODE_SHAREE);
	ck_assert(slice_is(tn.nodes[0].os, "linux"));
	ck_assert(slice_is(tn.nodes[1].label, "jawnsy-tailscale-1"));
	ck_assert_uint_eq(tn.nodes[1].flags, TS_NODE_ONLINE | TS_NODE_ONLINE_KNOWN);
	ck_assert_uint_eq(tn.nodes[2].flags, TS_NODE_ONLINE_KNOWN);
	ck_assert(slice_is(tn.nodes[3].fqdn, "nodot.tail9.ts.net") && tn.nodes[3].label.len == 0);
	ck_assert_uint_eq(tn.nodes[3].flags, TS_NODE_ONLINE_KNOWN);
	ck_assert_uint_eq(tn.nodes[4].flags,
			  TS_NODE_EXIT | TS_NODE_EXIT_OPTION | TS_NODE_ONLINE | TS_NODE_ONLINE_KNOWN);
	ck_assert_uint_eq(tn.nodes[5].os.len, 0);
	ck_assert_uint_eq(tn.nodes[5].flags, TS_NODE_EXIT_OPTION | TS_NODE_ONLINE | TS_NODE_ONLINE_KNOWN);
	ck_assert(slice_is(tn.nodes[6].label, "xn--bcher-kva") && slice_is(tn.nodes[6].os, "windows"));
	ck_assert(slice_is(tn.nodes[7].label, "six"));
	ck_assert(slice_is(tn.nodes[8].host, "two words \\\"q\\\"") && slice_is(tn.nodes[8].os, "linux"));
	ck_assert_uint_eq(tn.nodes[9].label.len, 0);
	ts_tailnet_free(&tn);
}
END_TEST

START_TEST(table_of_no_tailnet)
{
	struct ts_tailnet tn;

	parse_ok("Logged out.\nLog in at: https://login.example/a/b\n", &tn);
	ck_assert_int_eq(tn.state, TS_STATE_NEEDS_LOGIN);
	ts_tailnet_free(&tn);
	parse_ok("# Health check:\n#     - state=Stopped, wantRunning=false\n\nTailscale is stopped.\n", &tn);
	ck_assert_int_eq(tn.state, TS_STATE_STOPPED);
	ts_tailnet_free(&tn);
	parse_ok("Tailscale is starting.\n", &tn);
	ck_assert_int_eq(tn.state, TS_STATE_STOPPED);
	ts_tailnet_free(&tn);
	parse_ok("unexpected state: Resting\n", &tn);
	ck_assert_int_eq(tn.state, TS_STATE_STOPPED);
	ts_tailnet_free(&tn);
	parse_ok("Machine is not yet approved by tailnet admin.\n", &tn);
	ck_assert_int_eq(tn.state, TS_STATE_NEEDS_LOGIN);
	ts_tailnet_free(&tn);
	parse_ok("Machine is not yet authorized by tailnet admin.\n", &tn);
	ck_assert_int_eq(tn.state, TS_STATE_NEEDS_LOGIN);
	ts_tailnet_free(&tn);
}
END_TEST

START_TEST(table_truncated_at_every_byte)
{
	static const char text[] = "100.101.102.103 (\"hello\")            services@    linux   -\n"
				   "100.90.56.90    jawnsy-tailscale-1   jonathan@    linux   idle, tx 3144 rx 2708\n";

	for (size_t n = 0; n < sizeof(text); n++) {
		char *exact = malloc(n ? n : 1);
		struct ts_tailnet tn;
		int err;

		memcpy(exact, text, n);
		err = parse(exact, n, &tn);
		ck_assert(err == 0 || err == -EBADMSG);
		ts_tailnet_free(&tn);
		free(exact);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("status");
	TCase *t = tcase_create("status");

	suite_add_tcase(s, t);
	tcase_add_test(t, as_the_daemon_says);
	tcase_add_loop_test(t, backend_state, 0, sizeof(states) / sizeof(*states));
	tcase_add_test(t, truncated_at_every_byte);
	tcase_add_test(t, wrong_types_cost_their_field);
	tcase_add_test(t, strings_of_any_bytes);
	tcase_add_loop_test(t, no_status_at_all, 0, sizeof(refused) / sizeof(*refused));
	tcase_add_test(t, nul_bytes);
	tcase_add_test(t, deeply_nested);
	tcase_add_test(t, table);
	tcase_add_test(t, table_of_no_tailnet);
	tcase_add_test(t, table_truncated_at_every_byte);
	return unit_run(s);
}
