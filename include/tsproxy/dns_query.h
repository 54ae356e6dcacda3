/* SPDX-License-Identifier: MIT */
/*
 * The other side of DNS messages (dns_message.h): questions that we ask, and the answers of servers, which may say anything. No sockets,
 * no allocation.
 */
#ifndef TSPROXY_DNS_QUERY_H
#define TSPROXY_DNS_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tsproxy/map.h"

#define TS_DNS_HEADER_LEN 12
#define TS_DNS_QUERY_MAX (TS_DNS_HEADER_LEN + 255 + 4)
#define TS_DNS_REVERSE_MAX 80
#define TS_DNS_ADDRS_MAX 256	/* of one answer; what comes after them is left out */
#define TS_DNS_ALIASES_MAX 16

enum { TS_DNS_CNAME = 5, TS_DNS_SOA = 6 };
enum { TS_DNS_SERVFAIL = 2, TS_DNS_NOTIMP = 4, TS_DNS_REFUSED = 5 };

/* The name under in-addr.arpa or ip6.arpa that stands for an address; its length. */
size_t ts_dns_reverse_name(const uint8_t ip[16], char out[TS_DNS_REVERSE_MAX]);

/* A query with one question, which asks for recursion. Its length, or 0 where `name` cannot be written as labels. */
size_t ts_dns_write_query(uint8_t out[TS_DNS_QUERY_MAX], uint16_t id, const char *name, uint16_t type, uint16_t class);
/*
 * The name in the one question of a query, made text for ts_split_find: a byte that no text has becomes '.'. False where it is no query
 * with one question.
 */
bool ts_dns_query_name(const uint8_t *msg, size_t len, char out[TS_NAME_MAX + 1]);
/* Whether `reply` answers `query`: its number, its question. */
bool ts_dns_answers(const uint8_t *reply, size_t len, const uint8_t *query, size_t query_len);
/* Of a message of at least TS_DNS_HEADER_LEN bytes. */
int ts_dns_rcode(const uint8_t *msg);
unsigned ts_dns_answer_count(const uint8_t *msg);

/* What a reply says about a name, read as libc reads it: its aliases in their order, and the records of the last of them. */
struct ts_dns_found {
	int rcode;
	unsigned count;		/* of addresses; with PTR, of names */
	uint8_t ip[TS_DNS_ADDRS_MAX][16];
	char canon[TS_NAME_MAX + 1];	/* with PTR, the first name; "" where there is none */
	unsigned alias_count;
	char alias[TS_DNS_ALIASES_MAX][TS_NAME_MAX + 1];
	uint32_t ttl_s;		/* for how long it holds (RFC 2308, 5 for what does not exist); 0: not at all */
};

/* Reads a reply to a question for `type` (A, AAAA, PTR). False where it is damaged: then it says nothing. */
bool ts_dns_read_reply(const uint8_t *msg, size_t len, uint16_t type, struct ts_dns_found *out);

#endif
