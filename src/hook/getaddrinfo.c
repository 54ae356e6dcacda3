/* SPDX-License-Identifier: MIT */
/* getaddrinfo: whose name it is, names/ask.c says; what is not the tailnet's goes to libc as it came. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "getaddrinfo.h"
#include "search.h"
#include "split_host.h"
#include "tsproxy/answer.h"
#include "tsproxy/guard.h"
#include "tsproxy/name_kind.h"
#include "tsproxy/names.h"
#include "tsproxy/real.h"
#include "tsproxy/route.h"

#define EXPORT __attribute__((visibility("default")))

/* libc's, for what it gave us. */
extern void free(void *p);
static bool is_ascii(const char *s)
{
	while (*s && !(*s & 0x80))
		s++;
	return *s == '\0';
}

/* The families that /etc/hosts could answer such a call with. */
static int hosts_family(const struct addrinfo *hints)
{
	return hints && !(hints->ai_family == AF_INET6 && hints->ai_flags & AI_V4MAPPED) ? hints->ai_family : AF_UNSPEC;
}

/* Whether such a call asks for addresses that we have anything to do with. */
static bool is_call(const char *node, const struct addrinfo *hints)
{
	return ts_enabled() && node && !(hints && hints->ai_family != AF_UNSPEC && !ts_is_inet_family(hints->ai_family));
}

/* Whether such a call looks a name up that may be ours. */
static bool is_lookup(const char *node, const struct addrinfo *hints)
{
	return is_call(node, hints) && !(hints && hints->ai_flags & AI_NUMERICHOST);
}

bool ts_names_waits(const char *node, const struct addrinfo *hints)
{
	struct ts_map_answer a;
	enum ts_ask whose;

	if (!is_lookup(node, hints))
		return false;
	whose = ts_names_ask(node, hosts_family(hints), &a);
	return whose == TS_ASK_SPLIT || (whose == TS_ASK_LIBC && ts_search_wants(node, hosts_family(hints)));
}

/*
 * With AI_ADDRCONFIG, which null hints mean to it, glibc asks of a number, too, whether an interface has its family. Natively the tailnet's
 * interface has those of this node.
 */
static __attribute__((noinline)) int answer_number(const char *text, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	struct addrinfo h;
	size_t len;
	int family, ret;
	struct ts_addr a, own;

	if ((hints && !(hints->ai_flags & AI_ADDRCONFIG)) || !ts_libc_is_glibc())
		return TS_NAMES_LIBC;
	h = ts_answer_hints(hints);
	len = strlen(text);
	family = h.ai_family;
	if (!(h.ai_flags & AI_ADDRCONFIG) || !ts_addr_parse(text, len, &a) || ts_route_decide(&a).verdict == TS_PASS)
		return TS_NAMES_LIBC;
	if (family == AF_UNSPEC)
		family = memchr(text, ':', len) ? AF_INET6 : AF_INET;
	if (ts_live_own_addr(family, &own) == 0)
		return TS_NAMES_LIBC;
	h.ai_flags &= ~AI_ADDRCONFIG;
	ret = ts_real()->getaddrinfo(text, service, &h, res);
	for (struct addrinfo *ai = ret == 0 ? *res : NULL; ai; ai = ai->ai_next)
		ai->ai_flags |= AI_ADDRCONFIG;
	return ret;
}

/* Asks, and answers where it is neither libc's nor split DNS's. Not in ts_names_answer, for its frame. */
static __attribute__((noinline)) enum ts_ask ask_info(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res,
						      int *ret)
{
	struct ts_map_answer a;
	enum ts_ask whose = ts_names_ask(node, hosts_family(hints), &a);

	if (whose == TS_ASK_FOUND)
		*ret = ts_answer_addrinfo(&a, service, hints, res);
	else if (whose == TS_ASK_NONE)
		*ret = ts_answer_no_addrinfo(service, hints, EAI_NONAME);
	return whose;
}

/*
 * With AI_IDN a name may be in the letters of any language. libc turns it into what DNS knows, in the same way in which it would for
 * itself.
 */
int ts_names_answer(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	const struct ts_real *real = ts_real();
	int ret = TS_NAMES_LIBC;
	enum ts_ask whose;
	char *ace = NULL;

	if (is_call(node, hints) && ts_name_is_number(node))
		return answer_number(node, service, hints, res);
	if (!is_lookup(node, hints))
		return ret;
	if (hints && hints->ai_flags & AI_IDN && !is_ascii(node) && ts_real_has(real->__idna_to_dns_encoding) &&
	    real->__idna_to_dns_encoding(node, &ace) != 0)
		return ret;
	node = ace ? ace : node;
	whose = ask_info(node, service, hints, res, &ret);
	if (whose == TS_ASK_SPLIT)
		ret = ts_split_addrinfo(node, service, hints, res);
	else if (whose == TS_ASK_LIBC)
		ts_search_addrinfo(node, hosts_family(hints), service, hints, res, &ret);
	if (ace)
		free(ace);
	return ret;
}

/* No frame is left behind where libc goes on: a thread with PTHREAD_STACK_MIN has just room enough for that. */
EXPORT int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	int ret = ts_names_answer(node, service, hints, res);

	if (ret != TS_NAMES_LIBC)
		return ret;
	return ts_libc_getaddrinfo(node, service, hints, res);
}
