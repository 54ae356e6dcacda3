/* SPDX-License-Identifier: MIT */
/* Between the files that write the map: map_write.c (the whole), _names, _ranges, _file. */
#ifndef TSPROXY_NAMES_MAP_WRITE_H
#define TSPROXY_NAMES_MAP_WRITE_H

#include "tsproxy/map.h"
#include "tsproxy/settings.h"
#include "tsproxy/status.h"

/* Prefixes that may contain one another, made into disjoint ranges in ascending order. */
struct ts_ranges {
	struct ts_range_in *in;
	size_t in_count, in_cap;
	struct ts_map_range *out;
	size_t out_count, out_cap;
	bool no_memory;
};

void ts_ranges_add(struct ts_ranges *r, const struct ts_prefix *p, enum ts_range_kind kind, uint32_t node);
/* 0 or -ENOMEM (in this or an earlier ts_ranges_add). */
int ts_ranges_flatten(struct ts_ranges *r);
void ts_ranges_free(struct ts_ranges *r);

/*
 * Opens the directory that `path` (absolute) lies in, made where it is missing (ts_conf_folder_mode); *name is what follows. -EPERM where it
 * is a link, of another owner, or writable for group or others.
 */
int ts_map_open_dir(const char *path, const char **name);
/*
 * Opens a file in such a directory; with O_CREAT it is made 0600. A descriptor, or -errno: -EPERM where something else than a file is there.
 * Does not wait for whatever that is, and follows no link.
 */
int ts_file_open(int dir_fd, const char *name, int flags);
/* As ts_map_install, for any file; `shared` false: mode 0600 in any case. */
int ts_file_install(const char *path, bool shared, const uint8_t *data, size_t len);

#define TS_OS_CACHE 8

struct ts_table {
	uint32_t *slot;
	uint32_t size; /* a power of two */
};

struct ts_build {
	const struct ts_tailnet *tn;
	const struct ts_map_settings *set;
	char suffix[TS_NAME_MAX + 1];
	size_t suffix_len;
	struct ts_map_str suffix_str;
	struct ts_map_node *nodes;
	struct ts_map_addr *addrs;
	struct ts_map_name *names;
	struct ts_map_endpoint *endpoints;
	struct ts_map_str *remotes;
	struct ts_map_dns_route *dns_routes;
	size_t dns_route_count;
	struct ts_map_str domains[TS_MAP_DOMAINS_MAX];
	size_t domain_count;
	struct ts_ranges ranges;
	uint32_t node_count, addr_count, addr_cap, name_count;
	uint32_t node_flags;	/* of all nodes together */
	struct ts_table name_hash, addr_hash;
	uint8_t *strings;
	size_t strings_len, strings_cap;
	size_t front_strings_len;	/* those that every reader of a map needs come first */
	struct ts_map_str os[TS_OS_CACHE];
	unsigned os_next;
	int err;
};

/* Sets all checksums of a map of `len` bytes, which is laid out. False where its header leaves no room for them. */
bool ts_map_seal(uint8_t *file, size_t len);

/* Copies bytes to the strings; where there is no memory b->err is set. */
struct ts_map_str ts_build_put_str(struct ts_build *b, const char *s, size_t len);
/*
 * `in` as a DNS name for comparison: lower case, without trailing dot. Letters, digits, hyphens and underscores, as the
 * daemon itself makes them. Returns the length, 0 where it is no name.
 */
size_t ts_build_normalise(struct ts_slice in, char out[TS_NAME_MAX + 1]);
void ts_build_add_node(struct ts_build *b, const struct ts_status_node *n);
void ts_build_add_records(struct ts_build *b);
int ts_build_add_dns_routes(struct ts_build *b); /* 0 or -ENOMEM */
void ts_build_add_domains(struct ts_build *b);

#endif
