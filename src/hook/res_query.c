/* SPDX-License-Identifier: MIT */
/*
 * The resolver calls of resolv.h, which ask DNS for a message and know no /etc/hosts. Questions about the tailnet's
 * names and addresses are answered here; all others are libc's, also those that it would refuse.
 *
 * Each call has a twin with underscores, the name by which programs built before glibc 2.34 know it.
 */
#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "search.h"
#include "split_host.h"
#include "tsproxy/answer.h"
#include "tsproxy/cancel.h"
#include "tsproxy/dns_message.h"
#include "tsproxy/dns_query.h"
#include "tsproxy/guard.h"
#include "tsproxy/hash.h"
#include "tsproxy/name_kind.h"
#include "tsproxy/names.h"
#include "tsproxy/real.h"
#include "tsproxy/res_state.h"

#define EXPORT __attribute__((visibility("default")))
#define LIBRARY "libresolv.so.2"

extern int *__h_errno_location(void) __attribute__((weak));

/* The header that declares them would rename them on some releases. */
#define TS_HOOK(result, name, params) result name params;
#include "../sys/hooks.def"

/* The first of a function and its twin that this process has. */
static const void *pick(const void *function, const void *twin, const char *name, const char *twin_name)
{
	if (ts_real_has(function))
		return function;
	if (ts_real_has(twin))
		return twin;
	function = ts_real_late(LIBRARY, name);
	return function ? function : ts_real_late(LIBRARY, twin_name);
}

#define REAL(name) \
	((__typeof__(ts_real()->name))pick((const void *)ts_real()->name, (const void *)ts_real()->__##name, #name, \
					   "__" #name))
/* Calls the real function; where there is none, nobody can be asked. */
#define CALL(name, ...) \
	({ \
		__typeof__(ts_real()->name) function = REAL(name); \
		function ? function(__VA_ARGS__) : fail(NULL, NO_RECOVERY); \
	})

/* Where the state is not the caller's, libc keeps one a thread. */
static int fail(struct __res_state *state, int why)
{
	if (__h_errno_location)
		*__h_errno_location() = why;
	ts_res_set_error(state, why);
	return -1;
}

/* Whose is the question? NONE: ours, and there is no such name. */
static enum ts_ask ask(const struct ts_dns_question *q, bool search, bool aliases, struct ts_map_answer *a)
{
	uint8_t ip[16];

	if (!ts_dns_reverse(q->name, ip))
		return ts_names_ask_how(q->name, &(struct ts_ask_how){ .search = search, .aliases = aliases }, a);
	return ts_names_ask_addr(ip, false, a);
}

/* The reply to a question of ours, where such fits. Natively what does not is cut off. Its length in `answer`. */
static int reply(const struct ts_dns_question *q, enum ts_ask whose, const struct ts_map_answer *a,
		 unsigned char *answer, int len, int *herr)
{
	uint8_t buf[TS_DNS_REPLY_MAX], ip[16];
	int rcode = whose == TS_ASK_NONE ? TS_DNS_NXDOMAIN : TS_DNS_NOERROR;
	size_t size;
	unsigned count;

	/* Under a reverse zone there are pointers only, and MagicDNS knows of no other name there. */
	if (q->class == TS_DNS_CLASS_IN && ts_dns_reverse(q->name, ip) && q->type != TS_DNS_PTR && q->type != TS_DNS_ANY)
		rcode = TS_DNS_NXDOMAIN;
	size = ts_dns_reply(q, rcode, whose == TS_ASK_FOUND ? a : NULL, buf, &count);
	*herr = rcode == TS_DNS_NXDOMAIN ? HOST_NOT_FOUND : count ? 0 : NO_DATA;
	if (size > (size_t)len)
		size = (size_t)len;
	memcpy(answer, buf, size);
	return (int)size;
}

/* What a call's arguments are: where an answer may go, and what for. */
struct call {
	struct __res_state *state;
	int class, type;
	unsigned char *answer;
	int len;
};

/* What a call says of a name in split DNS. */
static int answer_split(const struct call *c, const char *name, bool search)
{
	int herr = NO_RECOVERY, ret = -1;

	if (c->len >= TS_DNS_HEADER_LEN)
		ret = ts_split_query(name, c->class, c->type, c->answer, c->len, &herr);
	if (ret < 0 && herr == NO_RECOVERY && !ts_libc_is_glibc())
		return -1;	/* musl says nothing of what it cannot ask */
	if (herr)
		return fail(c->state, herr);
	if (search)
		ts_res_set_error(c->state, HOST_NOT_FOUND);	/* as glibc begins, and leaves it */
	return ret;
}

/* Whether libc would ask for such a name, though none of ours can be like that. What it cannot write as labels it refuses. */
static __attribute__((noinline)) bool can_be_asked(const char *name)
{
	uint8_t query[TS_DNS_QUERY_MAX];

	return memchr(name, '\\', strlen(name)) || ts_dns_write_query(query, 0, name, TS_DNS_A, TS_DNS_CLASS_IN) != 0;
}

/* Room for less libc refuses before it asks anybody. */
static int least_answer(void)
{
	return ts_libc_is_glibc() ? TS_DNS_HEADER_LEN : 0;
}

/*
 * Whose a question is, and the answer where it is ours and not split DNS's. TS_ASK_LIBC too where it cannot be answered. Not in
 * answer_query, for its frame.
 */
static __attribute__((noinline)) enum ts_ask answer_own(const struct call *c, const char *name, bool search, int *ret)
{
	struct ts_dns_question q = { .recurse = true };
	bool plain = ts_dns_set_name(&q, name);
	int herr, max = ts_libc_is_glibc() ? 65535 : 255;	/* musl refuses what is above */
	struct ts_map_answer a;
	enum ts_ask whose;

	whose = plain ? ask(&q, search, search && name[strlen(q.name)] == '\0', &a) :
			ts_names_ask_how(name, &(struct ts_ask_how){ .search = search }, &a);
	if (whose == TS_ASK_LIBC || whose == TS_ASK_SPLIT)
		return whose;
	if (c->len < least_answer() || c->class < 0 || c->class > max || c->type < 0 || c->type > max || (!plain && !can_be_asked(name)))
		return TS_ASK_LIBC;
	if (!plain) {
		*ret = fail(c->state, HOST_NOT_FOUND);
		return whose;
	}
	q.id = (uint16_t)(uintptr_t)&q ^ (uint16_t)ts_fnv64(TS_FNV64_INIT, q.name, strlen(q.name));
	q.class = (uint16_t)c->class;
	q.type = (uint16_t)c->type;
	/* Found by searching: the question that was asked is for the full name. */
	if (whose == TS_ASK_FOUND && ts_name_is_short(q.name, strlen(q.name)) && !ts_dns_set_name(&q, a.canon))
		return TS_ASK_LIBC;
	*ret = reply(&q, whose, &a, c->answer, c->len, &herr);
	if (herr)
		*ret = fail(c->state, herr);
	else if (search)
		ts_res_set_error(c->state, HOST_NOT_FOUND);	/* as glibc begins, and leaves it */
	return whose;
}

/* Answers a question of ours; false: it is libc's. */
static bool answer_query(const struct call *c, const char *name, bool search, int *ret)
{
	enum ts_ask whose;

	if (!ts_enabled() || !name)
		return false;
	whose = answer_own(c, name, search, ret);
	if (whose == TS_ASK_SPLIT)
		*ret = answer_split(c, name, search);
	return whose != TS_ASK_LIBC;
}

#define WHOLE_MAX (4 * TS_NAME_MAX + 2)	/* each letter as \\DDD */

struct parts {
	const struct call *c;
	const char *name, *domain;
	int *ret;
	bool ours;
};

static void answer_whole(void *memory, void *arg)
{
	struct parts *p = arg;
	char *whole = memory;
	size_t len = strlen(p->name);

	memcpy(whole, p->name, len + 1);
	if (p->domain) {
		whole[len] = '.';
		memcpy(whole + len + 1, p->domain, strlen(p->domain) + 1);
	}
	p->ours = answer_query(p->c, whole, false, p->ret);
}

/* As answer_query, for a name in two parts. */
static bool answer_domain(const struct call *c, const char *name, const char *domain, int *ret)
{
	struct parts p = { c, name, domain, ret, false };

	if (!name || strlen(name) + 1 + (domain ? strlen(domain) : 0) >= WHOLE_MAX)
		return false;
	if (ts_cancel_scratch(WHOLE_MAX, answer_whole, &p))
		return p.ours;
	*ret = fail(c->state, NETDB_INTERNAL);
	return true;
}

/* As answer_own, of a message with a question for `name`. */
static __attribute__((noinline)) enum ts_ask answer_own_message(const char *name, const unsigned char *query, int query_len,
								unsigned char *answer, int len, int *ret)
{
	struct ts_dns_question q;
	bool plain = ts_dns_read(query, (size_t)query_len, &q);
	struct ts_map_answer a;
	enum ts_ask whose = plain ? ask(&q, false, false, &a) : ts_names_ask_how(name, &(struct ts_ask_how){ .search = false }, &a);
	int herr;

	if (whose == TS_ASK_LIBC || whose == TS_ASK_SPLIT)
		return whose;
	if (len < least_answer())
		return TS_ASK_LIBC;
	if (!plain) {
		ts_errno = ECONNREFUSED;
		*ret = -1;
		return whose;
	}
	*ret = reply(&q, whose, &a, answer, len, &herr);
	return whose;
}

static bool answer_message(const unsigned char *query, int query_len, unsigned char *answer, int len, int *ret)
{
	char name[TS_NAME_MAX + 1];
	enum ts_ask whose;

	if (!ts_enabled() || !query || query_len < 12 || !ts_dns_query_name(query, (size_t)query_len, name))
		return false;
	whose = answer_own_message(name, query, query_len, answer, len, ret);
	if (whose == TS_ASK_SPLIT)
		*ret = ts_split_send(name, query, query_len, answer, len);
	return whose != TS_ASK_LIBC;
}

EXPORT int res_query(const char *name, int class, int type, unsigned char *answer, int len)
{
	int ret;

	if (answer_query(&(struct call){ NULL, class, type, answer, len }, name, false, &ret))
		return ret;
	return CALL(res_query, name, class, type, answer, len);
}

EXPORT int res_search(const char *name, int class, int type, unsigned char *answer, int len)
{
	int ret;

	/* musl's does not search. */
	if (answer_query(&(struct call){ NULL, class, type, answer, len }, name, ts_libc_is_glibc(), &ret))
		return ret;
	if (ts_libc_is_glibc() && ts_search_query(NULL, name, class, type, answer, len, &ret))
		return ret;
	return CALL(res_search, name, class, type, answer, len);
}

EXPORT int res_querydomain(const char *name, const char *domain, int class, int type, unsigned char *answer, int len)
{
	int ret;

	if (answer_domain(&(struct call){ NULL, class, type, answer, len }, name, domain, &ret))
		return ret;
	return CALL(res_querydomain, name, domain, class, type, answer, len);
}

EXPORT int res_send(const unsigned char *query, int query_len, unsigned char *answer, int len)
{
	int ret;

	if (answer_message(query, query_len, answer, len, &ret))
		return ret;
	return CALL(res_send, query, query_len, answer, len);
}

EXPORT int res_nquery(struct __res_state *state, const char *name, int class, int type, unsigned char *answer, int len)
{
	int ret;

	if (answer_query(&(struct call){ state, class, type, answer, len }, name, false, &ret))
		return ret;
	return CALL(res_nquery, state, name, class, type, answer, len);
}

EXPORT int res_nsearch(struct __res_state *state, const char *name, int class, int type, unsigned char *answer, int len)
{
	int ret;

	if (answer_query(&(struct call){ state, class, type, answer, len }, name, true, &ret))
		return ret;
	if (ts_search_query(state, name, class, type, answer, len, &ret))
		return ret;
	return CALL(res_nsearch, state, name, class, type, answer, len);
}

EXPORT int res_nquerydomain(struct __res_state *state, const char *name, const char *domain, int class, int type,
			    unsigned char *answer, int len)
{
	int ret;

	if (answer_domain(&(struct call){ state, class, type, answer, len }, name, domain, &ret))
		return ret;
	return CALL(res_nquerydomain, state, name, domain, class, type, answer, len);
}

EXPORT int res_nsend(struct __res_state *state, const unsigned char *query, int query_len, unsigned char *answer,
		     int len)
{
	int ret;

	if (answer_message(query, query_len, answer, len, &ret))
		return ret;
	return CALL(res_nsend, state, query, query_len, answer, len);
}

#define TWIN(name) EXPORT __typeof__(name) __##name __attribute__((alias(#name)));

TWIN(res_query)
TWIN(res_search)
TWIN(res_querydomain)
TWIN(res_send)
TWIN(res_nquery)
TWIN(res_nsearch)
TWIN(res_nquerydomain)
TWIN(res_nsend)
