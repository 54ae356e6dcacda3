/* SPDX-License-Identifier: MIT */
/*
 * Nodes and names of the map. Names follow MagicDNS. A node answers to its DNSName, and where that is one label under
 * this tailnet's own suffix to the label alone, because that suffix is the one search domain that MagicDNS sets: the
 * reader looks a single label up under the suffix, so no short names are stored. A node shared in from another tailnet
 * has a full name only, one without DNSName none at all (its HostName is for people). The text table's short names are
 * stored as they are where the suffix is not known. An extra record that bears a node's name adds to its addresses, as
 * the daemon does it. What is no DNS name (labels over 63 bytes, control characters) is left out; the node keeps its
 * addresses.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "map_write.h"
#include "tsproxy/hash.h"

#define LABEL_MAX 63
#define HOST_MAX 255 /* bytes kept of a HostName */

struct ts_map_str ts_build_put_str(struct ts_build *b, const char *s, size_t len)
{
	struct ts_map_str none = { 0, 0 };

	if (len == 0)
		return none;
	if (b->strings_cap - b->strings_len < len) {
		size_t cap = (b->strings_cap + len) * 2;
		uint8_t *p = cap > TS_MAP_FILE_MAX * 4ull ? NULL : realloc(b->strings, cap);

		if (!p) {
			b->err = -ENOMEM;
			return none;
		}
		b->strings = p;
		b->strings_cap = cap;
	}
	memcpy(b->strings + b->strings_len, s, len);
	b->strings_len += len;
	return (struct ts_map_str){ (uint32_t)(b->strings_len - len), (uint32_t)len };
}

static bool str_is(const struct ts_build *b, struct ts_map_str str, const char *s, size_t len)
{
	return str.len == len && memcmp(b->strings + str.off, s, len) == 0;
}

/*
 * A tailnet has a handful of operating systems: a short memory of the last ones keeps them from being stored once a
 * node.
 */
static struct ts_map_str put_os(struct ts_build *b, struct ts_slice os)
{
	size_t len = os.len < HOST_MAX ? os.len : HOST_MAX;
	struct ts_map_str str;

	if (len == 0)
		return (struct ts_map_str){ 0, 0 };
	for (unsigned i = 0; i < TS_OS_CACHE; i++)
		if (str_is(b, b->os[i], os.p, len))
			return b->os[i];
	str = ts_build_put_str(b, os.p, len);
	b->os[b->os_next++ % TS_OS_CACHE] = str;
	return str;
}

/* HostName mostly is the first label of the name, whose bytes then serve for both. */
static struct ts_map_str put_host(struct ts_build *b, struct ts_slice host, struct ts_map_str name)
{
	size_t len = host.len < HOST_MAX ? host.len : HOST_MAX;

	if (len && len <= name.len && memcmp(b->strings + name.off, host.p, len) == 0)
		return (struct ts_map_str){ name.off, (uint32_t)len };
	return ts_build_put_str(b, host.p, len);
}

size_t ts_build_normalise(struct ts_slice in, char out[TS_NAME_MAX + 1])
{
	size_t label = 0, len = in.len;

	if (len && in.p[len - 1] == '.')
		len--;
	if (len == 0 || len > TS_NAME_MAX)
		return 0;
	for (size_t i = 0; i < len; i++) {
		char c = in.p[i];

		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		if (c == '.') {
			if (label == 0)
				return 0;
			label = 0;
		} else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') {
			if (++label > LABEL_MAX)
				return 0;
		} else {
			return 0;
		}
		out[i] = c;
	}
	out[len] = '\0';
	return label ? len : 0;
}

/* Whether a full name is one of this tailnet's. */
static bool is_own(const struct ts_build *b, const char *name, size_t len)
{
	return len > b->suffix_len + 1 && name[len - b->suffix_len - 1] == '.' &&
	       memcmp(name + len - b->suffix_len, b->suffix, b->suffix_len) == 0;
}

static uint32_t *name_slot(struct ts_build *b, const char *name, size_t len)
{
	uint32_t i = (uint32_t)ts_fnv64(TS_FNV64_INIT, name, len);

	for (;; i++) {
		uint32_t *slot = &b->name_hash.slot[i & (b->name_hash.size - 1)];

		if (*slot == TS_MAP_NONE || str_is(b, b->names[*slot].name, name, len))
			return slot;
	}
}

/* The first to bear a name keeps it: this node, then the peers in the daemon's order. */
static void add_name(struct ts_build *b, struct ts_map_name n)
{
	uint32_t *slot = name_slot(b, (const char *)b->strings + n.name.off, n.name.len);

	if (*slot != TS_MAP_NONE || n.addr_count == 0)
		return;
	*slot = b->name_count;
	b->names[b->name_count++] = n;
}

static void hash_addr(struct ts_build *b, uint32_t index)
{
	const uint8_t *ip = b->addrs[index].ip;
	uint32_t i = (uint32_t)ts_fnv64(TS_FNV64_INIT, ip, 16);

	for (;; i++) {
		uint32_t *slot = &b->addr_hash.slot[i & (b->addr_hash.size - 1)];

		if (*slot == TS_MAP_NONE) {
			*slot = index;
			return;
		}
		if (memcmp(b->addrs[*slot].ip, ip, 16) == 0)
			return;
	}
}

/* Addresses that no tailnet gives out: a source that claims one must not take over localhost. */
static bool ip_usable(const uint8_t ip[16])
{
	return !ts_ip_is_loopback(ip) && !ts_ip_is_local_scope(ip);
}

static void add_node_addrs(struct ts_build *b, const struct ts_status_node *n, uint32_t node)
{
	struct ts_map_node *out = &b->nodes[node];

	out->addr_first = b->addr_count;
	for (int want4 = 1; want4 >= 0; want4--) {
		for (uint32_t i = 0; i < n->ip_count; i++) {
			const uint8_t *ip = b->tn->ips[n->ip_first + i].ip;

			if (ts_ip_is4(ip) != want4 || !ip_usable(ip))
				continue;
			memcpy(b->addrs[b->addr_count].ip, ip, 16);
			b->addrs[b->addr_count].node = node;
			hash_addr(b, b->addr_count++);
		}
	}
	out->addr_count = b->addr_count - out->addr_first;
}

void ts_build_add_node(struct ts_build *b, const struct ts_status_node *n)
{
	uint32_t node = b->node_count++;
	struct ts_map_node *out = &b->nodes[node];
	char name[TS_NAME_MAX + 1];
	size_t len = ts_build_normalise(n->fqdn, name), label;
	struct ts_map_name entry = { .node = node };

	memset(out, 0, sizeof(*out));
	out->flags = n->flags;
	b->node_flags |= n->flags;
	if (len == 0 && (label = ts_build_normalise(n->label, name)) != 0) {
		len = label;
		if (b->suffix_len && label + 1 + b->suffix_len <= TS_NAME_MAX && !memchr(name, '.', label)) {
			name[label] = '.';
			memcpy(name + label + 1, b->suffix, b->suffix_len + 1);
			len = label + 1 + b->suffix_len;
		}
	}
	add_node_addrs(b, n, node);
	entry.addr_first = out->addr_first;
	entry.addr_count = out->addr_count;
	entry.name = entry.canon = ts_build_put_str(b, name, len);
	if (len && !memchr(name, '.', len)) {
		entry.flags = TS_NAME_SHORT;
	} else if (len) {
		out->fqdn = entry.name;
		if (b->suffix_len && !is_own(b, name, len))
			out->flags |= TS_NODE_SHAREE;
	}
	out->host = put_host(b, n->host, entry.name);
	out->os = put_os(b, n->os);
	if (len)
		add_name(b, entry);
}

struct record { /* an extra record in the order of its name */
	char *name;
	uint8_t ip[16];
};

static int record_order(const void *a, const void *b)
{
	const struct record *x = a, *y = b;
	int d = strcmp(x->name, y->name);

	/* IPv4 before IPv6 within a name. */
	if (d == 0)
		d = ts_ip_is4(y->ip) - ts_ip_is4(x->ip);
	return d;
}

/* Sets the addresses that `name` stands for, whether a node bears it already or not. */
static void set_name(struct ts_build *b, struct ts_map_name n)
{
	uint32_t index = *name_slot(b, (const char *)b->strings + n.name.off, n.name.len);

	if (index == TS_MAP_NONE) {
		add_name(b, n);
		return;
	}
	b->names[index].addr_first = n.addr_first;
	b->names[index].addr_count = n.addr_count;
}

static void copy_addrs(struct ts_build *b, uint32_t first, uint32_t count, bool want4)
{
	for (uint32_t i = 0; i < count; i++)
		if (ts_ip_is4(b->addrs[first + i].ip) == want4)
			b->addrs[b->addr_count++] = b->addrs[first + i];
}

static bool addrs_room(struct ts_build *b, size_t more)
{
	size_t cap = (b->addr_count + more) * 2;
	struct ts_map_addr *p;

	if (b->addr_cap - b->addr_count >= more)
		return true;
	p = cap > TS_MAP_FILE_MAX ? NULL : realloc(b->addrs, cap * sizeof(*p));
	if (!p) {
		b->err = -ENOMEM;
		return false;
	}
	b->addrs = p;
	b->addr_cap = (uint32_t)cap;
	return true;
}

/* One name's extra records, behind the addresses of the node that bears that name. */
static void add_record_group(struct ts_build *b, const struct record *r, size_t n)
{
	size_t len = strlen(r->name);
	uint32_t old = *name_slot(b, r->name, len);
	struct ts_map_name entry = { .node = TS_MAP_NONE, .addr_first = b->addr_count };

	if (!addrs_room(b, n + (old == TS_MAP_NONE ? 0 : b->names[old].addr_count)))
		return;
	for (int want4 = 1; want4 >= 0; want4--) {
		if (old != TS_MAP_NONE)
			copy_addrs(b, b->names[old].addr_first, b->names[old].addr_count, want4);
		for (size_t i = 0; i < n; i++) {
			if (ts_ip_is4(r[i].ip) != want4)
				continue;
			memcpy(b->addrs[b->addr_count].ip, r[i].ip, 16);
			b->addrs[b->addr_count++].node = TS_MAP_NONE;
		}
	}
	entry.addr_count = b->addr_count - entry.addr_first;
	entry.name = entry.canon = old == TS_MAP_NONE ? ts_build_put_str(b, r->name, len) : b->names[old].name;
	if (b->err)
		return;
	set_name(b, entry);
}

static void add_own_name(struct ts_build *b, const char *name, size_t len)
{
	struct ts_map_name entry = { .node = 0 };

	if (!b->tn->has_self)
		return;
	entry.name = entry.canon = ts_build_put_str(b, name, len);
	entry.addr_first = b->nodes[0].addr_first;
	entry.addr_count = b->nodes[0].addr_count;
	if (!b->err)
		add_name(b, entry);
}

void ts_build_add_records(struct ts_build *b)
{
	struct record *list = calloc(b->tn->record_count + 1, sizeof(*list));
	char name[TS_NAME_MAX + 1];
	size_t n = 0, end;

	if (!list) {
		b->err = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < b->tn->record_count && !b->err; i++) {
		const struct ts_status_record *r = &b->tn->records[i];
		size_t len = ts_build_normalise(r->name, name);

		if (len == 0 || (!r->own && !ip_usable(r->ip.ip)))
			continue;
		if (r->own) {
			add_own_name(b, name, len);
			continue;
		}
		list[n].name = strdup(name);
		if (!list[n].name)
			b->err = -ENOMEM;
		else
			memcpy(list[n++].ip, r->ip.ip, 16);
	}
	qsort(list, n, sizeof(*list), record_order);
	for (size_t i = 0; i < n && !b->err; i = end) {
		for (end = i + 1; end < n && strcmp(list[end].name, list[i].name) == 0;)
			end++;
		add_record_group(b, &list[i], end - i);
	}
	while (n)
		free(list[--n].name);
	free(list);
}
