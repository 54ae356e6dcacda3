/* SPDX-License-Identifier: MIT */
/*
 * The map: what `tailscale status` says, compiled into one file that any process can look names and
 * addresses up in without parsing or allocating. `tsproxy-sync` writes it, everything else reads it.
 *
 * File format (version 2). All integers are little-endian and of fixed width; all offsets count bytes from the start of the file. A file
 * is complete before it gets its name, is never changed afterwards, and is replaced by rename(2). Readers copy it all the same: others
 * may not keep to that.
 *
 *   header     struct ts_map_header; its last word is the checksum of all the bytes before
 *   body       the sections, in the header's order. Up to `front_len` lies what every look-up needs
 *   block sums one ts_sum64 (hash.h) for each block of TS_MAP_BLOCK bytes of the file, up to where this table begins. The first block's
 *              is that of what lies behind the header; the last block may be shorter. The table is guarded by `sum_sums`, one checksum
 *              for each TS_MAP_BLOCK bytes of it, and these by the header's
 *
 * So what a look-up reads can be proven by itself: its block against the table, the table's block against the header. Nothing is taken
 * from a block that is not proven. A small map is proven as a whole when it is copied. A file is valid only when magic, version,
 * header_len and the checksums agree and every section lies inside data_len. An index that leads out of its section counts as damage,
 * never as "not found", and is never a fault.
 *
 * A proxy's user and password are not in the map, because everybody may read root's: credentials.h.
 */
#ifndef TSPROXY_MAP_H
#define TSPROXY_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tsproxy/addr.h"
#include "tsproxy/endpoint.h"

#define TS_MAP_MAGIC "tsproxym"	/* 8 bytes, no NUL */
#define TS_MAP_VERSION 2
#define TS_MAP_FILE_MAX (32u << 20)
#define TS_MAP_BLOCK 4096u
#define TS_MAP_SUM_SUMS (TS_MAP_FILE_MAX / TS_MAP_BLOCK * 8 / TS_MAP_BLOCK)
#define TS_MAP_NONE 0xffffffffu
#define TS_MAP_DOMAINS_MAX 32
#define TS_NAME_MAX 253		/* a DNS name without its trailing dot (RFC 1035, 2.3.4) */

enum ts_map_state {
	TS_STATE_UNKNOWN,	/* made without a daemon's word (from a file that does not say): treated as running */
	TS_STATE_RUNNING,
	TS_STATE_STOPPED,	/* Stopped, Starting, NoState */
	TS_STATE_NEEDS_LOGIN,	/* NeedsLogin, NeedsMachineAuth */
};

enum ts_map_flag {
	TS_MAP_TUN = 1,		/* the kernel routes the tailnet itself: step aside */
	TS_MAP_NO_MAGICDNS = 2,	/* MagicDNS is off in this tailnet (names still resolve: they are all that we have) */
	TS_MAP_NO_SHORT_NAMES = 4,
	TS_MAP_EXIT_NODE = 8,	/* settings say: carry the selected exit node's default route */
	TS_MAP_REFUSES_ROUTES = 16,	/* the daemon takes no subnet routes: none is among the ranges */
	TS_MAP_SUBDOMAINS = 32,	/* some node is TS_NODE_SUBDOMAINS */
	TS_MAP_NO_ANSWER = 64,	/* none of the proxies was usable when the map was made: it is made anew as one without proxies is */
};

struct ts_map_section {
	uint32_t off;
	uint32_t count;	/* elements, or bytes for `strings` */
};

struct ts_map_str {	/* bytes in `strings`, no NUL; names are lower case, without trailing dot */
	uint32_t off;	/* from the start of the strings section */
	uint32_t len;
};

struct ts_map_header {
	uint8_t magic[8];
	uint32_t version;
	uint32_t header_len;		/* sizeof(struct ts_map_header) */
	uint32_t data_len;		/* of the file, header and block sums included */
	uint32_t front_len;		/* from the start of the file: up to here readers prove all of a map before they use it */
	uint32_t state;			/* enum ts_map_state */
	uint32_t flags;			/* enum ts_map_flag */
	uint32_t self_node;		/* index in nodes, or TS_MAP_NONE */
	uint32_t reserved;		/* 0 */
	uint64_t generation;		/* differs between any two files of one path */
	int64_t made_ns;		/* CLOCK_REALTIME, ns since the epoch */
	struct ts_map_str suffix;	/* MagicDNS suffix, "" where unknown */
	struct ts_map_section endpoints;/* struct ts_map_endpoint; in order of preference */
	struct ts_map_section remotes;	/* struct ts_map_str: suffixes whose names the far side resolves */
	struct ts_map_section dns_routes;/* struct ts_map_dns_route; longest suffix first, a suffix's servers together in order */
	struct ts_map_section domains;	/* struct ts_map_str: whose names are or were a tailnet's of this machine; the latest first */
	struct ts_map_section ranges;	/* struct ts_map_range; sorted by first, disjoint */
	struct ts_map_section strings;	/* bytes; first those of the sections above and of the suffix */
	struct ts_map_section nodes;	/* struct ts_map_node */
	struct ts_map_section addrs;	/* struct ts_map_addr; a name's and a node's stand together, IPv4 before IPv6 */
	struct ts_map_section addr_hash;/* uint32_t: index in addrs or TS_MAP_NONE; a power of two; open addressing, linear */
	struct ts_map_section names;	/* struct ts_map_name; short names under `suffix` are not among them: the reader adds it */
	struct ts_map_section name_hash;/* uint32_t: index in names or TS_MAP_NONE; likewise */
	struct ts_map_section sums;	/* uint64_t: the block sums; they end the file */
	uint64_t sum_sums[TS_MAP_SUM_SUMS];	/* 0 where the table has no such block */
	uint64_t checksum;		/* ts_sum64 of the header's bytes before this word */
};

enum ts_node_flag {
	TS_NODE_ONLINE = 1,
	TS_NODE_SELF = 2,
	TS_NODE_EXIT = 4,	/* the selected exit node */
	TS_NODE_EXIT_OPTION = 8,
	TS_NODE_SHAREE = 16,	/* shared in from another tailnet */
	TS_NODE_EXPIRED = 32,
	TS_NODE_ONLINE_KNOWN = 64,	/* the source said whether it is online */
	TS_NODE_SUBDOMAINS = 128,	/* answers to every name under its own */
};

struct ts_map_node {
	struct ts_map_str fqdn;	/* "" where the node has no DNS name */
	struct ts_map_str host;	/* HostName as the daemon says it, any bytes; for people */
	struct ts_map_str os;
	uint32_t flags;		/* enum ts_node_flag */
	uint32_t addr_first;	/* in addrs */
	uint32_t addr_count;
	uint32_t reserved;
};

struct ts_map_addr {
	uint8_t ip[16];		/* as in struct ts_addr */
	uint32_t node;		/* index in nodes, or TS_MAP_NONE (an extra record) */
};

struct ts_map_name {
	struct ts_map_str name;	/* what is looked up */
	struct ts_map_str canon;/* the FQDN: canonical name */
	uint32_t addr_first;	/* in addrs; the addresses this name stands for */
	uint32_t addr_count;
	uint32_t node;		/* or TS_MAP_NONE */
	uint32_t flags;		/* enum ts_name_flag */
};

enum ts_name_flag { TS_NAME_SHORT = 1 };	/* a single label whose suffix is not known */

enum ts_range_kind {
	TS_RANGE_EXCLUDE = 1,	/* configured: never ours */
	TS_RANGE_ROUTE,		/* configured: ours */
	TS_RANGE_SUBNET,	/* a primary route of `node` */
	TS_RANGE_EXIT,		/* the selected exit node's default route: ours only when asked for */
};

struct ts_map_range {
	uint8_t first[16], last[16];	/* inclusive */
	uint32_t kind;			/* enum ts_range_kind; where several cover an address the writer has chosen: EXCLUDE, then
					   ROUTE, then the longest prefix */
	uint32_t node;
};

struct ts_map_endpoint {
	uint8_t ip[16];
	uint16_t port;
	uint8_t kind;		/* enum ts_endpoint_kind */
	uint8_t flags;		/* enum ts_endpoint_flag */
};

enum ts_dns_route_flag {
	TS_DNS_ROUTE_NO_SERVER = 1,	/* `ip` means nothing: the tailnet answers for these names itself, so what the map lacks is not */
	TS_DNS_ROUTE_UNSERVED = 2,	/* likewise: it has servers, none of which can be asked from here */
	TS_DNS_ROUTE_TAILNET = 4,	/* the daemon told it, and no setting */
};

struct ts_map_dns_route {	/* who is asked for the names under a suffix, and for the suffix itself */
	struct ts_map_str suffix;
	uint8_t ip[16];
	uint16_t port;
	uint16_t flags;		/* enum ts_dns_route_flag */
};

/* --- reading (map_read.c): no allocation, async-signal-safe, safe against any content --- */

/* A map in memory. `len` is at least sizeof(struct ts_map_header) once checked. */
struct ts_map {
	const uint8_t *base;
	size_t len;
	struct ts_map_proof *proof;	/* null: all of it has been proven */
};

/* Which blocks of a map in memory have been proven, where that is left to the look-ups. All zero: none. Many threads may share it. */
struct ts_map_proof {
	/* A bit for each block, beside the low half of the generation of the map that it was proven for: the map may be replaced meanwhile. */
	uint64_t blocks[TS_MAP_FILE_MAX / TS_MAP_BLOCK / 32];
	uint64_t rest[256];	/* 0: whole pages can be moved */
};

/* What a lookup copies out, so that nothing points into a mapping that may be replaced. */
#define TS_ANSWER_ADDRS_MAX 16
struct ts_map_answer {
	uint8_t ip[TS_ANSWER_ADDRS_MAX][16];	/* IPv4 before IPv6, in the source's order */
	unsigned count;
	uint32_t node_flags;	/* enum ts_node_flag, 0 without a node */
	char canon[TS_NAME_MAX + 1];	/* NUL-terminated */
};

/*
 * 0, or why it is none: -EBADMSG (damaged: magic, checksum, layout), -EPROTONOSUPPORT (version), -EMSGSIZE (truncated). Proves all of a map
 * without `proof`; of one with it the header, the block sums and what lies before front_len.
 */
int ts_map_check(const struct ts_map *m);
/* A copy of the header of a checked map. */
struct ts_map_header ts_map_header(const struct ts_map *m);

/*
 * Looks a name up: any case, with or without one trailing dot, short or full, as asked. 1 found, 0 not, -EBADMSG: what would have to be read
 * is damaged, so nobody knows. The same goes for the next two.
 * `len` excludes any NUL. Names over TS_NAME_MAX bytes are not found. Finds A-B-C-D-via-SITE as well (ts_name_via),
 * and names under one whose node answers to them.
 */
int ts_map_find_name(const struct ts_map *m, const char *name, size_t len, struct ts_map_answer *out);
/* The node that owns `ip`; `out` gets its addresses, flags and FQDN ("" where it has none). 1 or 0. */
int ts_map_find_addr(const struct ts_map *m, const uint8_t ip[16], struct ts_map_answer *out);
/* That node's flags alone (enum ts_node_flag), 0 without a node. 1, 0 or -EBADMSG. */
int ts_map_find_flags(const struct ts_map *m, const uint8_t ip[16], uint32_t *flags);
/* This node's addresses, flags and FQDN. 1, or 0 where the map does not say which it is. */
int ts_map_self(const struct ts_map *m, struct ts_map_answer *out);
/* The range that covers `ip`. 1 or 0. */
int ts_map_find_range(const struct ts_map *m, const uint8_t ip[16], struct ts_map_range *out);
/* Endpoint number `i`. 1 or 0. `user` and `pass` are left empty. */
int ts_map_endpoint(const struct ts_map *m, unsigned i, struct ts_endpoint *out);
/* Route number `i` of split DNS, and its suffix, NUL-terminated. 1 or 0, or -EBADMSG. */
int ts_map_dns_route(const struct ts_map *m, uint32_t i, struct ts_map_dns_route *out, char suffix[TS_NAME_MAX + 1]);
/* The tailnet's MagicDNS suffix, NUL-terminated, "" where unknown. */
void ts_map_suffix(const struct ts_map *m, char out[TS_NAME_MAX + 1]);
/*
 * Where no daemon told of nodes, and only a proxy and a suffix are known: the full name, in `out`, for which the far side is to be asked where
 * a program says `name`, one label or under the suffix. False: it is no such name, or the nodes are known.
 */
bool ts_map_name_far(const struct ts_map *m, const char *name, size_t len, char out[TS_NAME_MAX + 1]);
/*
 * The length of this tailnet's suffix, where `name` is that or lies under it (any case, trailing dot allowed), else 0. While the daemon is
 * stopped or logged out it tells nothing of a tailnet: then the longest of all domains that are known counts.
 */
size_t ts_map_name_under_suffix(const struct ts_map *m, const char *name, size_t len);
/* The length of the longest configured remote-name suffix that `name` is, or lies under; 0: none. */
size_t ts_map_name_remote(const struct ts_map *m, const char *name, size_t len);
/* Whether the daemon carries connections, as far as the map knows. */
static inline bool ts_map_state_is_running(uint32_t state)
{
	return state != TS_STATE_STOPPED && state != TS_STATE_NEEDS_LOGIN;
}
static inline bool ts_map_is_running(const struct ts_map_header *h)
{
	return ts_map_state_is_running(h->state);
}
/* Strings for people (status): copies at most cap-1 bytes and ends them with a NUL. Returns the full length. */
size_t ts_map_str(const struct ts_map *m, struct ts_map_str s, char *out, size_t cap);

/*
 * Opens and copies a file: regular, at least data_len long, owned by the effective user or root, no write permission for group or others, valid.
 * All of it is proven. 0, or -errno: -ENOENT none, -EPERM owner, mode or kind of file, else as ts_map_check.
 */
int ts_map_load(const char *path, struct ts_map *out);
void ts_map_unload(struct ts_map *m);

/* The steps of ts_map_load, for a reader that follows the file. A descriptor (and what fstat says of it) or -errno. */
struct stat;
int ts_map_open(const char *path, struct stat *st);
/* Reads the first `len` bytes. 0, -EMSGSIZE where there are fewer, or -errno. */
int ts_map_read(int fd, void *buf, size_t len);
/*
 * Copies and checks; `prove` false: the proof of the body is left to the look-ups. What is mapped at out->base is TS_MAP_ROOM bytes: room
 * for the largest map, and behind it out->proof. 0 or -errno.
 */
#define TS_MAP_ROOM (TS_MAP_FILE_MAX + sizeof(struct ts_map_proof))
int ts_map_attach(int fd, const struct stat *st, bool prove, struct ts_map *out);

/* --- writing (map_write.c): tool side, uses malloc --- */

struct ts_tailnet;	/* status.h */
struct ts_map_settings;	/* settings.h */

/*
 * Compiles the map. On success *out (malloc'd, *len bytes) is the caller's. 0, -ENOMEM, or -EFBIG
 * where it would be larger than TS_MAP_FILE_MAX.
 */
int ts_map_build(const struct ts_tailnet *tn, const struct ts_map_settings *set, uint8_t **out, size_t *len);
/*
 * Puts a built map in place: directory made (ts_conf_folder_mode), temporary file beside it, written to the disk, rename. Its mode is 0600;
 * 0644 where it is root's, in a folder that everybody may search. A directory of another owner or with group or other write permission
 * is refused: -EPERM. 0 or -errno.
 */
int ts_map_install(const char *path, const uint8_t *data, size_t len);

#endif
