/* SPDX-License-Identifier: MIT */
/* Damage to a map's bytes: it is noticed before anything is taken from where it lies, and no look-up gives a wrong answer. */
#include <errno.h>

#include "names/map_write.h"
#include "tsproxy/credentials.h"
#include "tsproxy/hash.h"
#include "tsproxy/status.h"
#include "unit.h"

#define SMALL 9
#define LARGE 700	/* some 130 KiB: what programs copy as a large map */

/* What older and newer programs agree on. */
_Static_assert(sizeof(struct ts_map_header) == 296 && offsetof(struct ts_map_header, suffix) == 56 &&
	       offsetof(struct ts_map_header, endpoints) == 64 && offsetof(struct ts_map_header, sums) == 152 &&
	       offsetof(struct ts_map_header, checksum) == 288, "the header's layout is TS_MAP_VERSION's");
_Static_assert(sizeof(struct ts_map_node) == 40 && sizeof(struct ts_map_addr) == 20 && sizeof(struct ts_map_name) == 32 &&
	       sizeof(struct ts_map_range) == 40 && sizeof(struct ts_map_endpoint) == 20 && sizeof(struct ts_map_dns_route) == 28,
	       "the elements' layout is TS_MAP_VERSION's");
_Static_assert(sizeof(struct ts_credentials) == 552, "and that of what lies beside it");

static uint8_t *good;
static size_t good_len;
static unsigned nodes;

static void make(unsigned count)
{
	size_t cap = 300ul * count + 1000, at = 0;
	char *text = malloc(cap), why[TS_STATUS_WHY_MAX];
	struct ts_map_settings set = { .made_ns = 1 };
	struct ts_tailnet tn;

	nodes = count;
	at += (size_t)snprintf(text, cap, "{\"BackendState\":\"Running\",\"MagicDNSSuffix\":\"t.ts.net\",\"Peer\":{");
	for (unsigned i = 0; i < count; i++)
		at += (size_t)snprintf(text + at, cap - at,
				       "%s\"k%u\":{\"DNSName\":\"n%u.t.ts.net.\",\"HostName\":\"n%u\",\"Online\":true,\"OS\":\"linux\","
				       "\"TailscaleIPs\":[\"100.64.%u.%u\",\"fd7a:115c:a1e0::%x\"],\"PrimaryRoutes\":[\"10.%u.%u.0/24\"]}",
				       i ? "," : "", i, i, i, i >> 8, i & 255, i + 1, i >> 8, i & 255);
	at += (size_t)snprintf(text + at, cap - at, "}}");
	ck_assert_int_eq(ts_status_parse(text, at, &tn, why), 0);
	ck_assert_int_eq(ts_map_build(&tn, &set, &good, &good_len), 0);
	ts_tailnet_free(&tn);
	free(text);
}

static void make_small(void)
{
	make(SMALL);
}

static void make_large(void)
{
	make(LARGE);
}

static void drop(void)
{
	free(good);
}

static bool is_node(const struct ts_map_answer *a, unsigned i)
{
	char name[32];

	snprintf(name, sizeof(name), "n%u.t.ts.net", i);
	return strcmp(a->canon, name) == 0 && a->count == 2 && a->node_flags == (TS_NODE_ONLINE | TS_NODE_ONLINE_KNOWN) &&
	       a->ip[0][14] == i >> 8 && a->ip[0][15] == (i & 255) && a->ip[1][14] == (i + 1) >> 8 && a->ip[1][15] == ((i + 1) & 255);
}

/* Asks for node `i`, which is there where it is below `nodes`. True where the answer was that it is damaged. */
static bool ask(const struct ts_map *m, unsigned i)
{
	const uint8_t ip[16] = { [10] = 0xff, 0xff, 100, 64, (uint8_t)(i >> 8), (uint8_t)i };
	struct ts_map_answer a;
	char name[16];
	int by_name, by_addr, by_flags;
	uint32_t flags;

	snprintf(name, sizeof(name), "n%u", i);
	memset(&a, 0, sizeof(a));
	by_name = ts_map_find_name(m, name, strlen(name), &a);
	ck_assert_msg(by_name == -EBADMSG || (by_name == 1 ? is_node(&a, i) : i >= nodes), "%s: %d", name, by_name);
	memset(&a, 0, sizeof(a));
	by_addr = ts_map_find_addr(m, ip, &a);
	ck_assert_msg(by_addr == -EBADMSG || (by_addr == 1 ? is_node(&a, i) : i >= nodes), "address of %s: %d", name, by_addr);
	by_flags = ts_map_find_flags(m, ip, &flags);
	ck_assert_msg(by_flags == -EBADMSG || (by_flags == 1) == (i < nodes), "flags of %s: %d", name, by_flags);
	return by_name < 0 || by_addr < 0 || by_flags < 0;
}

START_TEST(every_bit_of_a_small_map)
{
	struct ts_map m = { good, good_len, NULL };

	ck_assert_int_eq(ts_map_check(&m), 0);
	for (size_t bit = 0; bit < 8 * good_len; bit++) {
		good[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_msg(ts_map_check(&m) < 0, "bit %zu", bit);
		good[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
END_TEST

/* Runs of zeros and swapped words, as disks and memory leave them, too. */
START_TEST(larger_damage)
{
	struct ts_map m = { good, good_len, NULL };
	uint8_t *copy = malloc(good_len);

	memcpy(copy, good, good_len);
	m.base = copy;
	for (size_t at = 0; at + 64 <= good_len; at += 8) {
		memset(copy + at, 0, 64);
		ck_assert_msg(memcmp(copy, good, good_len) == 0 || ts_map_check(&m) < 0, "zeros at %zu", at);
		memcpy(copy + at, good + at + 32, 32);
		memcpy(copy + at + 32, good + at, 32);
		ck_assert_msg(memcmp(copy, good, good_len) == 0 || ts_map_check(&m) < 0, "swapped at %zu", at);
		memcpy(copy + at, good + at, 64);
	}
	free(copy);
}
END_TEST

START_TEST(look_ups_prove_what_they_read)
{
	static struct ts_map_proof proof;
	struct ts_map m = { good, good_len, &proof };
	unsigned damaged = 0, unusable = 0;

	for (size_t at = 0; at < good_len; at += 61) {
		memset(&proof, 0, sizeof(proof));
		good[at] ^= (uint8_t)(1 << at % 8);
		if (ts_map_check(&m) == 0)
			for (unsigned i = 0; i < nodes + 20; i++)
				damaged += ask(&m, i);
		else
			unusable++;
		good[at] ^= (uint8_t)(1 << at % 8);
	}
	/* Most of a map is what only some look-ups read. */
	ck_assert_uint_gt(damaged, 0);
	ck_assert_uint_lt(unusable, good_len / 61 / 2);
	memset(&proof, 0, sizeof(proof));
	ck_assert_int_eq(ts_map_check(&m), 0);
	for (unsigned i = 0; i < nodes + 20; i++)
		ck_assert(!ask(&m, i));
}
END_TEST

START_TEST(a_proof_is_no_other_maps)
{
	static struct ts_map_proof proof;
	struct ts_map m = { good, good_len, &proof };
	struct ts_map_header h;
	unsigned damaged = 0;

	for (unsigned i = 0; i < nodes; i++)
		ck_assert(!ask(&m, i));
	/* Another one takes its place: it was built damaged. */
	memcpy(&h, good, sizeof(h));
	h.generation++;
	memcpy(good, &h, sizeof(h));
	ck_assert(ts_map_seal(good, good_len));
	for (unsigned i = 0; i < h.addrs.count; i++)
		good[h.addrs.off + i * sizeof(struct ts_map_addr) + 15] ^= 1;
	for (unsigned i = 0; i < nodes; i++)
		damaged += ask(&m, i);
	ck_assert_uint_eq(damaged, nodes);
}
END_TEST

START_TEST(sums)
{
	uint8_t bytes[80], other[80];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	/* As it is in the files that are about. */
	ck_assert_uint_eq(ts_sum64(bytes, 0), 0x882e0a799dcae0beull);
	ck_assert_uint_eq(ts_sum64(bytes, sizeof(bytes)), 0xdc4e275c3b7d48f1ull);
	/* What a chain of multiplications alone would lose: the highest bits of two words of one lane. */
	memcpy(other, bytes, sizeof(other));
	other[7] ^= 0x80;
	other[39] ^= 0x80;
	ck_assert_uint_ne(ts_sum64(bytes, 64), ts_sum64(other, 64));
	memset(other, 0, sizeof(other));
	for (size_t len = 8; len <= sizeof(other); len += 8)
		ck_assert_uint_ne(ts_sum64(other, len), ts_sum64(other, len - 8));
}
END_TEST

static int check_file(const char *path, struct ts_map *m)
{
	static uint8_t bytes[8192];
	FILE *f = fopen(path, "rb");

	ck_assert_msg(f != NULL, "%s is not there", path);
	*m = (struct ts_map){ bytes, fread(bytes, 1, sizeof(bytes), f), NULL };
	fclose(f);
	return ts_map_check(m);
}

/* Files as they are about: what made them is not what reads them here. */
START_TEST(files_of_others)
{
	struct ts_map_answer a;
	struct ts_map m;

	ck_assert_int_eq(check_file("tests/fuzz/corpus/map/full", &m), 0);
	ck_assert_int_eq(ts_map_self(&m, &a), 1);
	ck_assert_int_eq(check_file("tests/fuzz/corpus/map/version1", &m), -EPROTONOSUPPORT);
	ck_assert_int_eq(check_file("tests/fuzz/corpus/map/short", &m), -EMSGSIZE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("map_damage");
	TCase *small = tcase_create("small"), *large = tcase_create("large");

	suite_add_tcase(s, small);
	tcase_set_timeout(small, 60);
	tcase_add_checked_fixture(small, make_small, drop);
	tcase_add_test(small, every_bit_of_a_small_map);
	tcase_add_test(small, larger_damage);
	tcase_add_test(small, sums);
	tcase_add_test(small, files_of_others);
	suite_add_tcase(s, large);
	tcase_set_timeout(large, 120);
	tcase_add_checked_fixture(large, make_large, drop);
	tcase_add_test(large, look_ups_prove_what_they_read);
	tcase_add_test(large, a_proof_is_no_other_maps);
	return unit_run(s);
}
