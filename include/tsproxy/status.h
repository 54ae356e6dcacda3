/* SPDX-License-Identifier: MIT */
/*
 * What the daemon says about its tailnet, parsed but not yet judged. Tool side only: uses malloc.
 *
 * Strings are slices of the source (which the struct keeps alive): any bytes, any case, any length, no NUL at their
 * end. map_write.c decides which of them are DNS names. Addresses and prefixes have been parsed; what is none has been
 * left out.
 */
#ifndef TSPROXY_STATUS_H
#define TSPROXY_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tsproxy/addr.h"
#include "tsproxy/map.h"

#define TS_STATUS_MAX (256u << 20) /* bytes of status that are read; 100,000 nodes make about 100 MiB */

struct ts_slice {
	const char *p;
	size_t len;
};

struct ts_status_node {
	struct ts_slice fqdn; /* DNSName, "" where the daemon gives none */
	struct ts_slice
		label; /* the table's name column: a name under the tailnet's suffix, which the table does not tell */
	struct ts_slice host; /* HostName; for people */
	struct ts_slice os;
	uint32_t flags;                    /* enum ts_node_flag */
	uint32_t ip_first, ip_count;       /* in ts_tailnet.ips */
	uint32_t route_first, route_count; /* in ts_tailnet.routes: the node's primary routes */
};

struct ts_status_record { /* an extra DNS record, or a name of this node's certificate */
	struct ts_slice name;
	struct ts_addr ip;
	bool own; /* stands for this node's own addresses; `ip` means nothing */
};

#define TS_STATUS_SERVERS_MAX 4 /* of one suffix; the daemon asks them in order */

struct ts_status_dns_route { /* split DNS, as the tailnet's administrator set it */
	char *suffix; /* any case, perhaps with a trailing dot */
	struct ts_addr server[TS_STATUS_SERVERS_MAX];
	unsigned server_count;
	unsigned told; /* how many there were, those included that have no address (DNS over HTTPS) */
};

struct ts_status_ip {
	uint8_t ip[16];
};

struct ts_tailnet {
	enum ts_map_state state;
	bool tun;
	bool no_magicdns;
	bool refuses_routes; /* the daemon does not take its peers' subnet routes: they are listed, and not carried */
	bool has_self; /* nodes[0] is this node */
	struct ts_slice suffix;
	struct ts_status_node *nodes;
	size_t node_count;
	struct ts_status_ip *ips;
	size_t ip_count;
	struct ts_prefix *routes;
	size_t route_count;
	struct ts_status_record *records;
	size_t record_count;
	struct ts_status_dns_route *dns_routes;
	size_t dns_route_count;
	size_t node_cap, ip_cap, route_cap, record_cap;
	void *source; /* what the slices point into */
	void (*free_source)(void *);
};

#define TS_STATUS_WHY_MAX 160

/*
 * Each parses `len` bytes at `text` and fills `out`, which the caller frees with ts_tailnet_free in any case. `text`
 * may go away afterwards. 0; -EBADMSG (`why` says in a few words what is wrong with it); -ENOMEM.
 */
int ts_status_parse(const char *text, size_t len, struct ts_tailnet *out,
		    char why[TS_STATUS_WHY_MAX]); /* tells them apart */
int ts_status_parse_json(const char *text, size_t len, struct ts_tailnet *out, char why[TS_STATUS_WHY_MAX]);
int ts_status_parse_text(const char *text, size_t len, struct ts_tailnet *out, char why[TS_STATUS_WHY_MAX]);
/* What the daemon's preferences (JSON) refuse; false where they do not say. */
struct ts_status_prefs {
	bool refuses_routes; /* RouteAll: its peers' subnet routes */
	bool refuses_dns; /* CorpDNS: what the tailnet says of DNS */
};
void ts_status_parse_prefs(const char *text, size_t len, struct ts_status_prefs *out);
/* Adds the routes of split DNS that the daemon's DNS configuration (JSON) holds. What is no such thing is left out. 0 or -ENOMEM. */
int ts_status_parse_dns(const char *text, size_t len, struct ts_tailnet *out);
void ts_tailnet_drop_dns_routes(struct ts_tailnet *tn);
void ts_tailnet_free(struct ts_tailnet *tn);

/* For the two parsers. A new node, cleared, whose addresses and routes are those added after it; null: no memory. */
struct ts_status_node *ts_tailnet_add_node(struct ts_tailnet *tn);
bool ts_tailnet_add_ip(struct ts_tailnet *tn, const uint8_t ip[16]); /* to the last node; false: no memory */
bool ts_tailnet_add_route(struct ts_tailnet *tn, const struct ts_prefix *p);
struct ts_status_record *ts_tailnet_add_record(struct ts_tailnet *tn);

#endif
