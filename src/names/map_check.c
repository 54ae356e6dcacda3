/* SPDX-License-Identifier: MIT */
/* Whether a map is one, and what of it is as it was written (format: map.h). */
#include "map_check.h"

#include <errno.h>
#include <string.h>

#include "tsproxy/hash.h"

/* A map may lie at any address. */
typedef const struct ts_map_header __attribute__((aligned(1))) any_header;

/* Whether block `i` is as it was written, by the table of block sums. */
static __attribute__((noinline)) bool is_intact(const struct ts_map *m, uint64_t i)
{
	uint64_t from = i ? i * TS_MAP_BLOCK : sizeof(struct ts_map_header), to = (i + 1) * TS_MAP_BLOCK, sum;
	struct ts_map_section sums;

	memcpy(&sums, m->base + offsetof(struct ts_map_header, sums), sizeof(sums));
	if (to > sums.off)
		to = sums.off;
	if (from > to || i >= sums.count || sums.off + (i + 1) * sizeof(sum) > m->len)
		return false;
	memcpy(&sum, m->base + sums.off + i * sizeof(sum), sizeof(sum));
	return ts_sum64(m->base + from, (to - from) & ~7ul) == sum;
}

/*
 * What is found is kept with the generation that was read before: another map's blocks, where one has taken this one's place meanwhile,
 * are not taken for proven by it.
 */
bool ts_map_prove(const struct ts_map *m, uint64_t at, size_t size)
{
	const uint32_t *half = (const uint32_t *)(m->base + offsetof(struct ts_map_header, generation));
	uint32_t last = (uint32_t)((at + size - 1) / TS_MAP_BLOCK);

	for (uint32_t i = (uint32_t)at / TS_MAP_BLOCK; i <= last; i++) {
		uint32_t generation = __atomic_load_n(half, __ATOMIC_ACQUIRE), bit = 1u << i % 32;
		uint64_t *word = &m->proof->blocks[i / 32], old = __atomic_load_n(word, __ATOMIC_RELAXED);
		bool same = old >> 32 == generation;

		if (__builtin_expect(same && old & bit, 1))
			continue;
		if (!is_intact(m, i))
			return false;
		/* Where another thread was faster the block is proven again some time. */
		__atomic_compare_exchange_n(word, &old, (uint64_t)generation << 32 | (same ? (uint32_t)old : 0) | bit, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	}
	return true;
}

static const struct {
	uint16_t at;
	uint16_t size;	/* of an element */
	bool hash;
} sections[] = {
#define S(name, type, hash) { offsetof(struct ts_map_header, name), sizeof(type), hash }
	S(endpoints, struct ts_map_endpoint, false), S(remotes, struct ts_map_str, false),
	S(dns_routes, struct ts_map_dns_route, false), S(domains, struct ts_map_str, false), S(ranges, struct ts_map_range, false), S(strings, uint8_t, false),
	S(nodes, struct ts_map_node, false), S(addrs, struct ts_map_addr, false), S(addr_hash, uint32_t, true),
	S(names, struct ts_map_name, false), S(name_hash, uint32_t, true), S(sums, uint64_t, false),
#undef S
};

static bool is_laid_out(any_header *h)
{
	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
		struct ts_map_section s;

		memcpy(&s, (const uint8_t *)h + sections[i].at, sizeof(s));
		if (s.off + (uint64_t)s.count * sections[i].size > h->data_len)
			return false;
		if (sections[i].hash && (s.count & (s.count - 1)) != 0)
			return false;
	}
	return h->sums.off % 8 == 0 && h->sums.off >= sizeof(*h) && h->sums.off + h->sums.count * 8ull == h->data_len &&
	       h->sums.count == (h->sums.off + TS_MAP_BLOCK - 1ull) / TS_MAP_BLOCK && h->front_len <= h->sums.off;
}

static bool sums_are_intact(const struct ts_map *m, any_header *h)
{
	size_t len = h->sums.count * 8ul;

	for (size_t i = 0; i * TS_MAP_BLOCK < len; i++) {
		size_t left = len - i * TS_MAP_BLOCK;

		if (ts_sum64(m->base + h->sums.off + i * TS_MAP_BLOCK, left < TS_MAP_BLOCK ? left : TS_MAP_BLOCK) != h->sum_sums[i])
			return false;
	}
	return true;
}

int ts_map_check(const struct ts_map *m)
{
	any_header *h = (any_header *)m->base;	/* nobody else writes there meanwhile */
	uint32_t len;

	if (m->len < sizeof(*h))
		return -EMSGSIZE;
	if (memcmp(h->magic, TS_MAP_MAGIC, sizeof(h->magic)) != 0)
		return -EBADMSG;
	if (h->version != TS_MAP_VERSION)
		return -EPROTONOSUPPORT;
	if (h->header_len != sizeof(*h) || h->data_len < sizeof(*h) || h->data_len > TS_MAP_FILE_MAX ||
	    ts_sum64(h, offsetof(struct ts_map_header, checksum)) != h->checksum)
		return -EBADMSG;
	if (h->data_len > m->len)
		return -EMSGSIZE;
	if (!is_laid_out(h) || !sums_are_intact(m, h))
		return -EBADMSG;
	len = m->proof ? h->front_len : h->sums.off;
	for (uint32_t i = 0; i * TS_MAP_BLOCK < len; i++)
		if (!is_intact(m, i))
			return -EBADMSG;
	return 0;
}
