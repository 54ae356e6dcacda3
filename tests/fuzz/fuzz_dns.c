/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a DNS query, and the reply to what is one. A question that was read is written in the reply as it was
 * asked; a reply is never longer than said.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tsproxy/dns_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool right)
{
	if (!right)
		abort();
}

static void reply(const struct ts_dns_question *q, int rcode, const struct ts_map_answer *a, const uint8_t *query)
{
	uint8_t out[TS_DNS_REPLY_MAX];
	unsigned count;
	size_t n = ts_dns_reply(q, rcode, a, out, &count), name = strlen(q->name);

	check(n >= 12 + (name ? name + 2 : 1) + 4 && n <= sizeof(out));
	check(memcmp(out, query, 2) == 0 && (out[3] & 15) == rcode);
	check(memcmp(out + 12, query + 12, (name ? name + 2 : 1) + 4) == 0);
	check(count == (unsigned)(out[6] << 8 | out[7]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct ts_map_answer full, none;
	struct ts_dns_question q, again;
	uint8_t ip[16];
	char *text = malloc(len + 1);

	if (!text)
		return 0;
	full.count = TS_ANSWER_ADDRS_MAX;
	memset(full.canon, 'a', TS_NAME_MAX);
	for (size_t i = 63; i < TS_NAME_MAX; i += 64)
		full.canon[i] = '.';
	if (ts_dns_read(data, len, &q)) {
		check(ts_dns_set_name(&again, q.name) && strcmp(again.name, q.name) == 0);
		reply(&q, TS_DNS_NOERROR, &full, data);
		reply(&q, TS_DNS_NOERROR, &none, data);
		reply(&q, TS_DNS_NXDOMAIN, NULL, data);
		ts_dns_reverse(q.name, ip);
	}
	memcpy(text, data, len);
	text[len] = '\0';
	ts_dns_reverse(text, ip);
	if (ts_dns_set_name(&q, text))
		check(strlen(q.name) <= TS_NAME_MAX);
	free(text);
	return 0;
}
