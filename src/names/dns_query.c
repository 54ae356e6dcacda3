/* SPDX-License-Identifier: MIT */
/*
 * Questions, and what servers answer: see dns_query.h.
 *
 * A reply is read once from its start to its end through the bounded cursor. Names may point back into the message (RFC 1035, 4.1.4):
 * a pointer must point before the place where the name began so far, so every one leads further back and none can go in circles.
 */
#include "tsproxy/dns_query.h"

#include <string.h>

#include "tsproxy/buf.h"
#include "tsproxy/dns_message.h"
#include "tsproxy/name_kind.h"

#define LABEL_MAX 63
#define WIRE_NAME_MAX 255
#define POINTER 0xc0

enum { FLAG_QR = 0x8000, OPCODE_MASK = 0x7800, FLAG_RD = 0x0100, RCODE_MASK = 15 };

size_t ts_dns_reverse_name(const uint8_t ip[16], char out[TS_DNS_REVERSE_MAX])
{
	struct ts_wr w = ts_wr_over(out, TS_DNS_REVERSE_MAX);

	if (ts_ip_is4(ip)) {
		for (int i = 15; i >= 12; i--) {
			ts_wr_dec(&w, ip[i]);
			ts_wr_u8(&w, '.');
		}
		ts_wr_str(&w, "in-addr.arpa");
	} else {
		for (int i = 31; i >= 0; i--) {
			ts_wr_u8(&w, (uint8_t)"0123456789abcdef"[ip[i / 2] >> (i & 1 ? 0 : 4) & 15]);
			ts_wr_u8(&w, '.');
		}
		ts_wr_str(&w, "ip6.arpa");
	}
	ts_wr_end(&w);
	return w.len;
}

size_t ts_dns_write_query(uint8_t out[TS_DNS_QUERY_MAX], uint16_t id, const char *name, uint16_t type, uint16_t class)
{
	struct ts_wr w = ts_wr_over(out, TS_DNS_QUERY_MAX);
	size_t len = strlen(name);

	if (len && name[len - 1] == '.')
		len--;
	if (len > TS_NAME_MAX || memchr(name, '\\', len))
		return 0;
	ts_wr_be16(&w, id);
	ts_wr_be16(&w, FLAG_RD);
	ts_wr_be16(&w, 1);
	ts_wr_bytes(&w, "\0\0\0\0\0", 6);
	while (len) {
		const char *dot = memchr(name, '.', len);
		size_t n = dot ? (size_t)(dot - name) : len;

		if (n == 0 || n > LABEL_MAX || n + 1 == len)
			return 0;
		ts_wr_u8(&w, (uint8_t)n);
		ts_wr_bytes(&w, name, n);
		name += n + (dot != NULL);
		len -= n + (dot != NULL);
	}
	ts_wr_u8(&w, 0);
	ts_wr_be16(&w, type);
	ts_wr_be16(&w, class);
	return w.bad ? 0 : w.len;
}

/* A byte that stands in text for itself alone. */
static bool is_plain(uint8_t c)
{
	return c > ' ' && c < 0x7f && c != '.' && c != '\\';
}

/*
 * Reads a name at the cursor, which ends behind it. `whole`: the message, for pointers. Bytes that are not plain become `odd`. False where
 * it is none.
 */
static bool read_name(struct ts_rd *r, const uint8_t *whole, size_t whole_len, char odd, char out[TS_NAME_MAX + 1])
{
	size_t start = (size_t)(r->p - whole), wire = 0, len = 0;
	struct ts_rd at = *r;
	bool jumped = false;

	for (;;) {
		uint8_t n = ts_rd_u8(&at);
		const uint8_t *label;

		if (n >= POINTER) {
			size_t to = (size_t)(n & ~POINTER) << 8 | ts_rd_u8(&at);

			if (at.bad || to >= start || to >= whole_len)
				return false;
			if (!jumped)
				*r = at;
			jumped = true;
			start = to;
			at = ts_rd_over(whole + to, whole_len - to);
			continue;
		}
		label = n <= LABEL_MAX ? ts_rd_bytes(&at, n) : NULL;
		wire += (size_t)n + 1;
		/* The root label still has to fit behind this one. */
		if (!label || at.bad || wire + (n != 0) > WIRE_NAME_MAX)
			return false;
		if (n == 0)
			break;
		for (uint8_t i = 0; i < n; i++)
			out[len++] = is_plain(label[i]) ? (char)label[i] : odd;
		out[len++] = '.';
	}
	out[len ? len - 1 : 0] = '\0';
	if (!jumped)
		*r = at;
	return true;
}

bool ts_dns_query_name(const uint8_t *msg, size_t len, char out[TS_NAME_MAX + 1])
{
	struct ts_rd r = ts_rd_over(msg, len);
	uint16_t flags, questions;

	ts_rd_be16(&r);
	flags = ts_rd_be16(&r);
	questions = ts_rd_be16(&r);
	ts_rd_bytes(&r, 6);
	return !r.bad && !(flags & (FLAG_QR | OPCODE_MASK)) && questions == 1 && read_name(&r, msg, len, '.', out) &&
	       ts_rd_bytes(&r, 4);
}

int ts_dns_rcode(const uint8_t *msg)
{
	return msg[3] & RCODE_MASK;
}

unsigned ts_dns_answer_count(const uint8_t *msg)
{
	return (unsigned)(msg[6] << 8 | msg[7]);
}

static bool same_name(const char *a, const char *b)
{
	while (*a && ts_name_lower(*a) == ts_name_lower(*b)) {
		a++;
		b++;
	}
	return *a == *b;
}

/* The question's name, with the cursor behind its type and class, which are in *kind. */
static bool read_question(struct ts_rd *r, const uint8_t *msg, size_t len, char name[TS_NAME_MAX + 1], uint32_t *kind)
{
	bool ok = read_name(r, msg, len, '\001', name);

	*kind = (uint32_t)ts_rd_be16(r) << 16;
	*kind |= ts_rd_be16(r);
	return ok && !r->bad;
}

bool ts_dns_answers(const uint8_t *reply, size_t len, const uint8_t *query, size_t query_len)
{
	char asked[TS_NAME_MAX + 1], said[TS_NAME_MAX + 1];
	struct ts_rd r, q;
	uint32_t asked_kind, said_kind;

	if (len < TS_DNS_HEADER_LEN || query_len < TS_DNS_HEADER_LEN || memcmp(reply, query, 2) != 0 || !(reply[2] & 0x80))
		return false;
	/* Who did not understand the question may leave it out. */
	if (reply[4] == 0 && reply[5] == 0)
		return ts_dns_rcode(reply) != TS_DNS_NOERROR && ts_dns_rcode(reply) != TS_DNS_NXDOMAIN;
	r = ts_rd_over(reply + TS_DNS_HEADER_LEN, len - TS_DNS_HEADER_LEN);
	q = ts_rd_over(query + TS_DNS_HEADER_LEN, query_len - TS_DNS_HEADER_LEN);
	return reply[4] == 0 && reply[5] == 1 && read_question(&r, reply, len, said, &said_kind) &&
	       read_question(&q, query, query_len, asked, &asked_kind) && said_kind == asked_kind && same_name(said, asked);
}

/* What libc takes for a host's name (res_hnok). */
static bool is_host(const char *s)
{
	if (*s == '-')
		return false;
	for (; *s; s++) {
		char c = ts_name_lower(*s);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
			return false;
	}
	return true;
}

struct record {
	char owner[TS_NAME_MAX + 1];
	uint16_t type, class, len;
	uint32_t ttl;
	struct ts_rd data;
};

static bool read_record(struct ts_rd *r, const uint8_t *msg, size_t len, struct record *out)
{
	const uint8_t *data;

	if (!read_name(r, msg, len, '\001', out->owner))
		return false;
	out->type = ts_rd_be16(r);
	out->class = ts_rd_be16(r);
	out->ttl = (uint32_t)ts_rd_be16(r) << 16;
	out->ttl |= ts_rd_be16(r);
	if (out->ttl > INT32_MAX)
		out->ttl = 0;	/* RFC 2181, 8 */
	out->len = ts_rd_be16(r);
	data = ts_rd_bytes(r, out->len);
	out->data = ts_rd_over(data, data ? out->len : 0);
	return data != NULL;
}

static void hold(struct ts_dns_found *f, uint32_t ttl)
{
	if (ttl < f->ttl_s)
		f->ttl_s = ttl;
}

/* The name in a record's data, where it is a host's. */
static bool read_target(const struct record *rec, const uint8_t *msg, size_t len, char out[TS_NAME_MAX + 1])
{
	struct ts_rd r = rec->data;

	return read_name(&r, msg, len, '\001', out) && out[0] && is_host(out);
}

/* Of several names of one address libc takes the first. */
static void take_name(struct ts_dns_found *f, const char *name)
{
	if (f->count++ == 0)
		memcpy(f->canon, name, strlen(name) + 1);
}

static void take_address(struct ts_dns_found *f, struct record *rec)
{
	size_t size = rec->type == TS_DNS_A ? 4 : 16;
	const uint8_t *p = rec->len == size ? ts_rd_bytes(&rec->data, size) : NULL;
	struct ts_addr a;

	if (!p || f->count == TS_DNS_ADDRS_MAX)
		return;
	if (size == 4)
		ts_addr_set4(&a, p, 0);
	else
		ts_addr_set6(&a, p, 0);
	memcpy(f->ip[f->count++], a.ip, sizeof(a.ip));
}

/* Of the records, libc follows aliases in the order in which they come, and takes what the last of them has. */
static bool take_answer(struct ts_dns_found *f, struct record *rec, char expected[TS_NAME_MAX + 1], uint16_t type,
			const uint8_t *msg, size_t len)
{
	char target[TS_NAME_MAX + 1];

	if (rec->class != TS_DNS_CLASS_IN || !same_name(rec->owner, expected) || (rec->type != type && rec->type != TS_DNS_CNAME))
		return true;
	if (rec->type == TS_DNS_CNAME && type == TS_DNS_PTR) {	/* RFC 2317 */
		struct ts_rd r = rec->data;

		if (!read_name(&r, msg, len, '\001', target))
			return false;
	} else if (rec->type != TS_DNS_A && rec->type != TS_DNS_AAAA && !read_target(rec, msg, len, target)) {
		return true;
	}
	hold(f, rec->ttl);
	if (rec->type == TS_DNS_PTR) {
		take_name(f, target);
	} else if (rec->type != TS_DNS_CNAME) {
		if (f->count == 0)
			memcpy(f->canon, expected, sizeof(f->canon));
		take_address(f, rec);
	} else {
		if (type != TS_DNS_PTR && f->alias_count < TS_DNS_ALIASES_MAX)
			memcpy(f->alias[f->alias_count++], rec->owner, sizeof(rec->owner));
		memcpy(expected, target, sizeof(target));
	}
	return true;
}

/* How long it holds that there is nothing: the lesser of the zone's minimum and of its record's own time. */
static void take_authority(struct ts_dns_found *f, struct record *rec)
{
	const uint8_t *end;

	if (rec->type != TS_DNS_SOA || rec->len < 4)
		return;
	ts_rd_bytes(&rec->data, rec->len - 4u);
	end = ts_rd_bytes(&rec->data, 4);
	f->ttl_s = rec->ttl;
	hold(f, (uint32_t)end[0] << 24 | (uint32_t)end[1] << 16 | (uint32_t)end[2] << 8 | end[3]);
}

bool ts_dns_read_reply(const uint8_t *msg, size_t len, uint16_t type, struct ts_dns_found *out)
{
	char expected[TS_NAME_MAX + 1] = "";
	struct ts_rd r = ts_rd_over(msg, len);
	unsigned questions, answers, authority;
	struct record rec;
	uint32_t kind;

	out->count = out->alias_count = 0;
	out->canon[0] = '\0';
	out->ttl_s = UINT32_MAX;
	ts_rd_be16(&r);
	out->rcode = ts_rd_be16(&r) & RCODE_MASK;
	questions = ts_rd_be16(&r);
	answers = ts_rd_be16(&r);
	authority = ts_rd_be16(&r);
	ts_rd_be16(&r);
	if (r.bad || questions > 1 || (questions && !read_question(&r, msg, len, expected, &kind)))
		return false;
	for (unsigned i = 0; i < answers; i++)
		if (!read_record(&r, msg, len, &rec) || !take_answer(out, &rec, expected, type, msg, len))
			return false;
	if (out->count)
		return true;
	out->ttl_s = 0;
	/* That nothing is there has been said by then; what is wrong behind it costs only the time. */
	for (unsigned i = 0; i < authority && out->ttl_s == 0 && read_record(&r, msg, len, &rec); i++)
		take_authority(out, &rec);
	return true;
}
