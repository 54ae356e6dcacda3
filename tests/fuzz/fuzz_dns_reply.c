/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a name server's reply, and as a program's query. What was read is inside its bounds, ends where it should, and is a
 * host's name. The first byte picks the type that was asked for.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tsproxy/dns_message.h"
#include "tsproxy/dns_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool right)
{
	if (!right)
		abort();
}

static void check_name(const char name[TS_NAME_MAX + 1])
{
	check(memchr(name, '\0', TS_NAME_MAX + 1) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint16_t types[] = { TS_DNS_A, TS_DNS_AAAA, TS_DNS_PTR };
	static struct ts_dns_found f;
	uint8_t query[TS_DNS_QUERY_MAX];
	char name[TS_NAME_MAX + 1];
	uint16_t type;
	size_t n;

	if (len == 0)
		return 0;
	type = types[data[0] % 3];
	data++;
	len--;
	memset(&f, 0x5a, sizeof(f));
	if (ts_dns_read_reply(data, len, type, &f)) {
		check(f.count <= TS_DNS_ADDRS_MAX || type == TS_DNS_PTR);
		check(f.alias_count <= TS_DNS_ALIASES_MAX);
		check_name(f.canon);
		for (unsigned i = 0; i < f.alias_count; i++)
			check_name(f.alias[i]);
		for (unsigned i = 0; type != TS_DNS_PTR && i < f.count; i++)
			check(ts_ip_is4(f.ip[i]) || type == TS_DNS_AAAA);
	}
	if (ts_dns_query_name(data, len, name)) {
		check_name(name);
		/* A query that is answered by itself, once it says that it is an answer, is. */
		n = ts_dns_write_query(query, 7, name, type, TS_DNS_CLASS_IN);
		check(n == 0 || (ts_dns_query_name(query, n, f.canon) && strcmp(f.canon, name) == 0));
		if (n) {
			uint8_t reply[TS_DNS_QUERY_MAX];

			check(!ts_dns_answers(query, n, query, n));
			memcpy(reply, query, n);
			reply[2] |= 0x80;
			check(ts_dns_answers(reply, n, query, n));
		}
		ts_dns_answers(data, len, query, n);
	}
	n = ts_dns_write_query(query, 0, "db.corp.example", type, TS_DNS_CLASS_IN);
	ts_dns_answers(data, len, query, n);
	ts_dns_answers(query, n, data, len);
	return 0;
}
