/* SPDX-License-Identifier: MIT */
/*
 * What the calls of netdb.h say of names in split DNS. flow/dns/dns_lookup.c asks; here the answer takes libc's form. Nobody else is asked,
 * whatever comes: a failure is one for the program too.
 */
#include "split_host.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "tsproxy/answer.h"
#include "tsproxy/dns_lookup.h"
#include "tsproxy/dns_message.h"
#include "tsproxy/guard.h"
#include "tsproxy/names.h"
#include "tsproxy/real.h"

#define MUSL_ADDRS_MAX 48	/* its MAXADDRS */

/* libc's word on whether this machine has such addresses (AI_ADDRCONFIG); those in the tailnet count as well. */
static bool has_family(int family)
{
	struct addrinfo hints = { .ai_family = family, .ai_flags = AI_NUMERICHOST | AI_ADDRCONFIG, .ai_socktype = SOCK_STREAM }, *res;
	struct ts_addr own;

	if (ts_live_own_addr(family, &own) == 1)
		return true;
	if (ts_real()->getaddrinfo(family == AF_INET ? "127.0.0.1" : "::1", NULL, &hints, &res) != 0)
		return false;
	ts_real()->freeaddrinfo(res);
	return true;
}

/* Which families are asked for. False where AI_ADDRCONFIG leaves none. */
static bool wanted(const struct addrinfo *h, bool *four, bool *six)
{
	bool has4, has6;

	*four = h->ai_family != AF_INET6 || h->ai_flags & AI_V4MAPPED;
	*six = h->ai_family != AF_INET;
	if (!(h->ai_flags & AI_ADDRCONFIG))
		return true;
	has4 = has_family(AF_INET);
	has6 = has_family(AF_INET6);
	if (h->ai_family == AF_INET)
		return has4;
	if (h->ai_family == AF_INET6)
		return has6;
	/* glibc narrows only where the one is there and the other is not. */
	*four = has4 || !has6;
	*six = has6 || !has4;
	return true;
}

static int eai_of(int herr)
{
	switch (herr) {
	case HOST_NOT_FOUND:
		return EAI_NONAME;
	case NO_DATA:
		return EAI_NODATA;
	case TRY_AGAIN:
		return EAI_AGAIN;
	case NETDB_INTERNAL:
		return EAI_SYSTEM;
	default:
		return EAI_FAIL;
	}
}

static unsigned most(void)
{
	return ts_libc_is_glibc() ? TS_DNS_ADDRS_MAX : MUSL_ADDRS_MAX;
}

static unsigned gather(uint8_t (*ip)[16], unsigned n, const struct ts_dns_found *f)
{
	for (unsigned i = 0; i < f->count && n < most(); i++)
		memcpy(ip[n++], f->ip[i], 16);
	return n;
}

/* What was found of the two families, as one list; where IPv6 was asked for, IPv4 is only its stand-in. */
static int give(struct ts_dns_work *w, bool four, const char *service, const struct addrinfo *h, const struct addrinfo *hints,
		struct addrinfo **res)
{
	const struct ts_dns_found *a = four ? &w->found[0] : NULL, *aaaa = &w->found[four];
	uint8_t (*ip)[16] = w->ip;
	unsigned n = 0;

	if (w->count == (four ? 1u : 0u))
		aaaa = NULL;
	if (h->ai_family == AF_INET6) {
		n = gather(ip, n, aaaa);
		if (a && (n == 0 || h->ai_flags & AI_ALL))
			n = gather(ip, n, a);
	} else {
		n = a ? gather(ip, n, a) : n;
		n = aaaa ? gather(ip, n, aaaa) : n;
	}
	ts_dns_sort(w, ip, n, h->ai_family == AF_INET6);
	return ts_answer_addrinfo_of((const uint8_t(*)[16])ip, n, a && a->count ? a->canon : aaaa->canon, service, hints, res);
}

int ts_split_addrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	struct addrinfo h = ts_answer_hints(hints);
	struct ts_dns_work *w;
	uint16_t types[2];
	unsigned n = 0;
	bool four, six;
	int ret = ts_answer_no_addrinfo(service, hints, 0), err;

	if (ret)
		return ret;
	if (!wanted(&h, &four, &six))
		return EAI_NONAME;
	w = ts_dns_begin();
	if (!w)
		return EAI_MEMORY;
	if (four)
		types[n++] = TS_DNS_A;
	if (six)
		types[n++] = TS_DNS_AAAA;
	ret = ts_dns_lookup(w, name, types, n);
	if (ret == NO_DATA && ts_libc_is_glibc() && (w->found[0].alias_count || w->found[1].alias_count))
		ret = HOST_NOT_FOUND;	/* as glibc says of an alias of nothing */
	err = w->err;
	ret = ret ? eai_of(ret) : give(w, four, service, &h, hints, res);
	ts_dns_end(w);
	if (ret == EAI_SYSTEM)
		ts_errno = err;
	return ret == EAI_NODATA ? ts_answer_no_addrinfo(service, hints, ret) : ret;
}

/* The _r calls' result for what is in h_errno's terms `why`. */
static int failed(int why, int err, int *herr)
{
	*herr = why;
	if (why == NETDB_INTERNAL)
		return ts_errno = err;
	return why == TRY_AGAIN || why == NO_RECOVERY ? ts_errno = EAGAIN : 0;
}

static int give_host(const struct ts_answer_host *host, int family, const char *asked, struct hostent *ret, char *buf, size_t len,
		     int *herr)
{
	int err = ts_answer_hostent_of(host, family, asked, ret, buf, len);

	if (err == 0)
		*herr = 0;
	else if (err == ERANGE)
		failed(NETDB_INTERNAL, ERANGE, herr);
	else
		*herr = NO_DATA;
	return err < 0 ? 0 : err;
}

int ts_split_host(const char *name, int family, struct hostent *ret, char *buf, size_t len, int *herr)
{
	struct ts_dns_work *w = ts_dns_begin();
	struct ts_dns_found *f;
	uint16_t type = family == AF_INET ? TS_DNS_A : TS_DNS_AAAA;
	int why, err;

	if (!w)
		return failed(NETDB_INTERNAL, ENOMEM, herr);
	why = ts_dns_lookup(w, name, &type, 1);
	f = &w->found[0];
	if (why == 0 && !ts_libc_is_glibc())
		ts_dns_sort(w, f->ip, f->count, false);
	if (why == NO_DATA && f->alias_count && ts_libc_is_glibc())
		why = NO_RECOVERY;	/* likewise */
	if (why)
		err = failed(why, w->err, herr);
	else
		err = give_host(&(struct ts_answer_host){ f->canon, f->ip, f->count < most() ? f->count : most(),
							  f->alias, f->alias_count },
				family, name, ret, buf, len, herr);
	ts_dns_end(w);
	return err;
}

/* Asks for the names of an address. As ts_dns_lookup. */
static int ask_back(struct ts_dns_work *w, const uint8_t ip[16])
{
	char name[TS_DNS_REVERSE_MAX];
	uint16_t type = TS_DNS_PTR;

	ts_dns_reverse_name(ip, name);
	return ts_dns_lookup(w, name, &type, 1);
}

int ts_split_host_of(const uint8_t ip[16], int family, struct hostent *ret, char *buf, size_t len, int *herr)
{
	struct ts_dns_work *w = ts_dns_begin();
	struct ts_dns_found *f;
	int why, err;

	if (!w)
		return failed(NETDB_INTERNAL, ENOMEM, herr);
	why = ask_back(w, ip);
	f = &w->found[0];
	/* musl names a host that has no name by its number. */
	if (why && why != NETDB_INTERNAL && !ts_libc_is_glibc()) {
		ts_ip_format(ip, f->canon);
		f->alias_count = 0;
		why = 0;
	}
	if (why) {
		err = failed(why, w->err, herr);
		err = err == EAGAIN ? 0 : err;	/* of an address glibc says so in *herr alone */
	} else {
		err = give_host(&(struct ts_answer_host){ f->canon, (const uint8_t(*)[16])ip, 1, f->alias, f->alias_count }, family, NULL,
				ret, buf, len, herr);
	}
	ts_dns_end(w);
	return err;
}

int ts_split_name_of(const uint8_t ip[16], char *out, size_t cap)
{
	struct ts_dns_work *w = ts_dns_begin();
	int why;

	if (!w)
		return NETDB_INTERNAL;
	why = ask_back(w, ip);
	if (why == 0 && strlen(w->found[0].canon) < cap)
		memcpy(out, w->found[0].canon, strlen(w->found[0].canon) + 1);
	ts_dns_end(w);
	return why;
}
