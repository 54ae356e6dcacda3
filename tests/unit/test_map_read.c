/* SPDX-License-Identifier: MIT */
/*
 * The map's reader: what it finds, what it refuses, and that no byte of a file can make it read elsewhere. Maps are
 * kept against a page without access, so that a read beyond the end is a fault and not luck.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "names/map_write.h"
#include "tsproxy/map.h"
#include "tsproxy/name_kind.h"
#include "tsproxy/settings.h"
#include "tsproxy/split.h"
#include "tsproxy/status.h"

static const char status[] =
	"{\"BackendState\":\"Running\",\"Self\":{\"HostName\":\"me\",\"DNSName\":\"me.tail1.ts.net.\","
	"\"TailscaleIPs\":[\"100.64.0.1\",\"fd7a:115c:a1e0::1\"],\"Online\":true},"
	"\"Peer\":{\"a\":{\"HostName\":\"DB\",\"DNSName\":\"db.tail1.ts.net.\",\"Online\":true,"
	"\"TailscaleIPs\":[\"100.64.0.2\",\"fd7a:115c:a1e0::2\"],\"PrimaryRoutes\":[\"10.1.0.0/16\",\"10.1.2.0/24\"]},"
	"\"b\":{\"HostName\":\"no name\",\"DNSName\":\"\",\"TailscaleIPs\":[\"100.64.0.3\"],\"Online\":false}},"
	"\"MagicDNSSuffix\":\"tail1.ts.net\",\"CurrentTailnet\":{\"MagicDNSSuffix\":\"tail1.ts.net\",\"MagicDNSEnabled\":true}}";

static uint8_t *good;	/* a map as the writer makes it */
static size_t good_len;
static struct ts_map whole;	/* the same, against the end of the world */
static uint8_t *fence;		/* the page without access */

static struct ts_addr ip(const char *text)
{
	struct ts_addr a;

	ck_assert(ts_addr_parse(text, strlen(text), &a));
	return a;
}

static void setup(void)
{
	char remote[] = "remote.example", why[TS_STATUS_WHY_MAX], *remotes[] = { remote };
	struct ts_endpoint proxy = { .kind = TS_PROXY_SOCKS5, .flags = TS_PROXY_PIPELINE, .user = "u", .pass = "hunter2" };
	char suffix[] = "corp.example";
	struct ts_dns_route route = { suffix, ip("10.0.0.53") };
	struct ts_map_settings set = {
		.made_ns = 42, .endpoints = &proxy, .endpoint_count = 1, .remote = remotes, .remote_count = 1,
		.dns_route = &route, .dns_route_count = 1,
	};
	struct ts_tailnet tn;
	size_t room;

	ck_assert(ts_addr_parse_hostport("127.0.0.1:1080", 14, &proxy.addr));
	ck_assert_int_eq(ts_status_parse(status, sizeof(status) - 1, &tn, why), 0);
	ck_assert_int_eq(ts_map_build(&tn, &set, &good, &good_len), 0);
	ts_tailnet_free(&tn);
	room = (good_len + 4095) & ~4095ul;
	fence = mmap(NULL, room + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(fence, MAP_FAILED);
	fence += room;
	ck_assert_int_eq(mprotect(fence, 4096, PROT_NONE), 0);
	whole = (struct ts_map){ fence - good_len, good_len, NULL };
	memcpy(fence - good_len, good, good_len);
}

static void teardown(void)
{
	size_t room = (good_len + 4095) & ~4095ul;

	munmap(fence - room, room + 4096);
	free(good);
}

static int find(const char *name, struct ts_map_answer *a)
{
	return ts_map_find_name(&whole, name, strlen(name), a);
}

START_TEST(via_names)
{
	static const struct {
		const char *name;
		uint8_t tail[8];	/* all zero: none */
	} cases[] = {
		{ "10-1-2-3-via-7", { 0, 0, 0, 7, 10, 1, 2, 3 } },
		{ "10-1-2-3-VIA-0x1F.t.ts.net", { 0, 0, 0, 31, 10, 1, 2, 3 } },
		{ "255-255-255-255-via-4294967295.x", { 255, 255, 255, 255, 255, 255, 255, 255 } },
		{ "10-1-2-3-via-4294967296", { 0 } }, { "256-1-2-3-via-7", { 0 } }, { "10-1-2-via-7", { 0 } },
		{ "10-1-2-3-via-", { 0 } }, { "10-1-2-3-via-0x", { 0 } }, { "10-1-2-3-via-1f", { 0 } },
		{ "10-1-2-3-via-7x", { 0 } },
		{ "10-1-2-3-via", { 0 } }, { "-1-2-3-via-7", { 0 } }, { "01-1-2-3-via-7", { 0 } }, { "", { 0 } },
		{ "10-1-2-3-4-via-7", { 0 } }, { "10-1-2-3.via-7", { 0 } },
	};
	static const uint8_t none[8];
	uint8_t ip[16];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool is = memcmp(cases[i].tail, none, 8) != 0;

		ck_assert_msg(ts_name_via(cases[i].name, strlen(cases[i].name), ip) == is, "%s", cases[i].name);
		if (is)
			ck_assert_mem_eq(ip + 8, cases[i].tail, 8);
		/* Nothing behind the length is looked at. */
		for (size_t len = 0; cases[i].name[len]; len++)
			ts_name_via(cases[i].name, len, ip);
	}
}
END_TEST

START_TEST(finds_names)
{
	static const char *const forms[] = { "db", "DB", "db.", "db.tail1.ts.net", "Db.Tail1.TS.net." };
	struct ts_addr v4 = ip("100.64.0.2"), v6 = ip("fd7a:115c:a1e0::2");
	struct ts_map_answer a;

	ck_assert_int_eq(ts_map_check(&whole), 0);
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		memset(&a, 0xaa, sizeof(a));
		ck_assert_msg(find(forms[i], &a) == 1, "%s is not found", forms[i]);
		ck_assert_str_eq(a.canon, "db.tail1.ts.net");
		ck_assert_uint_eq(a.count, 2);
		ck_assert_mem_eq(a.ip[0], v4.ip, 16);
		ck_assert_mem_eq(a.ip[1], v6.ip, 16);
		ck_assert_uint_eq(a.node_flags & (TS_NODE_ONLINE | TS_NODE_SELF), TS_NODE_ONLINE);
	}
}
END_TEST

START_TEST(does_not_find)
{
	static const char *const forms[] = {
		"", ".", "..", "db..", ".db", "d", "dbb", "db.tail1.ts.ne", "db.tail1.ts.net..", "no name",
	};
	char big[TS_NAME_MAX + 10];
	struct ts_map_answer a;

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++)
		ck_assert_msg(find(forms[i], &a) == 0, "%s is found", forms[i]);
	memset(big, 'a', sizeof(big));
	for (size_t len = TS_NAME_MAX - 1; len <= sizeof(big); len++)
		ck_assert_int_eq(ts_map_find_name(&whole, big, len, &a), 0);
	ck_assert_int_eq(ts_map_find_name(&whole, "db\0", 3, &a), 0);
}
END_TEST

START_TEST(finds_addresses)
{
	struct ts_map_answer a;
	uint32_t flags;

	ck_assert_int_eq(ts_map_find_addr(&whole, ip("fd7a:115c:a1e0::2").ip, &a), 1);
	ck_assert_str_eq(a.canon, "db.tail1.ts.net");
	ck_assert_uint_eq(a.count, 2);
	ck_assert_int_eq(ts_map_find_addr(&whole, ip("100.64.0.3").ip, &a), 1);
	ck_assert_str_eq(a.canon, "");
	ck_assert_uint_eq(a.node_flags & (TS_NODE_ONLINE | TS_NODE_ONLINE_KNOWN), TS_NODE_ONLINE_KNOWN);
	ck_assert_int_eq(ts_map_find_addr(&whole, ip("100.64.0.4").ip, &a), 0);
	ck_assert_int_eq(ts_map_find_flags(&whole, ip("100.64.0.3").ip, &flags), 1);
	ck_assert_uint_eq(flags, a.node_flags);
	ck_assert_int_eq(ts_map_find_flags(&whole, ip("100.64.0.4").ip, &flags), 0);
	ck_assert_uint_eq(flags, 0);
	ck_assert_int_eq(ts_map_self(&whole, &a), 1);
	ck_assert_str_eq(a.canon, "me.tail1.ts.net");
	ck_assert_uint_eq(a.node_flags & TS_NODE_SELF, TS_NODE_SELF);
}
END_TEST

START_TEST(finds_ranges)
{
	static const struct { const char *ip; int found; } cases[] = {
		{ "10.0.255.255", 0 }, { "10.1.0.0", 1 }, { "10.1.1.255", 1 }, { "10.1.2.0", 1 }, { "10.1.2.255", 1 },
		{ "10.1.255.255", 1 }, { "10.2.0.0", 0 }, { "0.0.0.0", 0 }, { "255.255.255.255", 0 }, { "::", 0 },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0 },
	};
	struct ts_map_range r;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ck_assert_msg(ts_map_find_range(&whole, ip(cases[i].ip).ip, &r) == cases[i].found, "%s", cases[i].ip);
		if (!cases[i].found)
			continue;
		ck_assert_uint_eq(r.kind, TS_RANGE_SUBNET);
		ck_assert_int_le(memcmp(r.first, ip(cases[i].ip).ip, 16), 0);
		ck_assert_int_ge(memcmp(r.last, ip(cases[i].ip).ip, 16), 0);
	}
}
END_TEST

START_TEST(reads_the_rest)
{
	char suffix[TS_NAME_MAX + 1], small[5];
	struct ts_map_header h = ts_map_header(&whole);
	struct ts_endpoint e;

	ts_map_suffix(&whole, suffix);
	ck_assert_str_eq(suffix, "tail1.ts.net");
	ck_assert_int_eq(h.made_ns, 42);
	ck_assert_uint_eq(ts_map_str(&whole, h.suffix, small, sizeof(small)), strlen("tail1.ts.net"));
	ck_assert_str_eq(small, "tail");
	ck_assert_int_eq(ts_map_endpoint(&whole, 0, &e), 1);
	ck_assert_uint_eq(e.addr.port, 1080);
	/* That there are a user and a password is told; not which. */
	ck_assert_str_eq(e.user, "");
	ck_assert_str_eq(e.pass, "");
	ck_assert_ptr_null(memmem(good, good_len, "hunter2", 7));
	ck_assert_uint_eq(e.flags, TS_PROXY_PIPELINE | TS_PROXY_AUTH);
	ck_assert_int_eq(ts_map_endpoint(&whole, 1, &e), 0);
	ck_assert_int_eq(ts_map_endpoint(&whole, ~0u, &e), 0);
}
END_TEST

START_TEST(knows_suffixes)
{
	static const struct { const char *name; bool under, remote; } cases[] = {
		{ "x.tail1.ts.net", true, false }, { "X.TAIL1.ts.net.", true, false }, { "a.b.tail1.ts.net", true, false },
		{ "tail1.ts.net", true, false }, { "Tail1.TS.net.", true, false }, { "ts.net", false, false }, { ".tail1.ts.net", false, false }, { "xtail1.ts.net", false, false },
		{ "x.tail2.ts.net", false, false }, { "a.remote.example", false, true }, { "remote.example", false, true },
		{ "Remote.Example.", false, true }, { "xremote.example", false, false },
		{ "", false, false }, { ".", false, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t len = strlen(cases[i].name);

		ck_assert_msg((ts_map_name_under_suffix(&whole, cases[i].name, len) != 0) == cases[i].under, "%s", cases[i].name);
		ck_assert_msg((ts_map_name_remote(&whole, cases[i].name, len) != 0) == cases[i].remote, "%s", cases[i].name);
	}
}
END_TEST

/* Every lookup, for its faults alone; an address may only come from the bytes of the file. */
static void ask_everything(const struct ts_map *m)
{
	struct ts_map_header h = ts_map_header(m);
	struct ts_map_answer a;
	struct ts_map_range r;
	struct ts_endpoint e;
	struct ts_split split;
	char text[64];

	a.count = 0;
	if (ts_map_find_name(m, "db.tail1.ts.net", 15, &a)) {
		ck_assert_uint_le(a.count, TS_ANSWER_ADDRS_MAX);
		ck_assert_ptr_nonnull(memchr(a.canon, 0, sizeof(a.canon)));
		for (unsigned i = 0; i < a.count; i++)
			ck_assert_ptr_nonnull(memmem(m->base, m->len, a.ip[i], 16));
	}
	ts_map_find_name(m, "nope", 4, &a);
	ts_map_find_addr(m, ip("100.64.0.2").ip, &a);
	ts_map_find_addr(m, ip("100.64.0.99").ip, &a);
	ts_map_find_range(m, ip("10.1.2.3").ip, &r);
	ts_map_self(m, &a);
	ts_map_endpoint(m, 0, &e);
	ts_map_str(m, h.suffix, text, sizeof(text));
	ts_map_name_under_suffix(m, "db.tail1.ts.net", 15);
	ts_map_name_remote(m, "a.remote.example", 16);
	if (ts_map_find_split(m, "db.corp.example", 15, &split))
		ck_assert(split.suffix_len <= 15 && split.count <= TS_SPLIT_SERVERS_MAX);
}

START_TEST(survives_every_byte)
{
	static const uint8_t values[] = { 0x00, 0xff, 0x80, 0x01 };
	uint8_t *base = (uint8_t *)whole.base;

	for (size_t at = 0; at < good_len; at++) {
		for (size_t v = 0; v < sizeof(values); v++) {
			if (base[at] == values[v])
				continue;
			base[at] = values[v];
			/* Unsealed: as a reader would meet it; all damage must show. */
			ck_assert_msg(ts_map_check(&whole) < 0, "byte %zu", at);
			ask_everything(&whole);
			ts_map_seal(base, good_len);
			ts_map_check(&whole);
			ask_everything(&whole);
			memcpy(base, good, good_len);
		}
	}
	ck_assert_int_eq(ts_map_check(&whole), 0);
}
END_TEST

START_TEST(survives_every_length)
{
	for (size_t len = 0; len < good_len; len++) {
		struct ts_map m = { fence - len, len, NULL };

		memmove(fence - len, good, len);
		ck_assert_int_eq(ts_map_check(&m), -EMSGSIZE);
		ask_everything(&m);
	}
}
END_TEST

START_TEST(refuses_layouts)
{
	uint8_t *base = (uint8_t *)whole.base;
	uint32_t odd = 3, version = TS_MAP_VERSION + 1;

	memcpy(base + offsetof(struct ts_map_header, name_hash.count), &odd, sizeof(odd));
	ts_map_seal(base, good_len);
	ck_assert_int_eq(ts_map_check(&whole), -EBADMSG);
	memcpy(base, good, good_len);
	memcpy(base + offsetof(struct ts_map_header, version), &version, sizeof(version));
	ts_map_seal(base, good_len);
	ck_assert_int_eq(ts_map_check(&whole), -EPROTONOSUPPORT);
}
END_TEST

static void write_file(const char *path, size_t len, off_t size, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, good, len), (ssize_t)len);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

START_TEST(loads_files)
{
	char dir[] = "/tmp/tsproxy-test-XXXXXX", path[64], other[64];
	struct ts_map m;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/x.map", dir);
	snprintf(other, sizeof(other), "%s/link.map", dir);
	ck_assert_int_eq(ts_map_load(path, &m), -ENOENT);
	write_file(path, good_len, (off_t)good_len, 0600);
	ck_assert_int_eq(ts_map_load(path, &m), 0);
	ck_assert_mem_eq(m.base, good, good_len);
	ask_everything(&m);
	ts_map_unload(&m);
	ck_assert_int_eq(symlink(path, other), 0);
	ck_assert_int_eq(ts_map_load(other, &m), -EPERM);
	ck_assert_int_eq(ts_map_load(dir, &m), -EPERM);
	write_file(path, good_len, (off_t)good_len - 1, 0600);
	ck_assert_int_eq(ts_map_load(path, &m), -EMSGSIZE);
	write_file(path, 10, 10, 0600);
	ck_assert_int_eq(ts_map_load(path, &m), -EMSGSIZE);
	write_file(path, 0, (off_t)good_len, 0600);
	ck_assert_int_eq(ts_map_load(path, &m), -EBADMSG);
	write_file(path, good_len, (off_t)good_len, 0620);
	ck_assert_int_eq(ts_map_load(path, &m), -EPERM);
	write_file(path, good_len, (off_t)good_len, 0602);
	ck_assert_int_eq(ts_map_load(path, &m), -EPERM);
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(ts_map_load(path, &m), -EPERM);
	unlink(path);
	write_file(path, good_len, (off_t)good_len, 0600);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(path, 12345, 12345), 0);
		ck_assert_int_eq(ts_map_load(path, &m), -EPERM);
	} else {
		fprintf(stderr, "loads_files: another owner is not tried, that takes root\n");
	}
	unlink(path);
	unlink(other);
	rmdir(dir);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("map_read");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, finds_names);
	tcase_add_test(t, via_names);
	tcase_add_test(t, does_not_find);
	tcase_add_test(t, finds_addresses);
	tcase_add_test(t, finds_ranges);
	tcase_add_test(t, reads_the_rest);
	tcase_add_test(t, knows_suffixes);
	tcase_add_test(t, survives_every_byte);
	tcase_add_test(t, survives_every_length);
	tcase_add_test(t, refuses_layouts);
	tcase_add_test(t, loads_files);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
