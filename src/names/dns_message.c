/* SPDX-License-Identifier: MIT */
/*
 * Questions and replies of DNS. A reply is what a server says that has the tailnet's names: authoritative, the letters
 * as they were asked, the question's name compressed away, 600 s to live as MagicDNS has it.
 */
#include "tsproxy/dns_message.h"

#include <string.h>

#include "tsproxy/buf.h"
#include "tsproxy/name_kind.h"

#define HEADER_LEN 12
#define TTL_S 600
#define LABEL_MAX 63
#define QUESTION_NAME 0xc00c	/* a pointer to the name behind the header */

enum { FLAG_QR = 0x8000, OPCODE_MASK = 0x7800, FLAG_AA = 0x0400, FLAG_RD = 0x0100, FLAG_RA = 0x0080 };

static bool is_host_byte(char c)
{
	c = ts_name_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool ts_dns_set_name(struct ts_dns_question *q, const char *name)
{
	size_t len = strlen(name), label = 0;

	if (len && name[len - 1] == '.')
		len--;
	if (len > TS_NAME_MAX)
		return false;
	for (size_t i = 0; i <= len; i++) {
		if (i < len && name[i] != '.') {
			if (!is_host_byte(name[i]) || ++label > LABEL_MAX)
				return false;
		} else if (label == 0 && len) {
			return false;
		} else {
			label = 0;
		}
	}
	memcpy(q->name, name, len);
	q->name[len] = '\0';
	return true;
}

/* A name without compression, which a question's has no use for. */
static bool read_name(struct ts_rd *r, char out[TS_NAME_MAX + 1])
{
	size_t len = 0;

	for (;;) {
		uint8_t n = ts_rd_u8(r);
		const uint8_t *label = n <= LABEL_MAX ? ts_rd_bytes(r, n) : NULL;

		if (!label || len + n + 1 > TS_NAME_MAX + 1)
			return false;
		if (n == 0)
			break;
		for (uint8_t i = 0; i < n; i++) {
			if (!is_host_byte((char)label[i]))
				return false;
			out[len++] = (char)label[i];
		}
		out[len++] = '.';
	}
	out[len ? len - 1 : 0] = '\0';
	return !r->bad;
}

bool ts_dns_read(const uint8_t *msg, size_t len, struct ts_dns_question *out)
{
	struct ts_rd r = ts_rd_over(msg, len);
	uint16_t flags, questions, answers, authority;

	out->id = ts_rd_be16(&r);
	flags = ts_rd_be16(&r);
	questions = ts_rd_be16(&r);
	answers = ts_rd_be16(&r);
	authority = ts_rd_be16(&r);
	ts_rd_be16(&r);	/* what comes with the question (EDNS0) changes nothing */
	if (r.bad || flags & (FLAG_QR | OPCODE_MASK) || questions != 1 || answers || authority)
		return false;
	out->recurse = flags & FLAG_RD;
	if (!read_name(&r, out->name))
		return false;
	out->type = ts_rd_be16(&r);
	out->class = ts_rd_be16(&r);
	return !r.bad;
}

static void write_name(struct ts_wr *w, const char *name)
{
	while (*name) {
		size_t n = 0;

		while (name[n] && name[n] != '.')
			n++;
		ts_wr_u8(w, (uint8_t)n);
		ts_wr_bytes(w, name, n);
		name += n + (name[n] == '.');
	}
	ts_wr_u8(w, 0);
}

static void write_head(struct ts_wr *w, uint16_t type, uint16_t len)
{
	ts_wr_be16(w, QUESTION_NAME);
	ts_wr_be16(w, type);
	ts_wr_be16(w, TS_DNS_CLASS_IN);
	ts_wr_be16(w, 0);
	ts_wr_be16(w, TTL_S);
	ts_wr_be16(w, len);
}

static unsigned write_addrs(struct ts_wr *w, const struct ts_dns_question *q, const struct ts_map_answer *a)
{
	unsigned count = 0;

	for (unsigned i = 0; i < a->count; i++) {
		bool four = ts_ip_is4(a->ip[i]);
		uint16_t type = four ? TS_DNS_A : TS_DNS_AAAA, size = four ? 4 : 16;

		if (q->type != type && q->type != TS_DNS_ANY)
			continue;
		write_head(w, type, size);
		ts_wr_bytes(w, a->ip[i] + 16 - size, size);
		count++;
	}
	return count;
}

static unsigned write_ptr(struct ts_wr *w, const struct ts_dns_question *q, const struct ts_map_answer *a)
{
	if (q->type != TS_DNS_PTR && q->type != TS_DNS_ANY)
		return 0;
	write_head(w, TS_DNS_PTR, (uint16_t)(strlen(a->canon) + 2));
	write_name(w, a->canon);
	return 1;
}

size_t ts_dns_reply(const struct ts_dns_question *q, int rcode, const struct ts_map_answer *a,
		    uint8_t out[TS_DNS_REPLY_MAX], unsigned *count)
{
	struct ts_wr w = ts_wr_over(out, TS_DNS_REPLY_MAX), head = ts_wr_over(out, HEADER_LEN);
	uint8_t ip[16];

	memset(out, 0, HEADER_LEN);
	w.len = HEADER_LEN;
	write_name(&w, q->name);
	ts_wr_be16(&w, q->type);
	ts_wr_be16(&w, q->class);
	*count = 0;
	if (a && rcode == TS_DNS_NOERROR && q->class == TS_DNS_CLASS_IN)
		*count = ts_dns_reverse(q->name, ip) ? write_ptr(&w, q, a) : write_addrs(&w, q, a);
	ts_wr_be16(&head, q->id);
	ts_wr_be16(&head, (uint16_t)(FLAG_QR | FLAG_RA | (*count ? FLAG_AA : 0) | (q->recurse ? FLAG_RD : 0) | rcode));
	ts_wr_be16(&head, 1);
	ts_wr_be16(&head, (uint16_t)*count);
	return w.len;
}

/* The text before the last dots where `name` ends with `zone`, any case; else 0. */
static size_t under_zone(const char *name, const char *zone)
{
	size_t len = strlen(name), n = strlen(zone);

	if (len && name[len - 1] == '.')
		len--;
	if (len <= n)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (ts_name_lower(name[len - n + i]) != zone[i])
			return 0;
	return len - n;
}

static bool reverse4(const char *name, size_t len, uint8_t ip[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	int at = 15;

	memcpy(ip, mapped, sizeof(mapped));
	for (size_t i = 0; i < len; i++) {
		unsigned v = 0, digits = 0;

		for (; i < len && name[i] >= '0' && name[i] <= '9' && digits < 4; i++, digits++)
			v = v * 10 + (unsigned)(name[i] - '0');
		if (digits == 0 || digits > 3 || v > 255 || at < 12 || (i < len && name[i] != '.'))
			return false;
		ip[at--] = (uint8_t)v;
	}
	return at == 11;
}

static bool reverse6(const char *name, size_t len, uint8_t ip[16])
{
	if (len != 63)
		return false;
	memset(ip, 0, 16);
	for (unsigned i = 0; i < 32; i++) {
		char c = ts_name_lower(name[2 * i]);
		unsigned v = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 16;

		if (v > 15 || (i < 31 && name[2 * i + 1] != '.'))
			return false;
		ip[15 - i / 2] |= (uint8_t)(v << (i & 1 ? 4 : 0));
	}
	return true;
}

bool ts_dns_reverse(const char *name, uint8_t ip[16])
{
	size_t len = under_zone(name, ".in-addr.arpa");

	if (len)
		return reverse4(name, len, ip);
	len = under_zone(name, ".ip6.arpa");
	return len && reverse6(name, len, ip);
}
