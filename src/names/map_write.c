/* SPDX-License-Identifier: MIT */
/*
 * Compiles a parsed status and the settings into a map (format: map.h). Every section grows in an array of its own; the
 * last step lays them out one behind another.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "map_write.h"
#include "tsproxy/hash.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "maps are little-endian and written as they lie in memory");
_Static_assert(sizeof(struct ts_map_header) % 8 == 0 && sizeof(struct ts_map_header) < TS_MAP_BLOCK, "what is summed is whole words");

static void add_ranges(struct ts_build *b)
{
	static const struct ts_prefix all4 = { { [10] = 0xff, [11] = 0xff }, 96 }, all6 = { { 0 }, 0 };

	for (size_t i = 0; i < b->set->exclude_count; i++)
		ts_ranges_add(&b->ranges, &b->set->exclude[i], TS_RANGE_EXCLUDE, TS_MAP_NONE);
	for (size_t i = 0; i < b->set->route_count; i++)
		ts_ranges_add(&b->ranges, &b->set->route[i], TS_RANGE_ROUTE, TS_MAP_NONE);
	for (uint32_t i = 0; i < b->node_count; i++) {
		const struct ts_status_node *n = &b->tn->nodes[i];

		/* This node's own subnets are its host's business. */
		if (n->flags & TS_NODE_SELF)
			continue;
		for (uint32_t r = 0; r < n->route_count && !b->tn->refuses_routes; r++) {
			const struct ts_prefix *p = &b->tn->routes[n->route_first + r];

			if (p->bits != 0 && !(p->bits == 96 && ts_ip_is4(p->ip)))
				ts_ranges_add(&b->ranges, p, TS_RANGE_SUBNET, i);
		}
		if (n->flags & TS_NODE_EXIT) {
			ts_ranges_add(&b->ranges, &all4, TS_RANGE_EXIT, i);
			ts_ranges_add(&b->ranges, &all6, TS_RANGE_EXIT, i);
		}
	}
	if (!b->err)
		b->err = ts_ranges_flatten(&b->ranges);
}

static void add_endpoints(struct ts_build *b)
{
	for (size_t i = 0; i < b->set->endpoint_count; i++) {
		const struct ts_endpoint *e = &b->set->endpoints[i];
		struct ts_map_endpoint *out = &b->endpoints[i];

		memcpy(out->ip, e->addr.ip, 16);
		out->port = e->addr.port;
		out->kind = e->kind;
		out->flags = e->flags | (e->user[0] || e->pass[0] ? TS_PROXY_AUTH : 0);
	}
	for (size_t i = 0; i < b->set->remote_count; i++) {
		char name[TS_NAME_MAX + 1];
		const char *s = b->set->remote[i];
		size_t len;

		s += *s == '.';
		len = ts_build_normalise((struct ts_slice){ s, strlen(s) }, name);
		b->remotes[i] = ts_build_put_str(b, name, len);
	}
}

static int make_table(struct ts_table *t, size_t slots)
{
	t->size = 4;
	while (t->size < slots)
		t->size *= 2;
	t->slot = malloc(t->size * sizeof(*t->slot));
	if (!t->slot)
		return -ENOMEM;
	memset(t->slot, 0xff, t->size * sizeof(*t->slot));
	return 0;
}

/*
 * Room for the most that there can be: one name a node or record. Half of the names' slots stay free: misses, of all
 * the other names that a program looks up, end at once. The addresses' may fill to 4/5, which 100,000 nodes need to
 * stay under 16 MiB.
 */
static int make_room(struct ts_build *b)
{
	const struct ts_tailnet *tn = b->tn;
	size_t names = tn->node_count + tn->record_count;

	if (names > TS_MAP_FILE_MAX || tn->ip_count > TS_MAP_FILE_MAX)
		return -EFBIG;
	b->addr_cap = (uint32_t)tn->ip_count + 1;
	b->nodes = calloc(tn->node_count + 1, sizeof(*b->nodes));
	b->names = calloc(names + 1, sizeof(*b->names));
	b->addrs = calloc(b->addr_cap, sizeof(*b->addrs));
	b->endpoints = calloc(b->set->endpoint_count + 1, sizeof(*b->endpoints));
	b->remotes = calloc(b->set->remote_count + 1, sizeof(*b->remotes));
	if (!b->nodes || !b->names || !b->addrs || !b->endpoints || !b->remotes ||
	    make_table(&b->name_hash, 2 * names) || make_table(&b->addr_hash, tn->ip_count + tn->ip_count / 4 + 1))
		return -ENOMEM;
	return 0;
}

static struct ts_map_section lay(size_t *at, size_t count, size_t size)
{
	struct ts_map_section s = { (uint32_t)*at, (uint32_t)count };

	*at = (*at + count * size + 7) & ~(size_t)7;
	return s;
}

static void fill(uint8_t *file, struct ts_map_section s, const void *from, size_t size)
{
	if (s.count)
		memcpy(file + s.off, from, s.count * size);
}

static void head(const struct ts_build *b, struct ts_map_header *h)
{
	struct timespec now;

	memset(h, 0, sizeof(*h));
	memcpy(h->magic, TS_MAP_MAGIC, 8);
	h->version = TS_MAP_VERSION;
	h->header_len = sizeof(*h);
	h->state = b->tn->state;
	h->flags = (b->tn->tun ? TS_MAP_TUN : 0) | (b->tn->no_magicdns ? TS_MAP_NO_MAGICDNS : 0) |
		   (b->set->no_short_names ? TS_MAP_NO_SHORT_NAMES : 0) | (b->set->exit_node ? TS_MAP_EXIT_NODE : 0) |
		   (b->tn->refuses_routes ? TS_MAP_REFUSES_ROUTES : 0) |
		   (b->node_flags & TS_NODE_SUBDOMAINS ? TS_MAP_SUBDOMAINS : 0) |
		   (b->set->no_answer ? TS_MAP_NO_ANSWER : 0);
	h->self_node = b->tn->has_self ? 0 : TS_MAP_NONE;
	h->suffix = b->suffix_str;
	clock_gettime(CLOCK_REALTIME, &now);
	h->made_ns = b->set->made_ns ? b->set->made_ns : now.tv_sec * 1000000000ll + now.tv_nsec;
	if (getrandom(&h->generation, sizeof(h->generation), GRND_NONBLOCK) != sizeof(h->generation))
		h->generation = (uint64_t)(now.tv_sec * 1000000000ll + now.tv_nsec);
}

bool ts_map_seal(uint8_t *file, size_t len)
{
	struct ts_map_header h;
	uint64_t sum;

	memcpy(&h, file, sizeof(h));
	if (h.sums.off % 8 || h.sums.off < sizeof(h) || h.sums.off + h.sums.count * 8ull > len ||
	    h.sums.count != (h.sums.off + TS_MAP_BLOCK - 1ull) / TS_MAP_BLOCK || len > TS_MAP_FILE_MAX)
		return false;
	for (size_t i = 0; i < h.sums.count; i++) {
		size_t from = i ? i * TS_MAP_BLOCK : sizeof(h), to = (i + 1) * TS_MAP_BLOCK;

		sum = ts_sum64(file + from, (to < h.sums.off ? to : h.sums.off) - from);
		memcpy(file + h.sums.off + i * sizeof(sum), &sum, sizeof(sum));
	}
	memset(h.sum_sums, 0, sizeof(h.sum_sums));
	for (size_t i = 0; i * TS_MAP_BLOCK < h.sums.count * sizeof(sum); i++) {
		size_t left = h.sums.count * sizeof(sum) - i * TS_MAP_BLOCK;

		h.sum_sums[i] = ts_sum64(file + h.sums.off + i * TS_MAP_BLOCK, left < TS_MAP_BLOCK ? left : TS_MAP_BLOCK);
	}
	h.checksum = ts_sum64(&h, offsetof(struct ts_map_header, checksum));
	memcpy(file, &h, sizeof(h));
	return true;
}

static int layout(const struct ts_build *b, uint8_t **out, size_t *len)
{
	struct ts_map_header h;
	size_t at = sizeof(h);
	uint8_t *file;

	head(b, &h);
	h.endpoints = lay(&at, b->set->endpoint_count, sizeof(*b->endpoints));
	h.remotes = lay(&at, b->set->remote_count, sizeof(*b->remotes));
	h.dns_routes = lay(&at, b->dns_route_count, sizeof(*b->dns_routes));
	h.domains = lay(&at, b->domain_count, sizeof(*b->domains));
	h.ranges = lay(&at, b->ranges.out_count, sizeof(*b->ranges.out));
	h.front_len = (uint32_t)(at + b->front_strings_len);
	h.strings = lay(&at, b->strings_len, 1);
	h.nodes = lay(&at, b->node_count, sizeof(*b->nodes));
	h.addrs = lay(&at, b->addr_count, sizeof(*b->addrs));
	h.addr_hash = lay(&at, b->addr_hash.size, sizeof(*b->addr_hash.slot));
	h.names = lay(&at, b->name_count, sizeof(*b->names));
	h.name_hash = lay(&at, b->name_hash.size, sizeof(*b->name_hash.slot));
	h.sums = lay(&at, (at + TS_MAP_BLOCK - 1) / TS_MAP_BLOCK, sizeof(uint64_t));
	if (at > TS_MAP_FILE_MAX)
		return -EFBIG;
	file = calloc(1, at);
	if (!file)
		return -ENOMEM;
	h.data_len = (uint32_t)at;
	fill(file, h.endpoints, b->endpoints, sizeof(*b->endpoints));
	fill(file, h.remotes, b->remotes, sizeof(*b->remotes));
	fill(file, h.dns_routes, b->dns_routes, sizeof(*b->dns_routes));
	fill(file, h.domains, b->domains, sizeof(*b->domains));
	fill(file, h.ranges, b->ranges.out, sizeof(*b->ranges.out));
	fill(file, h.strings, b->strings, 1);
	fill(file, h.nodes, b->nodes, sizeof(*b->nodes));
	fill(file, h.addrs, b->addrs, sizeof(*b->addrs));
	fill(file, h.addr_hash, b->addr_hash.slot, sizeof(*b->addr_hash.slot));
	fill(file, h.names, b->names, sizeof(*b->names));
	fill(file, h.name_hash, b->name_hash.slot, sizeof(*b->name_hash.slot));
	memcpy(file, &h, sizeof(h));
	ts_map_seal(file, at);
	*out = file;
	*len = at;
	return 0;
}

static void build_free(struct ts_build *b)
{
	free(b->nodes);
	free(b->addrs);
	free(b->names);
	free(b->endpoints);
	free(b->remotes);
	free(b->dns_routes);
	free(b->name_hash.slot);
	free(b->addr_hash.slot);
	free(b->strings);
	ts_ranges_free(&b->ranges);
}

int ts_map_build(const struct ts_tailnet *tn, const struct ts_map_settings *set, uint8_t **out, size_t *len)
{
	struct ts_build b = { .tn = tn, .set = set };
	struct ts_slice suffix = tn->suffix;

	if (suffix.len == 0 && set->suffix)
		suffix = (struct ts_slice){ set->suffix, strlen(set->suffix) };
	b.suffix_len = ts_build_normalise(suffix, b.suffix);
	b.err = make_room(&b);
	if (b.err)
		goto out;
	b.suffix_str = ts_build_put_str(&b, b.suffix, b.suffix_len);
	add_endpoints(&b);
	if (!b.err)
		b.err = ts_build_add_dns_routes(&b);
	if (!b.err)
		ts_build_add_domains(&b);
	b.front_strings_len = b.strings_len;
	for (size_t i = 0; i < tn->node_count && !b.err; i++)
		ts_build_add_node(&b, &tn->nodes[i]);
	if (!b.err)
		ts_build_add_records(&b);
	if (!b.err)
		add_ranges(&b);
	if (!b.err)
		b.err = layout(&b, out, len);
out:
	build_free(&b);
	return b.err;
}
