/* SPDX-License-Identifier: MIT */
/*
 * The compiler of maps: names as MagicDNS has them, ranges against a slow and simple model, the file as it is put in
 * place, sizes.
 */
#include <errno.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "names/map_write.h"
#include "tsproxy/status.h"
#include "unit.h"

static struct ts_map build(const char *status, struct ts_map_settings *set)
{
	struct ts_map_settings none = { 0 };
	char why[TS_STATUS_WHY_MAX] = "";
	struct ts_tailnet tn;
	uint8_t *data = NULL;
	struct ts_map m;

	ck_assert_msg(ts_status_parse(status, strlen(status), &tn, why) == 0, "%s", why);
	ck_assert_int_eq(ts_map_build(&tn, set ? set : &none, &data, &m.len), 0);
	ts_tailnet_free(&tn);
	m.base = data;
	m.proof = NULL;
	ck_assert_int_eq(ts_map_check(&m), 0);
	return m;
}

static void drop(struct ts_map *m)
{
	free((void *)m->base);
}

/* "canon ip ip..." or "-" */
static const char *look_up(const struct ts_map *m, const char *name)
{
	static char out[2048];
	struct ts_map_answer a;
	char ip[TS_ADDR_TEXT_MAX];

	if (ts_map_find_name(m, name, strlen(name), &a) != 1)
		return "-";
	strcpy(out, a.canon);
	for (unsigned i = 0; i < a.count; i++) {
		ts_ip_format(a.ip[i], ip);
		strcat(strcat(out, " "), ip);
	}
	return out;
}

static bool find_ip(const struct ts_map *m, const char *ip, struct ts_map_answer *out)
{
	struct ts_addr a;

	ck_assert(ts_addr_parse(ip, strlen(ip), &a));
	return ts_map_find_addr(m, a.ip, out) == 1;
}

static const char names_status[] =
	"{\"BackendState\":\"Running\",\"CurrentTailnet\":{\"MagicDNSSuffix\":\"Tail1.ts.net\",\"MagicDNSEnabled\":"
	"true},"
	"\"CertDomains\":[\"self.tail1.ts.net\",\"Alias.Example\",\"*.wild.example\"],"
	"\"ExtraRecords\":[{\"Name\":\"db.tail1.ts.net\",\"Value\":\"100.64.0.9\"},{\"Name\":\"wiki.corp.example.\","
	"\"Type\":\"AAAA\",\"Value\":"
	"\"fd00::1\"},{\"Name\":\"wiki.corp.example\",\"Type\":\"A\",\"Value\":\"10.1.2.3\"},{\"Name\":\"one.tail1.ts."
	"net\",\"Value\":"
	"\"100.64.0.8\"},{\"Name\":\"evil.example\",\"Value\":\"127.0.0.1\"}],"
	"\"Self\":{\"DNSName\":\"self.tail1.ts.net.\",\"HostName\":\"self\",\"OS\":\"linux\",\"TailscaleIPs\":"
	"[\"fd7a:115c:a1e0::1\",\"100.64.0.1\"],\"PrimaryRoutes\":[\"192.168.9.0/24\"]},"
	"\"Peer\":{\"a\":{\"DNSName\":\"One.Tail1.ts.net.\",\"HostName\":\"One Of "
	"Them\",\"TailscaleIPs\":[\"100.64.0.2\",\"fd7a:115c:a1e0::2\"],"
	"\"Online\":true},"
	"\"b\":{\"DNSName\":\"far.tail2.ts.net.\",\"HostName\":\"far\",\"TailscaleIPs\":[\"100.64.0.3\"]},"
	"\"c\":{\"DNSName\":\"\",\"HostName\":\"Hello World\",\"TailscaleIPs\":[\"100.64.0.4\"],\"ShareeNode\":true},"
	"\"d\":{\"DNSName\":\"one.tail1.ts.net.\",\"TailscaleIPs\":[\"100.64.0.5\"]},"
	"\"e\":{\"DNSName\":\"a.b.tail1.ts.net.\",\"TailscaleIPs\":[\"100.64.0.6\"]},"
	"\"f\":{\"DNSName\":\"bad name.tail1.ts.net.\",\"TailscaleIPs\":[\"100.64.0.7\"]},"
	"\"g\":{\"DNSName\":\"noaddr.tail1.ts.net.\"},"
	"\"w\":{\"DNSName\":\"wild.tail1.ts.net.\",\"TailscaleIPs\":[\"100.64.0.20\"],\"CapMap\":{\"dns-subdomain-resolve\":null}},"
	"\"h\":{\"DNSName\":\"local.tail1.ts.net.\",\"TailscaleIPs\":[\"127.0.0.1\",\"0.0.0.0\",\"224.0.0.1\",\"::1\"]}"
	"}}";

START_TEST(names)
{
	struct ts_map m = build(names_status, NULL);
	struct ts_map_answer a;

	ck_assert_str_eq(look_up(&m, "self"), "self.tail1.ts.net 100.64.0.1 fd7a:115c:a1e0::1");
	ck_assert_str_eq(look_up(&m, "SELF.tail1.TS.net."), "self.tail1.ts.net 100.64.0.1 fd7a:115c:a1e0::1");
	/* An extra record that bears a node's name adds to it; of two nodes with one name the first has it. */
	ck_assert_str_eq(look_up(&m, "one"), "one.tail1.ts.net 100.64.0.2 100.64.0.8 fd7a:115c:a1e0::2");
	ck_assert_str_eq(look_up(&m, "one.tail1.ts.net"), "one.tail1.ts.net 100.64.0.2 100.64.0.8 fd7a:115c:a1e0::2");
	/* From another tailnet: by its full name only. */
	ck_assert_str_eq(look_up(&m, "far"), "-");
	ck_assert_str_eq(look_up(&m, "far.tail2.ts.net"), "far.tail2.ts.net 100.64.0.3");
	ck_assert_str_eq(look_up(&m, "far.tail1.ts.net"), "-");
	ck_assert_str_eq(look_up(&m, "Hello World"), "-");
	ck_assert_str_eq(look_up(&m, "hello"), "-");
	ck_assert_str_eq(look_up(&m, "a.b.tail1.ts.net"), "a.b.tail1.ts.net 100.64.0.6");
	ck_assert_str_eq(look_up(&m, "a.b"), "-");
	ck_assert_str_eq(look_up(&m, "bad name"), "-");
	ck_assert_str_eq(look_up(&m, "bad name.tail1.ts.net"), "-");
	ck_assert_str_eq(look_up(&m, "noaddr"), "-");
	ck_assert_str_eq(look_up(&m, "local"), "-");
	ck_assert_str_eq(look_up(&m, "wild"), "wild.tail1.ts.net 100.64.0.20");
	ck_assert_str_eq(look_up(&m, "A.b.wild.tail1.ts.net."), "a.b.wild.tail1.ts.net 100.64.0.20");
	ck_assert_str_eq(look_up(&m, ".wild.tail1.ts.net"), "-");
	ck_assert_str_eq(look_up(&m, "a.one.tail1.ts.net"), "-");
	ck_assert_str_eq(look_up(&m, "a.wild"), "-");
	ck_assert_str_eq(look_up(&m, "db"), "db.tail1.ts.net 100.64.0.9");
	ck_assert_str_eq(look_up(&m, "wiki.corp.example"), "wiki.corp.example 10.1.2.3 fd00::1");
	ck_assert_str_eq(look_up(&m, "wiki"), "-");
	ck_assert_str_eq(look_up(&m, "alias.example"), "alias.example 100.64.0.1 fd7a:115c:a1e0::1");
	ck_assert_str_eq(look_up(&m, "evil.example"), "-");
	ck_assert(find_ip(&m, "100.64.0.2", &a));
	ck_assert_str_eq(a.canon, "one.tail1.ts.net");
	ck_assert_uint_eq(a.node_flags, TS_NODE_ONLINE | TS_NODE_ONLINE_KNOWN);
	ck_assert(find_ip(&m, "100.64.0.3", &a));
	ck_assert_uint_eq(a.node_flags, TS_NODE_SHAREE);
	ck_assert(find_ip(&m, "100.64.0.7", &a));
	ck_assert_str_eq(a.canon, "");
	/* An extra record makes no node of its address. */
	ck_assert(!find_ip(&m, "10.1.2.3", &a) && !find_ip(&m, "100.64.0.9", &a) && !find_ip(&m, "127.0.0.1", &a));
	ck_assert_uint_eq(ts_map_header(&m).self_node, 0);
	ck_assert_uint_eq(ts_map_header(&m).state, TS_STATE_RUNNING);
	drop(&m);
}
END_TEST

START_TEST(long_names)
{
	char label[70], name[400], status[1000];
	struct ts_map m;

	for (int n = 62; n <= 66; n++) {
		memset(label, 'a', sizeof(label));
		label[n] = '\0';
		snprintf(name, sizeof(name), "%s.tail1.ts.net", label);
		snprintf(status, sizeof(status),
			 "{\"MagicDNSSuffix\":\"tail1.ts.net\",\"Peer\":{\"a\":{\"DNSName\":\"%s.\",\"TailscaleIPs\":"
			 "[\"100.64.0.1\"]}}}",
			 name);
		m = build(status, NULL);
		ck_assert_int_eq(strcmp(look_up(&m, name), "-") != 0, n <= 63);
		ck_assert_int_eq(strcmp(look_up(&m, label), "-") != 0, n <= 63);
		drop(&m);
	}
}
END_TEST

START_TEST(labels_that_fill_the_buffer)
{
	struct ts_map m = build(names_status, NULL);
	struct ts_map_answer a;

	/* The reader puts the suffix behind a single label: there must be room. */
	for (size_t n = 200; n <= 300; n++) {
		char *exact = malloc(n);

		memset(exact, 'a', n);
		ck_assert_int_eq(ts_map_find_name(&m, exact, n, &a), 0);
		free(exact);
	}
	drop(&m);
}
END_TEST

START_TEST(table_names)
{
	static const char status[] =
		"100.64.0.1 (\"hello\") x@ linux -\n100.64.0.2 db x@ linux -\n100.64.0.3 n.tail9.ts.net x@ linux -\n";
	struct ts_map_settings set = { .suffix = (char *)"tail1.ts.net" };
	struct ts_map m = build(status, NULL);

	ck_assert_str_eq(look_up(&m, "db"), "db 100.64.0.2");
	ck_assert_str_eq(look_up(&m, "n.tail9.ts.net"), "n.tail9.ts.net 100.64.0.3");
	ck_assert_str_eq(look_up(&m, "n"), "-");
	ck_assert_str_eq(look_up(&m, "hello"), "-");
	ck_assert_uint_eq(ts_map_header(&m).self_node, TS_MAP_NONE);
	drop(&m);
	m = build(status, &set);
	ck_assert_str_eq(look_up(&m, "db"), "db.tail1.ts.net 100.64.0.2");
	ck_assert_str_eq(look_up(&m, "db.tail1.ts.net"), "db.tail1.ts.net 100.64.0.2");
	drop(&m);
}
END_TEST

struct model {
	struct ts_prefix p;
	enum ts_range_kind kind;
	uint32_t node;
};

/*
 * What the header promises, tried prefix by prefix: EXCLUDE, then ROUTE, then the longest; of equals the lower kind and
 * node.
 */
static const struct model *expected(const struct model *list, size_t n, const uint8_t ip[16])
{
	const struct model *best = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct model *c = &list[i];
		bool family = ts_ip_is4(ip) == (c->p.bits >= 96 && ts_ip_is4(c->p.ip));
		int rank, best_rank;

		if (!family || !ts_prefix_contains(&c->p, ip))
			continue;
		rank = c->kind == TS_RANGE_EXCLUDE ? 300 : c->kind == TS_RANGE_ROUTE ? 200 : c->p.bits;
		best_rank = !best                            ? -1
			    : best->kind == TS_RANGE_EXCLUDE ? 300
			    : best->kind == TS_RANGE_ROUTE   ? 200
							     : best->p.bits;
		if (rank > best_rank || (rank == best_rank && rank < 200 &&
					 (c->kind < best->kind || (c->kind == best->kind && c->node < best->node))))
			best = c;
	}
	return best;
}

static uint32_t seed;

static uint32_t random_below(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static void random_ip(uint8_t ip[16])
{
	memset(ip, 0, 16);
	if (random_below(2)) {
		ip[10] = ip[11] = 0xff;
		for (int i = 12; i < 16; i++)
			ip[i] = (uint8_t)(random_below(4) * 85);
	} else {
		for (int i = 0; i < 16; i++)
			ip[i] = (uint8_t)(random_below(3) ? 0 : random_below(4) * 85);
	}
}

static const struct ts_map_range *covering(const struct ts_ranges *r, const uint8_t ip[16])
{
	for (size_t i = 0; i < r->out_count; i++)
		if (memcmp(r->out[i].first, ip, 16) <= 0 && memcmp(r->out[i].last, ip, 16) >= 0)
			return &r->out[i];
	return NULL;
}

static void check_ip(const struct ts_ranges *r, const struct model *list, size_t n, const uint8_t ip[16])
{
	const struct ts_map_range *got = covering(r, ip);
	const struct model *want = expected(list, n, ip);
	char text[TS_ADDR_TEXT_MAX];

	ts_ip_format(ip, text);
	ck_assert_msg(!got == !want, "%s", text);
	if (!want)
		return;
	ck_assert_uint_eq(got->kind, want->kind);
	if (want->kind >= TS_RANGE_SUBNET)
		ck_assert_uint_eq(got->node, want->node);
}

static void step(uint8_t ip[16], int by)
{
	for (int i = 15; i >= 0; i--) {
		ip[i] = (uint8_t)(ip[i] + by);
		if (ip[i] != (by > 0 ? 0 : 0xff))
			return;
	}
}

START_TEST(ranges_as_the_model)
{
	for (int round = 0; round < 40; round++) {
		struct model list[24];
		struct ts_ranges r = { 0 };
		size_t n = 1 + random_below(24);
		uint8_t ip[16];

		seed = (uint32_t)(_i * 1000 + round);
		for (size_t i = 0; i < n; i++) {
			char text[TS_ADDR_TEXT_MAX + 8];
			size_t len;

			random_ip(ip);
			len = ts_ip_format(ip, text);
			len += (size_t)sprintf(text + len, "/%u", random_below(ts_ip_is4(ip) ? 33 : 129));
			ck_assert(ts_prefix_parse(text, len, &list[i].p));
			list[i].kind = (enum ts_range_kind)(1 + random_below(4));
			list[i].node = list[i].kind >= TS_RANGE_SUBNET ? random_below(3) : TS_MAP_NONE;
			ts_ranges_add(&r, &list[i].p, list[i].kind, list[i].node);
		}
		ck_assert_int_eq(ts_ranges_flatten(&r), 0);
		for (size_t i = 0; i < r.out_count; i++) {
			ck_assert_int_le(memcmp(r.out[i].first, r.out[i].last, 16), 0);
			if (i)
				ck_assert_int_gt(memcmp(r.out[i].first, r.out[i - 1].last, 16), 0);
			/* Both sides of both ends. */
			memcpy(ip, r.out[i].first, 16);
			check_ip(&r, list, n, ip);
			step(ip, -1);
			check_ip(&r, list, n, ip);
			memcpy(ip, r.out[i].last, 16);
			check_ip(&r, list, n, ip);
			step(ip, 1);
			check_ip(&r, list, n, ip);
		}
		for (int i = 0; i < 300; i++) {
			random_ip(ip);
			check_ip(&r, list, n, ip);
		}
		ts_ranges_free(&r);
	}
}
END_TEST

static uint32_t range_kind(const struct ts_map *m, const char *ip)
{
	struct ts_map_range r;
	struct ts_addr a;

	ck_assert(ts_addr_parse(ip, strlen(ip), &a));
	return ts_map_find_range(m, a.ip, &r) == 1 ? r.kind : 0;
}

START_TEST(routes)
{
	static const char format[] = "{\"Self\":{\"TailscaleIPs\":[\"100.64.0.1\"],\"PrimaryRoutes\":[\"192.168.9.0/"
				     "24\"]},\"Peer\":{\"a\":{\"TailscaleIPs\":"
				     "[\"100.64.0.2\"],\"AllowedIPs\":[\"0.0.0.0/0\",\"::/"
				     "0\"],\"PrimaryRoutes\":[\"10.0.0.0/8\",\"0.0.0.0/0\",\"::/0\"],"
				     "\"ExitNodeOption\":true,\"ExitNode\":%s}}}";
	struct ts_prefix exclude, route;
	struct ts_map_settings set = { .exclude = &exclude, .exclude_count = 1, .route = &route, .route_count = 1 };
	char status[1000];
	struct ts_map m;

	ck_assert(ts_prefix_parse("10.9.0.0/16", 11, &exclude) && ts_prefix_parse("172.16.0.0/12", 13, &route));
	snprintf(status, sizeof(status), format, "false");
	m = build(status, &set);
	ck_assert_uint_eq(range_kind(&m, "10.1.1.1"), TS_RANGE_SUBNET);
	ck_assert_uint_eq(range_kind(&m, "10.9.1.1"), TS_RANGE_EXCLUDE);
	ck_assert_uint_eq(range_kind(&m, "172.31.0.1"), TS_RANGE_ROUTE);
	/* An exit node that is not selected carries nothing; this node's own subnets are its host's. */
	ck_assert_uint_eq(range_kind(&m, "8.8.8.8"), 0);
	ck_assert_uint_eq(range_kind(&m, "2001:db8::1"), 0);
	ck_assert_uint_eq(range_kind(&m, "192.168.9.1"), 0);
	drop(&m);
	snprintf(status, sizeof(status), format, "true");
	m = build(status, &set);
	ck_assert_uint_eq(range_kind(&m, "8.8.8.8"), TS_RANGE_EXIT);
	ck_assert_uint_eq(range_kind(&m, "255.255.255.255"), TS_RANGE_EXIT);
	ck_assert_uint_eq(range_kind(&m, "2001:db8::1"), TS_RANGE_EXIT);
	ck_assert_uint_eq(range_kind(&m, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), TS_RANGE_EXIT);
	ck_assert_uint_eq(range_kind(&m, "10.1.1.1"), TS_RANGE_SUBNET);
	drop(&m);
}
END_TEST

static struct ts_status_prefs prefs(const char *text)
{
	struct ts_status_prefs p;

	ts_status_parse_prefs(text, strlen(text), &p);
	return p;
}

/* What a daemon that takes no routes lists is not carried: it would go out in the clear from there. */
START_TEST(routes_that_are_not_taken)
{
	static const char status[] = "{\"Peer\":{\"a\":{\"TailscaleIPs\":[\"100.64.0.2\"],\"ExitNode\":true,\"PrimaryRoutes\":"
				     "[\"10.0.0.0/8\",\"fd7a:115c:a1e0:b1a:0:7::/96\"]}}}";
	struct ts_map_settings none = { 0 };
	char why[TS_STATUS_WHY_MAX] = "";
	struct ts_map m = build(status, NULL);
	struct ts_tailnet tn;
	uint8_t *data = NULL;

	ck_assert_uint_eq(range_kind(&m, "10.1.1.1"), TS_RANGE_SUBNET);
	ck_assert_uint_eq(range_kind(&m, "fd7a:115c:a1e0:b1a:0:7:a00:1"), TS_RANGE_SUBNET);
	drop(&m);
	ck_assert_int_eq(ts_status_parse(status, strlen(status), &tn, why), 0);
	tn.refuses_routes = prefs("{\"RouteAll\":false}").refuses_routes;
	ck_assert_int_eq(ts_map_build(&tn, &none, &data, &m.len), 0);
	m.base = data;
	ck_assert_uint_eq(range_kind(&m, "10.1.1.1"), TS_RANGE_EXIT);
	ck_assert_uint_eq(range_kind(&m, "fd7a:115c:a1e0:b1a:0:7:a00:1"), TS_RANGE_EXIT);
	ck_assert(ts_map_header(&m).flags & TS_MAP_REFUSES_ROUTES);
	ts_tailnet_free(&tn);
	drop(&m);
	ck_assert(!prefs("{\"RouteAll\":true}").refuses_routes);
	ck_assert(!prefs("{\"RouteAll\":0}").refuses_routes);
	ck_assert(!prefs("{}").refuses_routes && !prefs("{}").refuses_dns);
	ck_assert(!prefs("access denied").refuses_routes);
	ck_assert(prefs("{\"CorpDNS\":false}").refuses_dns && !prefs("{\"CorpDNS\":true}").refuses_dns);
}
END_TEST

START_TEST(settings_in_the_map)
{
	struct ts_endpoint e = { .kind = TS_PROXY_SOCKS5,
				 .flags = TS_PROXY_PIPELINE | TS_PROXY_UDP,
				 .user = "u",
				 .pass = "p" },
			   got;
	char *remotes[] = { (char *)".Corp.Example", (char *)"ts.net" };
	struct ts_map_settings set = { .no_short_names = true,
				       .exit_node = true,
				       .endpoints = &e,
				       .endpoint_count = 1,
				       .remote = remotes,
				       .remote_count = 2,
				       .no_answer = true,
				       .made_ns = 12345 };
	struct ts_map m;

	ck_assert(ts_addr_parse_hostport("127.0.0.1:1055", 14, &e.addr));
	m = build("{\"BackendState\":\"Stopped\",\"TUN\":true,\"CurrentTailnet\":{\"MagicDNSEnabled\":false}}", &set);
	ck_assert_uint_eq(ts_map_header(&m).flags,
			  TS_MAP_TUN | TS_MAP_NO_MAGICDNS | TS_MAP_NO_SHORT_NAMES | TS_MAP_EXIT_NODE | TS_MAP_NO_ANSWER);
	ck_assert_uint_eq(ts_map_header(&m).state, TS_STATE_STOPPED);
	ck_assert_int_eq(ts_map_header(&m).made_ns, 12345);
	ck_assert_int_eq(ts_map_endpoint(&m, 0, &got), 1);
	ck_assert(ts_addr_equal(&got.addr, &e.addr) && got.kind == e.kind && got.flags == (e.flags | TS_PROXY_AUTH));
	ck_assert(!got.user[0] && !got.pass[0]);
	ck_assert_int_eq(ts_map_endpoint(&m, 1, &got), 0);
	ck_assert(ts_map_name_remote(&m, "db.corp.example", 15) && ts_map_name_remote(&m, "X.TS.net.", 9));
	ck_assert(!ts_map_name_remote(&m, "example", 7));
	drop(&m);
}
END_TEST

/* The map that follows `old` when the daemon says `status`; its DNS has `route` as a domain of its own, if any. `old` is gone then. */
static struct ts_map next(struct ts_map old, const char *status, const char *route)
{
	struct ts_map_settings set = { .former = old.base ? &old : NULL };
	char why[TS_STATUS_WHY_MAX] = "", dns[600];
	struct ts_tailnet tn;
	uint8_t *data = NULL;
	struct ts_map m;

	ck_assert_msg(ts_status_parse(status, strlen(status), &tn, why) == 0, "%s", why);
	snprintf(dns, sizeof(dns), "{\"Routes\":{%s}}", route);
	ck_assert_int_eq(ts_status_parse_dns(dns, strlen(dns), &tn), 0);
	ck_assert_int_eq(ts_map_build(&tn, &set, &data, &m.len), 0);
	ts_tailnet_free(&tn);
	m.base = data;
	m.proof = NULL;
	ck_assert_int_eq(ts_map_check(&m), 0);
	free((void *)old.base);
	return m;
}

static bool is_own(const struct ts_map *m, const char *name)
{
	return ts_map_name_under_suffix(m, name, strlen(name)) != 0;
}

#define RUNNING(suffix) "{\"BackendState\":\"Running\",\"MagicDNSSuffix\":\"" suffix "\",\"ExtraRecords\":" \
	"[{\"Name\":\"wiki." suffix ".example\",\"Value\":\"10.1.2.3\"},{\"Name\":\"db." suffix "\",\"Value\":\"10.1.2.4\"}]}"
#define LOGGED_OUT "{\"BackendState\":\"NeedsLogin\"}"
#define STOPPED "{\"BackendState\":\"Stopped\"}"

START_TEST(domains_outlive_the_login)
{
	static const char *const own_a[] = { "a.ts.net", "x.A.ts.net.", "y.x.a.ts.net", "wiki.a.ts.net.example", "corp.example", "n.Corp.Example." };
	static const char *const others[] = { "ts.net", "xa.ts.net", "example", "a.ts.net.example", "10.in-addr.arpa", "1.10.in-addr.arpa", "" };
	static const char route_a[] = "\"corp.example.\":[{\"Addr\":\"10.0.0.53\"}],\"10.in-addr.arpa.\":[{\"Addr\":\"10.0.0.53\"}]";
	struct ts_map m = next((struct ts_map){ NULL, 0, NULL }, RUNNING("a.ts.net"), route_a);

	ck_assert(is_own(&m, "x.a.ts.net") && !is_own(&m, "n.corp.example") && !is_own(&m, "wiki.a.ts.net.example"));
	for (int round = 0; round < 3; round++) {
		m = next(m, round == 1 ? STOPPED : LOGGED_OUT, "");
		for (size_t i = 0; i < sizeof(own_a) / sizeof(*own_a); i++)
			ck_assert_msg(is_own(&m, own_a[i]), "%s is forgotten", own_a[i]);
		for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
			ck_assert_msg(!is_own(&m, others[i]), "%s is none", others[i]);
	}
	/* Another tailnet's map is its own; while that is logged out both are withheld. By turns they stay as many as they are. */
	for (int round = 0; round < 40; round++) {
		m = next(m, RUNNING("b.ts.net"), "");
		ck_assert(is_own(&m, "x.b.ts.net") && !is_own(&m, "x.a.ts.net") && !is_own(&m, "corp.example"));
		m = next(m, LOGGED_OUT, "");
		ck_assert(is_own(&m, "x.a.ts.net") && is_own(&m, "x.b.ts.net") && is_own(&m, "corp.example"));
		m = next(m, RUNNING("a.ts.net"), route_a);
		ck_assert(!is_own(&m, "x.b.ts.net"));
	}
	ck_assert_uint_eq(ts_map_header(&m).domains.count, 5);
	drop(&m);
}
END_TEST

START_TEST(the_latest_domains_are_kept)
{
	struct ts_map m = { NULL, 0, NULL };
	char status[200], name[40];

	for (int i = 0; i < 2 * TS_MAP_DOMAINS_MAX; i++) {
		snprintf(status, sizeof(status), "{\"BackendState\":\"Running\",\"MagicDNSSuffix\":\"t%d.ts.net\"}", i);
		m = next(m, status, "");
	}
	m = next(m, LOGGED_OUT, "");
	ck_assert_uint_eq(ts_map_header(&m).domains.count, TS_MAP_DOMAINS_MAX);
	for (int i = 0; i < 2 * TS_MAP_DOMAINS_MAX; i++) {
		snprintf(name, sizeof(name), "x.t%d.ts.net", i);
		ck_assert_msg(is_own(&m, name) == (i >= TS_MAP_DOMAINS_MAX), "%s", name);
	}
	drop(&m);
}
END_TEST

/* A status of `n` nodes with two addresses each. */
static char *many(unsigned n)
{
	size_t cap = 400ull * n + 1000, at;
	char *text = malloc(cap);

	at = (size_t)sprintf(text, "{\"BackendState\":\"Running\",\"MagicDNSSuffix\":\"tail1234.ts.net\",\"Peer\":{");
	for (unsigned i = 0; i < n; i++)
		at += (size_t)sprintf(text + at,
				      "%s\"nodekey:%064u\":{\"HostName\":\"node-%u\",\"DNSName\":\"node-%u.tail1234.ts."
				      "net.\",\"OS\":\"linux\","
				      "\"TailscaleIPs\":[\"100.%u.%u.%u\",\"fd7a:115c:a1e0::%x:%x\"],\"Online\":true}",
				      i ? "," : "", i, i, i, 64 + (i >> 16), i >> 8 & 255, i & 255, i >> 16,
				      i & 0xffff);
	strcpy(text + at, "}}");
	return text;
}

START_TEST(a_hundred_thousand_nodes)
{
	char *text = many(100000);
	struct ts_map m = build(text, NULL);
	struct ts_map_header h = ts_map_header(&m);
	struct ts_map_answer a;

	ck_assert_str_eq(look_up(&m, "node-99999"), "node-99999.tail1234.ts.net 100.65.134.159 fd7a:115c:a1e0::1:869f");
	ck_assert_str_eq(look_up(&m, "node-0.tail1234.ts.net"), "node-0.tail1234.ts.net 100.64.0.0 fd7a:115c:a1e0::");
	ck_assert(find_ip(&m, "fd7a:115c:a1e0::1:869f", &a));
	ck_assert_uint_ge(h.name_hash.count, 2 * h.names.count);
	ck_assert_uint_lt(m.len, 16u << 20);
	drop(&m);
	free(text);
}
END_TEST

START_TEST(too_many_nodes)
{
	char *text = many(300000), why[TS_STATUS_WHY_MAX];
	struct ts_map_settings set = { 0 };
	struct ts_tailnet tn;
	uint8_t *data = NULL;
	size_t len;

	ck_assert_int_eq(ts_status_parse(text, strlen(text), &tn, why), 0);
	ck_assert_int_eq(ts_map_build(&tn, &set, &data, &len), -EFBIG);
	ck_assert_ptr_null(data);
	ts_tailnet_free(&tn);
	free(text);
}
END_TEST

static const char small[] = "{\"MagicDNSSuffix\":\"t.ts.net\",\"Peer\":{\"a\":{\"DNSName\":\"a.t.ts.net.\","
			    "\"TailscaleIPs\":[\"100.64.0.1\"]}}}";

START_TEST(install)
{
	struct ts_map m = build(small, NULL), second = build(small, NULL), old, now;
	const char *path = unit_path("sub/tsproxy/x.map");
	struct stat st;

	ck_assert_int_eq(ts_map_install(path, m.base, m.len), 0);
	ck_assert_int_eq(stat(unit_path("sub/tsproxy"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(st.st_size, (off_t)m.len);
	ck_assert_int_eq(ts_map_load(path, &old), 0);
	/* A temporary file that a killed writer left does not stand in the way. */
	unit_file("sub/tsproxy/x.map.new", "half", 4);
	ck_assert_int_eq(ts_map_install(path, second.base, second.len), 0);
	ck_assert_str_eq(look_up(&old, "a"), "a.t.ts.net 100.64.0.1");
	ck_assert_int_eq(ts_map_load(path, &now), 0);
	ck_assert_uint_ne(ts_map_header(&now).generation, ts_map_header(&old).generation);
	ck_assert_int_ne(access(unit_path("sub/tsproxy/x.map.new"), F_OK), 0);
	ts_map_unload(&old);
	ts_map_unload(&now);
	drop(&m);
	drop(&second);
}
END_TEST

START_TEST(install_where_it_must_not)
{
	struct ts_map m = build(small, NULL);
	const char *dir = unit_path("d"), *path = unit_path("d/x.map");

	ck_assert_int_eq(mkdir(dir, 0700), 0);
	ck_assert_int_eq(chmod(dir, 0770), 0);
	ck_assert_int_eq(ts_map_install(path, m.base, m.len), -EPERM);
	ck_assert_int_eq(chmod(dir, 0702), 0);
	ck_assert_int_eq(ts_map_install(path, m.base, m.len), -EPERM);
	/* Readable for others is no danger: what lies there is 0600. */
	ck_assert_int_eq(chmod(dir, 0755), 0);
	ck_assert_int_eq(ts_map_install(path, m.base, m.len), 0);
	ck_assert_int_eq(symlink(dir, unit_path("link")), 0);
	ck_assert_int_eq(ts_map_install(unit_path("link/x.map"), m.base, m.len), -EPERM);
	ck_assert_int_eq(ts_map_install("relative/x.map", m.base, m.len), -EINVAL);
	ck_assert_int_eq(ts_map_install(unit_path("d/"), m.base, m.len), -EINVAL);
	unit_file("file", "", 0);
	ck_assert_int_eq(ts_map_install(unit_path("file/x.map"), m.base, m.len), -EPERM);
	ck_assert_int_eq(ts_map_install("/nonexistent-a/b/c/x.map", m.base, m.len), -ENOENT);
	/* Somebody planted a link or a pipe in the file's place: replaced, never followed. */
	unlink(path);
	unit_file("victim", "precious", 8);
	ck_assert_int_eq(symlink(unit_path("victim"), path), 0);
	ck_assert_int_eq(ts_map_install(path, m.base, m.len), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(ts_map_install(path, m.base, m.len), 0);
	drop(&m);
}
END_TEST

START_TEST(install_in_a_foreign_directory)
{
	struct ts_map m = build(small, NULL);
	const char *dir = unit_path("foreign");

	if (geteuid() != 0) {
		fprintf(stderr, "skip: only root can make another user's directory\n");
		drop(&m);
		return;
	}
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	ck_assert_int_eq(chown(dir, 65534, 65534), 0);
	ck_assert_int_eq(ts_map_install(unit_path("foreign/x.map"), m.base, m.len), -EPERM);
	drop(&m);
}
END_TEST

START_TEST(no_room)
{
	struct ts_map m = build(small, NULL), old;
	struct rlimit was, limit;
	const char *path = unit_path("x.map"), *limited = unit_path("limited.map"), *full = unit_path("full");
	static const char page[4096];
	int just, over;

	ck_assert_int_eq(ts_map_install(path, m.base, m.len), 0);
	ck_assert_int_eq(ts_map_install(path, m.base, TS_MAP_FILE_MAX + 1ul), -EFBIG);
	/* Not one byte beyond the limit is written, which would be a signal. (Check writes a file of its own at each assertion.) */
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
	limit = was;
	limit.rlim_cur = m.len;
	setrlimit(RLIMIT_FSIZE, &limit);
	just = ts_map_install(limited, m.base, m.len);
	limit.rlim_cur--;
	setrlimit(RLIMIT_FSIZE, &limit);
	over = ts_map_install(path, m.base, m.len);
	setrlimit(RLIMIT_FSIZE, &was);
	ck_assert_int_eq(just, 0);
	ck_assert_int_eq(over, -EFBIG);
	ck_assert_int_eq(ts_map_load(limited, &old), 0);
	ts_map_unload(&old);
	/* A full disk. */
	ck_assert_int_eq(mkdir(full, 0700), 0);
	ck_assert_int_eq(mount("none", full, "tmpfs", 0, "size=4k,mode=700"), 0);
	unit_file("full/filler", page, sizeof(page));
	ck_assert_int_eq(ts_map_install(unit_path("full/x.map"), m.base, m.len), -ENOSPC);
	ck_assert_int_ne(access(unit_path("full/x.map.new"), F_OK), 0);
	ck_assert_int_eq(umount(full), 0);
	/* The old one stays as it was, and nothing is left lying about. */
	ck_assert_int_eq(ts_map_load(path, &old), 0);
	ck_assert_int_ne(access(unit_path("x.map.new"), F_OK), 0);
	ts_map_unload(&old);
	drop(&m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("map_write");
	TCase *t = tcase_create("build"), *f = tcase_create("file");

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, names);
	tcase_add_test(t, long_names);
	tcase_add_test(t, labels_that_fill_the_buffer);
	tcase_add_test(t, table_names);
	tcase_add_loop_test(t, ranges_as_the_model, 0, 10);
	tcase_add_test(t, routes);
	tcase_add_test(t, routes_that_are_not_taken);
	tcase_add_test(t, settings_in_the_map);
	tcase_add_test(t, domains_outlive_the_login);
	tcase_add_test(t, the_latest_domains_are_kept);
	tcase_add_test(t, a_hundred_thousand_nodes);
	tcase_add_test(t, too_many_nodes);
	suite_add_tcase(s, f);
	tcase_add_checked_fixture(f, unit_dir_make, unit_dir_remove);
	tcase_add_test(f, install);
	tcase_add_test(f, install_where_it_must_not);
	tcase_add_test(f, install_in_a_foreign_directory);
	tcase_add_test(f, no_room);
	return unit_run(s);
}
