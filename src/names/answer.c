/* SPDX-License-Identifier: MIT */
/*
 * Builds the structures that resolver calls return.
 *
 * Services, socket types and protocols are libc's business: the real getaddrinfo is called on each numeric address,
 * and what it gives is put together. glibc's nodes are single allocations, which may be linked into one list and are
 * freed by its own freeaddrinfo. musl's are elements of one array with a count, which may not: there the list is one
 * block of ours that the hooked freeaddrinfo knows again by a mark behind its nodes. (A node of musl's has a socket
 * address in that place, which cannot begin like the mark.)
 */
#include "tsproxy/answer.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "tsproxy/guard.h"
#include "tsproxy/names.h"
#include "tsproxy/real.h"
#include "tsproxy/scratch.h"

#define NODE_MARK 0x6b72616d79786f72ull	/* its first two bytes are no address family */

/* The program's: libc frees a canonical name through the same symbol, which the program may have replaced. */
extern void *malloc(size_t size);
extern void free(void *p);
/* glibc alone has it. */
extern const char *gnu_get_libc_version(void) __attribute__((weak));

bool ts_libc_is_glibc(void)
{
	return gnu_get_libc_version != NULL;
}

struct block {
	size_t left;	/* nodes not freed yet: a caller may free a list in parts */
	char canon[TS_NAME_MAX + 1];
};

struct node {
	struct addrinfo ai;
	uint64_t mark;
	struct block *block;
	struct sockaddr_storage addr;
};

static struct addrinfo *last_of(struct addrinfo *ai)
{
	while (ai->ai_next)
		ai = ai->ai_next;
	return ai;
}

struct addrinfo ts_answer_hints(const struct addrinfo *hints)
{
	if (!hints)
		return (struct addrinfo){ .ai_flags = ts_libc_is_glibc() ? AI_V4MAPPED | AI_ADDRCONFIG : 0 };
	return (struct addrinfo){ .ai_flags = hints->ai_flags, .ai_family = hints->ai_family, .ai_socktype = hints->ai_socktype,
				  .ai_protocol = hints->ai_protocol };
}

/*
 * Hints for the numeric call: no lookup, and no canonical name, which would be the number. musl refuses the flags for IDN, and takes a
 * family for configured that loopback has.
 */
static struct addrinfo numeric_hints(const struct addrinfo *h)
{
	struct addrinfo n = *h;

	n.ai_flags &= ~(AI_CANONNAME | (ts_libc_is_glibc() ? AI_ADDRCONFIG | AI_IDN | AI_CANONIDN : 0));
	n.ai_flags |= AI_NUMERICHOST;
	return n;
}

struct plan {
	unsigned count;
	uint8_t index[TS_ANSWER_ADDRS_MAX];
};

static void plan_family(struct plan *p, const struct ts_map_answer *a, bool four)
{
	for (unsigned i = 0; i < a->count; i++)
		if (ts_ip_is4(a->ip[i]) == four)
			p->index[p->count++] = (uint8_t)i;
}

static bool has6(const struct ts_map_answer *a)
{
	return a->count && !ts_ip_is4(a->ip[a->count - 1]);
}

/* Both are there: the answer's first address is the IPv4 one, and its last the other. */
static bool six_first(const struct ts_map_answer *a, bool mapped)
{
	int order = has6(a) && ts_ip_is4(a->ip[0]) ? ts_gai_compare(a->ip[a->count - 1], a->ip[0]) : 1;

	/* Of equals the resolver's first: it has asked for IPv4 first, unless IPv6 is what was wanted. */
	return order > 0 || (order == 0 && mapped);
}

/*
 * Which addresses, and in which order. As natively by RFC 6724: IPv6 first where this node has such an address in the
 * tailnet, and gai.conf(5) does not say otherwise; musl keeps IPv4 first. AI_ADDRCONFIG counts the families of this node in the tailnet as configured.
 */
static int plan_answer(struct plan *p, const struct ts_map_answer *a, const struct addrinfo *h)
{
	struct ts_addr own;
	bool own4 = ts_live_own_addr(AF_INET, &own) == 1, own6 = ts_live_own_addr(AF_INET6, &own) == 1;
	bool known = own4 || own6, mapped, want4, want6, first6;

	mapped = h->ai_family == AF_INET6 && h->ai_flags & AI_V4MAPPED;
	want4 = h->ai_family != AF_INET6 || mapped;
	want6 = h->ai_family != AF_INET;
	if (h->ai_flags & AI_ADDRCONFIG && known && ts_libc_is_glibc()) {
		if (h->ai_family == AF_INET ? !own4 : h->ai_family == AF_INET6 && !own6)
			return EAI_NONAME;
		want4 = want4 && (own4 || mapped);
		want6 = want6 && own6;
	}
	p->count = 0;
	first6 = want6 && ts_libc_is_glibc() && (own6 || (mapped && !own4)) && six_first(a, mapped);
	if (first6)
		plan_family(p, a, false);
	if (want4 && !(mapped && !(h->ai_flags & AI_ALL) && has6(a)))
		plan_family(p, a, true);
	if (want6 && !first6)
		plan_family(p, a, false);
	return p->count ? 0 : EAI_NODATA;
}

static int numeric_call(const uint8_t ip[16], const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	char text[TS_ADDR_TEXT_MAX];

	ts_ip_format(ip, text);
	return ts_real()->getaddrinfo(text, service, hints, res);
}

int ts_answer_no_addrinfo(const char *service, const struct addrinfo *hints, int error)
{
	static const uint8_t loopback[2][16] = { { [10] = 0xff, 0xff, 127, 0, 0, 1 }, { [15] = 1 } };
	struct addrinfo h = ts_answer_hints(hints), n = numeric_hints(&h), *res;
	int six = h.ai_family == AF_INET6, ret = numeric_call(loopback[six], service, &n, &res);

	if (ret)
		return ret;
	ts_real()->freeaddrinfo(res);
	if (error != EAI_NODATA || ts_libc_is_glibc())
		return error;
	/* musl's versions differ in how they say this; they say it of a number of the other family just so. */
	n.ai_family = six ? AF_INET6 : AF_INET;
	n.ai_flags &= ~AI_V4MAPPED;
	ret = numeric_call(loopback[!six], service, &n, &res);
	if (ret == 0)
		ts_real()->freeaddrinfo(res);
	return ret ? ret : error;
}

/* A copy of the canonical name, in the user's own letters where AI_CANONIDN asks for that and it can be. */
static int canonical(const char *name, int flags, char **out)
{
	int ret = EAI_IDN_ENCODE;

	if (flags & AI_CANONIDN && ts_real_has((const void *)ts_real()->__idna_from_dns_encoding))
		ret = ts_real()->__idna_from_dns_encoding(name, out);
	if (ret != EAI_IDN_ENCODE)
		return ret;
	*out = malloc(strlen(name) + 1);
	if (!*out)
		return EAI_MEMORY;
	memcpy(*out, name, strlen(name) + 1);
	return 0;
}

/* glibc: one list of all; the canonical name goes to its first node. */
static int link_lists(struct addrinfo **lists, unsigned count, const struct addrinfo *h, const char *canon)
{
	struct addrinfo *first = lists[0];
	int ret;

	for (unsigned i = 1; i < count; i++)
		last_of(lists[i - 1])->ai_next = lists[i];
	for (struct addrinfo *ai = first; ai; ai = ai->ai_next)
		ai->ai_flags = h->ai_flags;
	if (!(h->ai_flags & AI_CANONNAME))
		return 0;
	ret = canonical(canon, h->ai_flags, &first->ai_canonname);
	if (ret)
		ts_real()->freeaddrinfo(first);
	return ret;
}

/*
 * musl: copies all nodes into one block. The lists are freed. It gives each node of a name the canonical name, asked
 * or not.
 */
static int copy_lists(struct addrinfo **lists, unsigned count, const char *canon)
{
	const size_t head = (sizeof(struct block) + 15) & ~(size_t)15;
	struct node *nodes, *n;
	struct block *block;
	size_t total = 0;

	for (unsigned i = 0; i < count; i++)
		for (struct addrinfo *ai = lists[i]; ai; ai = ai->ai_next)
			total++;
	block = malloc(head + total * sizeof(*nodes));
	nodes = n = block ? (struct node *)((char *)block + head) : NULL;
	if (block) {
		block->left = total;
		memcpy(block->canon, canon, strlen(canon) + 1);
	}
	for (unsigned i = 0; i < count; i++) {
		for (struct addrinfo *ai = lists[i]; n && ai; ai = ai->ai_next, n++) {
			n->ai = *ai;
			n->mark = NODE_MARK;
			n->block = block;
			memset(&n->addr, 0, sizeof(n->addr));
			memcpy(&n->addr, ai->ai_addr, ai->ai_addrlen);
			n->ai.ai_addr = (struct sockaddr *)&n->addr;
			n->ai.ai_canonname = block->canon;
			n->ai.ai_next = n + 1 < nodes + total ? &n[1].ai : NULL;
		}
		ts_real()->freeaddrinfo(lists[i]);
	}
	lists[0] = &nodes->ai;
	return block ? 0 : EAI_MEMORY;
}

int ts_answer_addrinfo_of(const uint8_t (*ip)[16], unsigned count, const char *canon, const char *service,
			  const struct addrinfo *hints, struct addrinfo **res)
{
	struct addrinfo h = ts_answer_hints(hints), n = numeric_hints(&h), **lists;
	unsigned made = 0;
	int ret = 0, err;

	lists = ts_scratch_get(TS_ANSWER_LIST_MAX * sizeof(*lists));
	if (!lists)
		return EAI_MEMORY;
	for (unsigned i = 0; i < count && i < TS_ANSWER_LIST_MAX; i++) {
		err = numeric_call(ip[i], service, &n, &lists[made]);
		if (err == 0)
			made++;
		else if (ret == 0)
			ret = err;
	}
	if (made)
		ret = ts_libc_is_glibc() ? link_lists(lists, made, &h, canon) : copy_lists(lists, made, canon);
	if (made && ret == 0)
		*res = lists[0];
	ts_scratch_put(lists, TS_ANSWER_LIST_MAX * sizeof(*lists));
	return ret;
}

int ts_answer_addrinfo(const struct ts_map_answer *a, const char *service, const struct addrinfo *hints,
		       struct addrinfo **res)
{
	struct addrinfo h = ts_answer_hints(hints);
	uint8_t ip[TS_ANSWER_ADDRS_MAX][16];
	struct plan plan;
	int ret = plan_answer(&plan, a, &h);

	if (ret)
		return ts_answer_no_addrinfo(service, hints, ret);
	for (unsigned i = 0; i < plan.count; i++)
		memcpy(ip[i], a->ip[plan.index[i]], sizeof(ip[i]));
	return ts_answer_addrinfo_of(ip, plan.count, a->canon, service, hints, res);
}

bool ts_answer_free(struct addrinfo *res)
{
	struct block *block;
	size_t n = 0;

	if (ts_libc_is_glibc() || !res || ((struct node *)res)->mark != NODE_MARK)
		return false;
	block = ((struct node *)res)->block;
	for (; res; res = res->ai_next)
		n++;
	if (__atomic_sub_fetch(&block->left, n, __ATOMIC_ACQ_REL) == 0)
		free(block);
	return true;
}

/* Cuts pieces off a caller's buffer. Once one does not fit, none does, so that one test at the end serves. */
struct cutter {
	char *p;
	size_t left;
	bool bad;
};

static void *cut(struct cutter *c, size_t n)
{
	char *p = c->p;

	if (n > c->left || c->bad) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	c->left -= n;
	return p;
}

static char *cut_string(struct cutter *c, const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = cut(c, n);

	if (p)
		memcpy(p, s, n);
	return p;
}

/* musl lists the canonical name as an alias too, and then what was asked for where that differs. */
static void put_aliases(struct cutter *c, char **aliases, const struct ts_answer_host *a, char *name, const char *asked)
{
	unsigned n = 0;

	if (!ts_libc_is_glibc()) {
		aliases[n++] = name;
		if (asked && strcmp(asked, a->canon) != 0)
			aliases[n++] = cut_string(c, asked);
	} else {
		while (n < a->alias_count) {
			aliases[n] = cut_string(c, a->alias[n]);
			n++;
		}
	}
	aliases[n] = NULL;
}

/* The address that was asked for is of the family in which it was. */
static bool counts(const uint8_t ip[16], int family, const char *asked)
{
	return !asked || ts_ip_is4(ip) == (family == AF_INET);
}

int ts_answer_hostent_of(const struct ts_answer_host *a, int family, const char *asked, struct hostent *ret, char *buf, size_t len)
{
	size_t size = family == AF_INET ? 4 : 16, count = 0, pad = -(uintptr_t)buf & (sizeof(char *) - 1);
	struct cutter c = { buf, len, false };
	char **addrs, **aliases;

	for (unsigned i = 0; i < a->count; i++)
		count += counts(a->ip[i], family, asked);
	if (count == 0)
		return -1;
	cut(&c, pad);
	aliases = cut(&c, (ts_libc_is_glibc() ? a->alias_count + 1 : 3) * sizeof(char *));
	addrs = cut(&c, (count + 1) * sizeof(char *));
	for (unsigned i = 0, n = 0; i < a->count; i++) {
		char *p = counts(a->ip[i], family, asked) ? cut(&c, size) : NULL;

		if (!p)
			continue;
		memcpy(p, a->ip[i] + 16 - size, size);
		addrs[n++] = p;
		addrs[n] = NULL;
	}
	ret->h_name = cut_string(&c, a->canon);
	if (aliases)
		put_aliases(&c, aliases, a, ret->h_name, asked);
	if (c.bad)
		return ERANGE;
	ret->h_aliases = aliases;
	ret->h_addrtype = family;
	ret->h_length = (int)size;
	ret->h_addr_list = addrs;
	return 0;
}

int ts_answer_hostent(const struct ts_map_answer *a, int family, const char *asked, struct hostent *ret, char *buf,
		      size_t len)
{
	const struct ts_answer_host host = { .canon = a->canon, .ip = a->ip, .count = a->count };

	return ts_answer_hostent_of(&host, family, asked, ret, buf, len);
}
