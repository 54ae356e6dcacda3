/* SPDX-License-Identifier: MIT */
/*
 * Asks a name server of split DNS, over TCP: through the proxy where its address is the tailnet's, else as the kernel leads there.
 *
 * This is part of calls that block natively (getaddrinfo and its like), and blocks as long as the resolver's settings let libc wait: a
 * cancellation point, at which nothing is left behind. No lock is held, nothing is allocated but pages for the time of the call.
 *
 *   w = ts_dns_begin();  ts_dns_add(w, ...);  ts_dns_ask(w, &split);  ... w->ask[i] ...  ts_dns_end(w);
 */
#ifndef TSPROXY_DNS_ASK_H
#define TSPROXY_DNS_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tsproxy/dns_query.h"
#include "tsproxy/resolv_conf.h"
#include "tsproxy/route.h"
#include "tsproxy/split.h"

#define TS_DNS_MESSAGE_MAX 65535
#define TS_DNS_ASKS_MAX 2	/* a name's two families, in one connection */

struct ts_dns_ask {
	const uint8_t *query;
	size_t query_len;
	uint16_t type;
	bool fresh;		/* not from the cache */
	size_t reply_len;	/* 0: no answer */
	uint8_t own_query[TS_DNS_QUERY_MAX];
	uint8_t reply[TS_DNS_MESSAGE_MAX];
};

struct ts_dns_work {
	int fd;			/* the connection, or -1 */
	int err;		/* why the last attempt failed: positive errno */
	const struct ts_split *split;
	unsigned count;
	struct ts_dns_ask ask[TS_DNS_ASKS_MAX];
	struct ts_dns_found found[TS_DNS_ASKS_MAX];
	uint8_t ip[TS_DNS_ADDRS_MAX][16];	/* for who puts both together */
	struct ts_resolv conf;
	struct ts_route_message message;
	size_t have;		/* bytes of the stream in `in` */
	uint8_t in[2 + TS_DNS_MESSAGE_MAX];
};

/* Null where there is no memory. */
struct ts_dns_work *ts_dns_begin(void);
void ts_dns_end(struct ts_dns_work *w);

/* A question about a name. False where it cannot be one's name. */
bool ts_dns_add(struct ts_dns_work *w, const char *name, uint16_t type, uint16_t class);
/* A query as it stands; it must stay until the end. */
void ts_dns_add_query(struct ts_dns_work *w, const uint8_t *query, size_t len);

/*
 * Asks the servers in turn until all questions are answered. A server's failure to answer (SERVFAIL, REFUSED) is an answer where no
 * other server has a better one. 0 where there is an answer to any question; else -errno.
 */
int ts_dns_ask(struct ts_dns_work *w, const struct ts_split *split);

/* The cache of this process (dns_cache.c). True where the ask's reply is set from it. */
bool ts_dns_cache_get(struct ts_dns_ask *ask, const struct ts_split *split);
void ts_dns_cache_put(const struct ts_dns_ask *ask, const struct ts_split *split, uint32_t ttl_s);

#endif
