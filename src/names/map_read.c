/* SPDX-License-Identifier: MIT */
/*
 * Reading a map (format: map.h), in the object and in the tools.
 *
 * A map's bytes are never trusted: ts_map_check() looks at the layout once, but what is read may belong to a file that
 * took the checked one's place a moment ago. So nothing is read through a struct in place: every access copies a few
 * bytes out, at an offset tested against the length of the memory itself, and out of proven blocks only. Copies
 * of fixed size cost nothing: the compiler makes loads of them.
 */
#include <errno.h>
#include <string.h>

#include "map_check.h"
#include "tsproxy/hash.h"
#include "tsproxy/map.h"
#include "tsproxy/name_kind.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "maps are little-endian and read as they lie in memory");

#define LABEL_MAX 63
#define GET(m, at, out) get(m, at, out, sizeof(*(out)))
#define SECTION(m, name) section(m, offsetof(struct ts_map_header, name))

/* Nearly all that is read has been proven before. */
static __attribute__((noinline)) bool is_proven(const struct ts_map *m, uint64_t at, size_t size)
{
	const uint32_t *generation = (const uint32_t *)(m->base + offsetof(struct ts_map_header, generation));
	uint64_t i = at / TS_MAP_BLOCK, word;

	if (size == 0)
		return true;
	word = __atomic_load_n(&m->proof->blocks[i / 32], __ATOMIC_RELAXED);
	if (word >> i % 32 & 1 && word >> 32 == __atomic_load_n(generation, __ATOMIC_ACQUIRE) && (at + size - 1) / TS_MAP_BLOCK == i)
		return true;
	return ts_map_prove(m, at, size);
}

/* Whether `size` bytes from `at` on are there, and proven; the header is. */
static inline __attribute__((always_inline)) bool has(const struct ts_map *m, uint64_t at, size_t size)
{
	if (at > m->len || size > m->len - at)
		return false;
	return __builtin_expect(!m->proof, 1) || at + size <= sizeof(struct ts_map_header) || is_proven(m, at, size);
}

static inline __attribute__((always_inline)) bool get(const struct ts_map *m, uint64_t at, void *out, size_t size)
{
	if (!has(m, at, size))
		return false;
	__builtin_memcpy(out, m->base + at, size);
	return true;
}

static inline __attribute__((always_inline)) struct ts_map_section section(const struct ts_map *m, size_t at)
{
	struct ts_map_section s = { 0, 0 };

	GET(m, at, &s);
	return s;
}

/* Bytes of a string in place, or null where it is not inside its section, or damaged. */
static inline __attribute__((always_inline)) const uint8_t *string_at(const struct ts_map *m, struct ts_map_str s)
{
	struct ts_map_section strings = SECTION(m, strings);
	uint64_t at = (uint64_t)strings.off + s.off;

	if ((uint64_t)s.off + s.len > strings.count || !has(m, at, s.len))
		return NULL;
	return m->base + at;
}

static inline __attribute__((always_inline)) bool element(const struct ts_map *m, struct ts_map_section s, uint32_t i,
							  void *out, size_t size)
{
	return i < s.count && get(m, s.off + (uint64_t)i * size, out, size);
}

struct ts_map_header ts_map_header(const struct ts_map *m)
{
	struct ts_map_header h;

	memset(&h, 0, sizeof(h));
	GET(m, 0, &h);
	return h;
}

/* Copies at most cap-1 bytes (cap is not 0) and ends them with a NUL. False where the string cannot be read. */
static bool copy_str(const struct ts_map *m, struct ts_map_str s, char *out, size_t cap)
{
	const uint8_t *p = string_at(m, s);
	size_t n = !p ? 0 : s.len < cap ? s.len : cap - 1;

	if (n)
		memcpy(out, p, n);
	out[n] = '\0';
	return p != NULL;
}

size_t ts_map_str(const struct ts_map *m, struct ts_map_str s, char *out, size_t cap)
{
	return cap ? (copy_str(m, s, out, cap) ? s.len : 0) : string_at(m, s) ? s.len : 0;
}

static bool copy_addrs(const struct ts_map *m, uint32_t first, uint32_t count, struct ts_map_answer *out)
{
	struct ts_map_section addrs = SECTION(m, addrs);
	struct ts_map_addr a;

	for (out->count = 0; out->count < count && out->count < TS_ANSWER_ADDRS_MAX; out->count++) {
		if (!element(m, addrs, first++, &a, sizeof(a)))
			return false;
		memcpy(out->ip[out->count], a.ip, sizeof(a.ip));
	}
	return true;
}

/* `name` lower case and without trailing dot; its length, or 0 where it is none. */
static size_t fold(const char *name, size_t len, char out[TS_NAME_MAX + 1])
{
	if (len && name[len - 1] == '.')
		len--;
	if (len > TS_NAME_MAX)
		return 0;
	for (size_t i = 0; i < len; i++)
		out[i] = ts_name_lower(name[i]);
	return len;
}

/* 1 or 0, or -EBADMSG. */
static int str_is(const struct ts_map *m, struct ts_map_str s, const char *name, size_t len)
{
	const uint8_t *p;

	if (s.len != len)
		return 0;
	p = string_at(m, s);
	return p ? memcmp(p, name, len) == 0 : -EBADMSG;
}

static int copy_name(const struct ts_map *m, const struct ts_map_name *n, struct ts_map_answer *out)
{
	struct ts_map_node node = { .flags = 0 };

	if (!copy_addrs(m, n->addr_first, n->addr_count, out) || !copy_str(m, n->canon, out->canon, sizeof(out->canon)) ||
	    (n->node != TS_MAP_NONE && !element(m, SECTION(m, nodes), n->node, &node, sizeof(node))))
		return -EBADMSG;
	out->node_flags = node.flags;
	return 1;
}

static int find_key(const struct ts_map *m, const char *key, size_t len, struct ts_map_answer *out)
{
	struct ts_map_section hash = SECTION(m, name_hash), names = SECTION(m, names);
	struct ts_map_name n;
	uint32_t index, slot = (uint32_t)ts_fnv64(TS_FNV64_INIT, key, len);

	for (uint32_t tries = hash.count; tries; tries--, slot++) {
		int same;

		if (!element(m, hash, slot & (hash.count - 1), &index, sizeof(index)))
			return -EBADMSG;
		if (index == TS_MAP_NONE)
			return 0;
		same = element(m, names, index, &n, sizeof(n)) ? str_is(m, n.name, key, len) : -EBADMSG;
		if (same)
			return same < 0 ? same : copy_name(m, &n, out);
	}
	return 0;
}

/* True where `name` is `s`, or something, a dot and `s`. */
static bool under(const struct ts_map *m, struct ts_map_str s, const char *name, size_t len)
{
	const uint8_t *p = string_at(m, s);

	if (len && name[len - 1] == '.')
		len--;
	if (!p || s.len == 0 || len < s.len || (len > s.len && (len == s.len + 1u || name[len - s.len - 1] != '.')))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (ts_name_lower(name[len - s.len + i]) != (char)p[i])
			return false;
	return true;
}

/* A name that says its own address is in no table: A-B-C-D-via-SITE under the tailnet's suffix. */
static int find_via(const char *key, size_t len, struct ts_map_answer *out)
{
	if (!ts_name_via(key, len, out->ip[0]))
		return 0;
	out->count = 1;
	out->node_flags = 0;
	memcpy(out->canon, key, len);
	out->canon[len] = '\0';
	return 1;
}

/* The daemon asks the next name above that answers to such names, of whatever tailnet. */
static int find_parent(const struct ts_map *m, const char *key, size_t len, struct ts_map_answer *out)
{
	int found;

	for (size_t i = 0, label = 0; i < len; i++, label++) {
		if (key[i] != '.')
			continue;
		if (label == 0 || label > LABEL_MAX || !ts_name_is_possible(key, i))
			return 0;
		label = (size_t)-1;
		found = find_key(m, key + i + 1, len - i - 1, out);
		if (found < 0)
			return found;
		if (!found || !(out->node_flags & TS_NODE_SUBDOMAINS))
			continue;
		memcpy(out->canon, key, len);
		out->canon[len] = '\0';
		return 1;
	}
	return 0;
}

int ts_map_find_name(const struct ts_map *m, const char *name, size_t len, struct ts_map_answer *out)
{
	char key[TS_NAME_MAX + 1];
	struct ts_map_str suffix = { 0, 0 };
	uint32_t flags = 0;
	size_t suffix_len;
	int found;

	len = fold(name, len, key);
	if (len == 0)
		return 0;
	found = find_key(m, key, len, out);
	if (found)
		return found;
	GET(m, offsetof(struct ts_map_header, suffix), &suffix);
	if (suffix.len && !string_at(m, suffix))
		return -EBADMSG;	/* whose name it is cannot be told */
	if (under(m, suffix, key, len) && find_via(key, len, out))
		return 1;
	GET(m, offsetof(struct ts_map_header, flags), &flags);
	found = flags & TS_MAP_SUBDOMAINS ? find_parent(m, key, len, out) : 0;
	/* One label: MagicDNS searches it under the tailnet's suffix. */
	if (found || suffix.len == 0 || len + 1 + (uint64_t)suffix.len > TS_NAME_MAX || memchr(key, '.', len))
		return found;
	key[len] = '.';
	suffix_len = ts_map_str(m, suffix, key + len + 1, sizeof(key) - len - 1);
	if (!suffix_len)
		return 0;
	len += 1 + suffix_len;
	found = find_key(m, key, len, out);
	return found ? found : find_via(key, len, out);
}

static bool read_node(const struct ts_map *m, uint32_t i, struct ts_map_node *node)
{
	return element(m, SECTION(m, nodes), i, node, sizeof(*node));
}

static int copy_node(const struct ts_map *m, const struct ts_map_node *node, struct ts_map_answer *out)
{
	if (!copy_addrs(m, node->addr_first, node->addr_count, out) || !copy_str(m, node->fqdn, out->canon, sizeof(out->canon)))
		return -EBADMSG;
	out->node_flags = node->flags;
	return 1;
}

static int owner(const struct ts_map *m, const uint8_t ip[16], struct ts_map_node *node)
{
	struct ts_map_section hash = SECTION(m, addr_hash), addrs = SECTION(m, addrs);
	struct ts_map_addr a;
	uint32_t index, slot = (uint32_t)ts_fnv64(TS_FNV64_INIT, ip, 16);

	for (uint32_t tries = hash.count; tries; tries--, slot++) {
		if (!element(m, hash, slot & (hash.count - 1), &index, sizeof(index)))
			return -EBADMSG;
		if (index == TS_MAP_NONE)
			return 0;
		if (!element(m, addrs, index, &a, sizeof(a)))
			return -EBADMSG;
		if (memcmp(a.ip, ip, 16) == 0)
			return read_node(m, a.node, node) ? 1 : -EBADMSG;
	}
	return 0;
}

int ts_map_find_addr(const struct ts_map *m, const uint8_t ip[16], struct ts_map_answer *out)
{
	struct ts_map_node node;
	int ret = owner(m, ip, &node);

	return ret == 1 ? copy_node(m, &node, out) : ret;
}

int ts_map_find_flags(const struct ts_map *m, const uint8_t ip[16], uint32_t *flags)
{
	struct ts_map_node node;
	int ret = owner(m, ip, &node);

	*flags = ret == 1 ? node.flags : 0;
	return ret;
}

int ts_map_self(const struct ts_map *m, struct ts_map_answer *out)
{
	struct ts_map_node node;
	uint32_t self;

	if (!GET(m, offsetof(struct ts_map_header, self_node), &self) || self == TS_MAP_NONE)
		return 0;
	return read_node(m, self, &node) ? copy_node(m, &node, out) : -EBADMSG;
}

int ts_map_find_range(const struct ts_map *m, const uint8_t ip[16], struct ts_map_range *out)
{
	struct ts_map_section ranges = SECTION(m, ranges);
	uint32_t lo = 0, hi = ranges.count;
	struct ts_map_range r;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (!element(m, ranges, mid, &r, sizeof(r)))
			return 0;
		if (memcmp(ip, r.first, 16) < 0) {
			hi = mid;
		} else if (memcmp(ip, r.last, 16) > 0) {
			lo = mid + 1;
		} else {
			*out = r;
			return 1;
		}
	}
	return 0;
}

int ts_map_endpoint(const struct ts_map *m, unsigned i, struct ts_endpoint *out)
{
	struct ts_map_endpoint e;

	if (!element(m, SECTION(m, endpoints), i, &e, sizeof(e)))
		return 0;
	memcpy(out->addr.ip, e.ip, sizeof(e.ip));
	out->addr.port = e.port;
	out->kind = e.kind;
	out->flags = e.flags;
	out->user[0] = out->pass[0] = '\0';
	return 1;
}

void ts_map_suffix(const struct ts_map *m, char out[TS_NAME_MAX + 1])
{
	struct ts_map_str s = { 0, 0 };

	GET(m, offsetof(struct ts_map_header, suffix), &s);
	ts_map_str(m, s, out, TS_NAME_MAX + 1);
}

int ts_map_dns_route(const struct ts_map *m, uint32_t i, struct ts_map_dns_route *out, char suffix[TS_NAME_MAX + 1])
{
	struct ts_map_section routes = SECTION(m, dns_routes);

	if (i >= routes.count)
		return 0;
	return element(m, routes, i, out, sizeof(*out)) && out->suffix.len <= TS_NAME_MAX &&
	       copy_str(m, out->suffix, suffix, TS_NAME_MAX + 1) ? 1 : -EBADMSG;
}

/* The longest of the list that `name` is, or lies under. */
static size_t under_any(const struct ts_map *m, struct ts_map_section list, const char *name, size_t len)
{
	char key[TS_NAME_MAX + 1];
	size_t key_len = list.count ? fold(name, len, key) : 0, longest = 0;
	struct ts_map_str s;

	for (uint32_t i = 0; key_len && element(m, list, i, &s, sizeof(s)); i++)
		if (s.len > longest && under(m, s, key, key_len))
			longest = s.len;
	return longest;
}

size_t ts_map_name_under_suffix(const struct ts_map *m, const char *name, size_t len)
{
	struct ts_map_str s = { 0, 0 };
	uint32_t state = TS_STATE_UNKNOWN;

	GET(m, offsetof(struct ts_map_header, suffix), &s);
	GET(m, offsetof(struct ts_map_header, state), &state);
	if (under(m, s, name, len))
		return s.len;
	return ts_map_state_is_running(state) ? 0 : under_any(m, SECTION(m, domains), name, len);
}

bool ts_map_name_far(const struct ts_map *m, const char *name, size_t len, char out[TS_NAME_MAX + 1])
{
	struct ts_map_str s = { 0, 0 };
	uint32_t state = TS_STATE_RUNNING;
	bool is_under = ts_map_name_under_suffix(m, name, len);

	GET(m, offsetof(struct ts_map_header, suffix), &s);
	GET(m, offsetof(struct ts_map_header, state), &state);
	if (SECTION(m, nodes).count || state != TS_STATE_UNKNOWN || !SECTION(m, endpoints).count || !s.len)
		return false;
	if (len && name[len - 1] == '.')
		len--;
	if (!len || len + 1 + s.len > TS_NAME_MAX || !(is_under || ts_name_is_short(name, len)))
		return false;
	memcpy(out, name, len);
	out[len] = '\0';
	if (!is_under) {
		out[len] = '.';
		return copy_str(m, s, out + len + 1, TS_NAME_MAX - len);
	}
	return true;
}

size_t ts_map_name_remote(const struct ts_map *m, const char *name, size_t len)
{
	return under_any(m, SECTION(m, remotes), name, len);
}
