/* SPDX-License-Identifier: MIT */
/* base/addr.c and base/conf.c's parsers: text to value and back, and everything that must be refused. */
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tsproxy/addr.h"
#include "tsproxy/conf.h"

static const struct { const char *in, *out; } addresses[] = {
	{ "100.64.0.2", "100.64.0.2" },
	{ "0.0.0.0", "0.0.0.0" },
	{ "255.255.255.255", "255.255.255.255" },
	{ "::", "::" },
	{ "::1", "::1" },
	{ "1::", "1::" },
	{ "fd7a:115c:a1e0::1", "fd7a:115c:a1e0::1" },
	{ "FD7A:115C:A1E0:0:0:0:0:1", "fd7a:115c:a1e0::1" },
	{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
	{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
	{ "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" },
	{ "::ffff:100.64.0.2", "100.64.0.2" },
	{ "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304" },
	{ "1::2:3:4:5:6:7", "1:0:2:3:4:5:6:7" },
};

START_TEST(text_round_trip)
{
	char text[TS_ADDR_TEXT_MAX];
	struct ts_addr a;

	ck_assert(ts_addr_parse(addresses[_i].in, strlen(addresses[_i].in), &a));
	ck_assert_uint_eq(ts_ip_format(a.ip, text), strlen(text));
	ck_assert_str_eq(text, addresses[_i].out);
}
END_TEST

static const char *const no_addresses[] = {
	"", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", " 1.2.3.4", "1..2.3", "a.b.c.d", ":", ":::", "1:2:3:4:5:6:7",
	"1:2:3:4:5:6:7:8:9", "::1::", "12345::", "g::", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3", "fe80::1%eth0", "1:", ":1", "db",
};

START_TEST(text_refused)
{
	struct ts_addr a;

	ck_assert(!ts_addr_parse(no_addresses[_i], strlen(no_addresses[_i]), &a));
}
END_TEST

static const struct { const char *in, *out; } hostports[] = {
	{ "127.0.0.1:1080", "127.0.0.1:1080" }, { "localhost:1055", "127.0.0.1:1055" }, { "1080", "127.0.0.1:1080" },
	{ "[::1]:80", "[::1]:80" }, { "10.0.0.5:65535", "10.0.0.5:65535" },
	{ "proxy:1080", NULL }, { "127.0.0.1", NULL }, { "127.0.0.1:", NULL }, { ":1080", NULL }, { "127.0.0.1:0", NULL },
	{ "127.0.0.1:65536", NULL }, { "::1:80", NULL }, { "[::1:80", NULL }, { "127.0.0.1:80x", NULL }, { "", NULL },
};

START_TEST(hostport)
{
	char text[TS_ADDR_TEXT_MAX];
	struct ts_addr a;
	bool ok = ts_addr_parse_hostport(hostports[_i].in, strlen(hostports[_i].in), &a);

	ck_assert_int_eq(ok, hostports[_i].out != NULL);
	if (ok) {
		ts_addr_format(&a, text);
		ck_assert_str_eq(text, hostports[_i].out);
	}
}
END_TEST

static const struct { const char *prefix, *address; bool ok, inside; } prefixes[] = {
	{ "100.64.0.0/10", "100.127.255.255", true, true },
	{ "100.64.0.0/10", "100.128.0.0", true, false },
	{ "100.64.0.7/10", "100.64.0.0", true, true },
	{ "10.1.2.3", "10.1.2.3", true, true },
	{ "10.1.2.3", "10.1.2.4", true, false },
	{ "0.0.0.0/0", "8.8.8.8", true, true },
	{ "0.0.0.0/0", "fd00::1", true, false },
	{ "::/0", "8.8.8.8", true, true },
	{ "fd7a:115c:a1e0::/48", "fd7a:115c:a1e0:ffff::1", true, true },
	{ "fd7a:115c:a1e0::/48", "fd7a:115c:a1e1::1", true, false },
	{ "10.0.0.0/33", NULL, false, false },
	{ "10.0.0.0/", NULL, false, false },
	{ "10.0.0.0/8x", NULL, false, false },
	{ "fd00::/129", NULL, false, false },
	{ "db/8", NULL, false, false },
};

START_TEST(prefix)
{
	struct ts_prefix p;
	struct ts_addr a;

	ck_assert_int_eq(ts_prefix_parse(prefixes[_i].prefix, strlen(prefixes[_i].prefix), &p), prefixes[_i].ok);
	if (!prefixes[_i].ok)
		return;
	ck_assert(ts_addr_parse(prefixes[_i].address, strlen(prefixes[_i].address), &a));
	ck_assert_int_eq(ts_prefix_contains(&p, a.ip), prefixes[_i].inside);
}
END_TEST

START_TEST(sockaddrs)
{
	struct sockaddr_storage sa;
	struct ts_addr a, b;

	ck_assert(ts_addr_parse("100.64.0.2", 10, &a));
	a.port = 5432;
	ck_assert_uint_eq(ts_addr_to_sockaddr(&a, AF_INET, &sa), sizeof(struct sockaddr_in));
	ck_assert(ts_addr_from_sockaddr(&b, (struct sockaddr *)&sa, sizeof(struct sockaddr_in)));
	ck_assert(ts_addr_equal(&a, &b));
	ck_assert_uint_eq(ts_addr_to_sockaddr(&a, AF_INET6, &sa), sizeof(struct sockaddr_in6));
	ck_assert(ts_addr_from_sockaddr(&b, (struct sockaddr *)&sa, sizeof(struct sockaddr_in6)));
	ck_assert_msg(ts_addr_equal(&a, &b), "a mapped address is the IPv4 address");
	ck_assert_msg(!ts_addr_from_sockaddr(&b, (struct sockaddr *)&sa, 8), "too short for its family");
	ck_assert(ts_addr_parse("fd00::1", 7, &a));
	ck_assert_uint_eq(ts_addr_to_sockaddr(&a, AF_INET, &sa), 0);
}
END_TEST

START_TEST(copy_out_cuts_as_the_kernel_does)
{
	struct sockaddr_storage src = { .ss_family = AF_INET };
	unsigned char dst[sizeof(struct sockaddr_in)];
	socklen_t len = 2;

	memset(dst, 0xaa, sizeof(dst));
	ts_sockaddr_copy_out(&src, sizeof(struct sockaddr_in), (struct sockaddr *)dst, &len);
	ck_assert_uint_eq(len, sizeof(struct sockaddr_in));
	ck_assert_uint_eq(dst[2], 0xaa);
}
END_TEST

START_TEST(scopes)
{
	struct ts_addr a;

	ck_assert(ts_addr_parse("127.9.9.9", 9, &a) && ts_ip_is_loopback(a.ip));
	ck_assert(ts_addr_parse("::1", 3, &a) && ts_ip_is_loopback(a.ip));
	ck_assert(ts_addr_parse("224.0.0.1", 9, &a) && ts_ip_is_local_scope(a.ip));
	ck_assert(ts_addr_parse("169.254.1.1", 11, &a) && ts_ip_is_local_scope(a.ip));
	ck_assert(ts_addr_parse("0.0.0.0", 7, &a) && ts_ip_is_local_scope(a.ip));
	ck_assert(ts_addr_parse("fe80::1", 7, &a) && ts_ip_is_local_scope(a.ip));
	ck_assert(ts_addr_parse("100.63.255.255", 14, &a) && !ts_ip_is_tailscale(a.ip));
	ck_assert(ts_addr_parse("100.64.0.0", 10, &a) && ts_ip_is_tailscale(a.ip) && !ts_ip_is_local_scope(a.ip));
	ck_assert(ts_addr_parse("100.100.100.100", 15, &a) && ts_ip_is_tailscale_service(a.ip));
	ck_assert(ts_addr_parse("fd7a:115c:a1e0::53", 18, &a) && ts_ip_is_tailscale_service(a.ip));
}
END_TEST

START_TEST(conf_environment)
{
	char *env[] = { "HOME=/home/u", "TSPROXY_SOCKS5=user:pa:ss@127.0.0.1:1055", "TSPROXY_ROUTE=10.0.0.0/8,fd00::/8",
			"TSPROXY_EXCLUDE=10.1.0.0/16,nonsense", "TSPROXY_SHORT_NAMES=0", NULL };
	char *off[] = { "TSPROXY_DISABLE=1", "HOME=/home/u", NULL };
	struct ts_conf c;

	ts_conf_load(&c, env);
	ck_assert(c.socks5.set && !c.socks5.bad && c.socks5.addr.port == 1055);
	ck_assert_str_eq(c.socks5.user, "user");
	ck_assert_str_eq(c.socks5.pass, "pa:ss");
	ck_assert_uint_eq(c.route_count, 2);
	ck_assert_uint_eq(c.exclude_count, 1);
	ck_assert(c.bad_list && !c.short_names && c.overridden);
	ts_conf_load(&c, off);
	ck_assert(c.disable && c.map_path[0] == '\0');
}
END_TEST

#define RUN "XDG_RUNTIME_DIR=/run/user/7"
#define OWN "TSPROXY_SOCKS5=127.0.0.1:1"

/* Where the map of a user is, and that of root; an '*' stands for 16 hex digits, a '%' for the host. "": there is no place. */
static const struct {
	const char *env[3], *user, *root;
} places[] = {
	{ { RUN }, "/run/user/7/tsproxy/default.map", "/run/tsproxy/*/default.map" },
	{ { "XDG_RUNTIME_DIR=/run/user/0" }, "/run/user/0/tsproxy/default.map", "/run/tsproxy/default.map" },
	{ { "XDG_RUNTIME_DIR=run" }, "", "/run/tsproxy/default.map" },
	{ { "HOME=/home/u" }, "/home/u/.cache/tsproxy/default@%.map", "/run/tsproxy/default.map" },
	{ { "HOME=/home/u", OWN }, "/home/u/.cache/tsproxy/default-*@%.map", "/run/tsproxy/default-*.map" },
	{ { "HOME=/home/u", RUN, "TSPROXY_PROFILE=work" }, "/run/user/7/tsproxy/work.map", "/run/tsproxy/*/work.map" },
	{ { RUN, "TSPROXY_PROFILE=../../etc/x" }, "/run/user/7/tsproxy/default.map", "/run/tsproxy/*/default.map" },
	{ { NULL }, "", "/run/tsproxy/default.map" },
	{ { RUN, "TSPROXY_STATUS=relative" }, "", "" },
};

static bool is_like(const char *text, const char *pattern)
{
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	for (; *pattern; pattern++) {
		size_t n = *pattern == '*' ? strspn(text, "0123456789abcdef") : *pattern == '%' ? strlen(host) : 1;

		if (*pattern == '*' ? n != 16 : *pattern == '%' ? strncmp(text, host, n) != 0 : *text != *pattern)
			return false;
		text += n;
	}
	return !*text;
}

START_TEST(map_places)
{
	char *env[] = { (char *)places[_i].env[0], (char *)places[_i].env[1], (char *)places[_i].env[2], NULL };
	bool root = geteuid() == 0;
	struct ts_conf c;
	char other[TS_CONF_PATH_MAX] = "";

	ts_conf_load(&c, env);
	ck_assert_msg(is_like(c.map_path, root ? places[_i].root : places[_i].user), "%s", c.map_path);
	ck_assert_int_eq(ts_conf_other_map(env, other, sizeof(other)), (root ? places[_i].user : places[_i].root)[0] != '\0');
	ck_assert_msg(is_like(other, root ? places[_i].user : places[_i].root), "%s", other);
}
END_TEST

START_TEST(named_places)
{
	char *map[] = { "HOME=/home/u", "TSPROXY_MAP=/m/x", "TSPROXY_PLACE=/p", NULL };
	char *place[] = { "HOME=/home/u", RUN, "TSPROXY_PLACE=/p", NULL };
	char *home[] = { "TSPROXY_PLACE=/p/@other", "TSPROXY_PROFILE=work", NULL };
	char other[TS_CONF_PATH_MAX];
	struct ts_conf c;

	ts_conf_load(&c, map);
	ck_assert_str_eq(c.map_path, "/m/x");
	ck_assert(!ts_conf_other_map(map, other, sizeof(other)));
	ts_conf_load(&c, place);
	ck_assert_str_eq(c.map_path, "/p/default.map");
	ck_assert(!ts_conf_other_map(place, other, sizeof(other)));
	ts_conf_load(&c, home);
	ck_assert_str_eq(c.map_path, "/p/work@other.map");
}
END_TEST

START_TEST(folder_modes)
{
	ck_assert_uint_eq(ts_conf_folder_mode("/run/tsproxy"), 0755);
	ck_assert_uint_eq(ts_conf_folder_mode("/run/tsproxy/0123456789abcdef"), 0755);
	ck_assert_uint_eq(ts_conf_folder_mode("/dev/shm/tsproxy-0"), 0755);
	ck_assert_uint_eq(ts_conf_folder_mode("/dev/shm/tsproxy-01"), 0700);
	ck_assert_uint_eq(ts_conf_folder_mode("/run/tsproxy2"), 0700);
	ck_assert_uint_eq(ts_conf_folder_mode("/run"), 0700);
	ck_assert_uint_eq(ts_conf_folder_mode(""), 0700);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("addr");
	TCase *t = tcase_create("addr");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, text_round_trip, 0, sizeof(addresses) / sizeof(*addresses));
	tcase_add_loop_test(t, text_refused, 0, sizeof(no_addresses) / sizeof(*no_addresses));
	tcase_add_loop_test(t, hostport, 0, sizeof(hostports) / sizeof(*hostports));
	tcase_add_loop_test(t, prefix, 0, sizeof(prefixes) / sizeof(*prefixes));
	tcase_add_test(t, sockaddrs);
	tcase_add_test(t, copy_out_cuts_as_the_kernel_does);
	tcase_add_test(t, scopes);
	tcase_add_test(t, conf_environment);
	tcase_add_loop_test(t, map_places, 0, sizeof(places) / sizeof(*places));
	tcase_add_test(t, named_places);
	tcase_add_test(t, folder_modes);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
