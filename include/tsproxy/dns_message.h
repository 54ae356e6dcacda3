/* SPDX-License-Identifier: MIT */
/*
 * DNS messages (RFC 1035, 4), as much as it takes to answer a question about a tailnet's node. Bytes in and bytes out:
 * no sockets, no allocation.
 */
#ifndef TSPROXY_DNS_MESSAGE_H
#define TSPROXY_DNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tsproxy/map.h"

enum { TS_DNS_A = 1, TS_DNS_PTR = 12, TS_DNS_AAAA = 28, TS_DNS_ANY = 255 };
#define TS_DNS_CLASS_IN 1
enum { TS_DNS_NOERROR = 0, TS_DNS_NXDOMAIN = 3 };

/* The largest reply that ts_dns_reply makes: a name with as many addresses as an answer holds. */
#define TS_DNS_REPLY_MAX 1024

struct ts_dns_question {
	uint16_t id;
	uint16_t type;
	uint16_t class;
	bool recurse;			/* RD */
	char name[TS_NAME_MAX + 1];	/* letters as asked, no trailing dot; "" is the root */
};

/*
 * Reads a query with one question. False where it is anything else, or its name holds what no host's name does (so that
 * it can be written with dots).
 */
bool ts_dns_read(const uint8_t *msg, size_t len, struct ts_dns_question *out);
/* Sets the name from text. False where it is too long or has an empty or too long label, or a byte as above. */
bool ts_dns_set_name(struct ts_dns_question *q, const char *name);
/*
 * Writes the reply: `rcode`, and from `a` (null: nothing) what `q` asks for: its addresses, or for a PTR its name.
 * Returns its length, at most TS_DNS_REPLY_MAX, and in `count` the number of records.
 */
size_t ts_dns_reply(const struct ts_dns_question *q, int rcode, const struct ts_map_answer *a,
		    uint8_t out[TS_DNS_REPLY_MAX], unsigned *count);
/* The address that a name under in-addr.arpa or ip6.arpa stands for. False where it stands for none. */
bool ts_dns_reverse(const char *name, uint8_t ip[16]);

#endif
