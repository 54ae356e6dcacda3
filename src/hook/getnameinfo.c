/* SPDX-License-Identifier: MIT */
/*
 * getnameinfo. The name is the map's; the service, and what is wrong with the call, are libc's.
 */
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/utsname.h>

#include "getaddrinfo.h"
#include "split_host.h"
#include "tsproxy/answer.h"
#include "tsproxy/cancel.h"
#include "tsproxy/guard.h"
#include "tsproxy/real.h"
#include "tsproxy/sys.h"

#define EXPORT __attribute__((visibility("default")))

#define HOST_BUF 1024

extern void free(void *p);

/* Where the first of these has a dot in its name, what is behind it. */
static bool domain_of(const char *name, char out[TS_NAME_MAX + 1])
{
	size_t dot = 0, len;

	while (name[dot] && name[dot] != '.')
		dot++;
	if (name[dot] == '\0')
		return false;
	len = strlen(name + dot + 1);
	if (len > TS_NAME_MAX)
		return false;
	memcpy(out, name + dot + 1, len + 1);
	return true;
}

static bool domain_of_host(const char *name, char buf[HOST_BUF], char out[TS_NAME_MAX + 1])
{
	struct hostent h, *res = NULL;
	int herr;

	return gethostbyname_r(name, &h, buf, HOST_BUF, &res, &herr) == 0 && res && domain_of(res->h_name, out);
}

/* Too much for a stack. */
struct room {
	struct ts_map_answer answer;
	char domain[TS_NAME_MAX + 1], buf[HOST_BUF];
	struct utsname host;
};

static bool find_domain(struct room *m)
{
	static const uint8_t loopback[4] = { 127, 0, 0, 1 };
	struct hostent h, *res = NULL;
	int herr;

	if (domain_of_host("localhost", m->buf, m->domain))
		return true;
	if (ts_sys(SYS_uname, &m->host) != 0)
		return false;
	if (domain_of(m->host.nodename, m->domain) || domain_of_host(m->host.nodename, m->buf, m->domain))
		return true;
	return gethostbyaddr_r(loopback, sizeof(loopback), AF_INET, &h, m->buf, sizeof(m->buf), &res, &herr) == 0 && res &&
	       domain_of(res->h_name, m->domain);
}

/* Where `part` first stands in `s`, or null. */
static char *find(char *s, const char *part)
{
	size_t left = strlen(s), len = strlen(part);

	for (; left >= len; s++, left--)
		if (memcmp(s, part, len) == 0)
			return s;
	return NULL;
}

static void cut(char *name, const char *domain)
{
	char *at = domain[0] ? find(name, domain) : NULL;

	if (at && at != name && at[-1] == '.')
		at[-1] = '\0';
}

static enum { NONE, WRITING, KNOWN } state;
static char known[TS_NAME_MAX + 1];

/*
 * NI_NOFQDN leaves the domain out. As glibc: that of localhost, or of this host; looked for once, which may ask a name server as natively.
 */
static void cut_domain(struct room *m)
{
	int none = NONE;

	if (__atomic_load_n(&state, __ATOMIC_ACQUIRE) == KNOWN) {
		cut(m->answer.canon, known);
		return;
	}
	if (!find_domain(m))
		m->domain[0] = '\0';
	if (__atomic_compare_exchange_n((int *)&state, &none, WRITING, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		memcpy(known, m->domain, sizeof(known));
		__atomic_store_n(&state, KNOWN, __ATOMIC_RELEASE);
	}
	cut(m->answer.canon, m->domain);
}

/* What glibc makes of the name before it hands it out. musl knows none of these flags. 0 or EAI_*. */
static int finish(struct room *m, int flags, char **foreign)
{
	int ret;

	if (!ts_libc_is_glibc())
		return 0;
	if (flags & NI_NOFQDN)
		cut_domain(m);
	if (!(flags & NI_IDN) || !ts_real_has((const void *)ts_real()->__idna_from_dns_encoding))
		return 0;
	ret = ts_real()->__idna_from_dns_encoding(m->answer.canon, foreign);
	if (ret)
		*foreign = NULL;
	return ret == EAI_IDN_ENCODE ? 0 : ret;	/* then it stays as it is in DNS */
}

static int copy_name(const char *name, char *host, socklen_t cap)
{
	size_t len = strlen(name);

	if (len + 1 > cap)
		return EAI_OVERFLOW;
	memcpy(host, name, len + 1);
	return 0;
}

struct call {
	const struct sockaddr *addr;
	socklen_t len;
	char *host;
	socklen_t host_cap;
	char *serv;
	socklen_t serv_cap;
	int flags;
	struct ts_addr key;
	int ret;
};

static int service_of(const struct call *c)
{
	char number[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];

	return ts_real()->getnameinfo(c->addr, c->len, number, sizeof(number), c->serv, c->serv_cap, (c->flags & ~NI_NAMEREQD) | NI_NUMERICHOST);
}

/* 0, EAI_* or TS_NAMES_LIBC. */
static int name_own(const struct call *c, struct room *m)
{
	struct ts_map_answer *a = &m->answer;
	enum ts_ask whose = ts_names_ask_addr(c->key.ip, true, a);
	char *foreign = NULL;
	int ret;

	if (whose == TS_ASK_LIBC)
		return TS_NAMES_LIBC;
	if (whose == TS_ASK_SPLIT) {
		ret = ts_split_name_of(c->key.ip, a->canon, sizeof(a->canon));
		/* glibc gives no number for a name that may be had another time. */
		if (ret == TRY_AGAIN && ts_libc_is_glibc())
			return EAI_AGAIN;
		whose = ret ? TS_ASK_NONE : TS_ASK_FOUND;
	}
	if (whose == TS_ASK_NONE && !(c->flags & NI_NAMEREQD))
		return ts_real()->getnameinfo(c->addr, c->len, c->host, c->host_cap, c->serv, c->serv_cap, c->flags | NI_NUMERICHOST);
	ret = service_of(c);
	if (ret)
		return ret;
	if (whose == TS_ASK_NONE)
		return EAI_NONAME;
	ret = finish(m, c->flags, &foreign);
	if (ret == 0)
		ret = copy_name(foreign ? foreign : a->canon, c->host, c->host_cap);
	if (foreign)
		free(foreign);
	return ret;
}

static void name_own_in(void *memory, void *arg)
{
	struct call *c = arg;

	c->ret = name_own(c, memory);
}

EXPORT int getnameinfo(const struct sockaddr *addr, socklen_t len, char *host, socklen_t host_cap, char *serv,
		       socklen_t serv_cap, int flags)
{
	struct call c = { addr, len, host, host_cap, serv, serv_cap, flags, { .port = 0 }, EAI_MEMORY };

	if (ts_enabled() && host && host_cap && !(flags & NI_NUMERICHOST) && addr && ts_addr_from_sockaddr(&c.key, addr, len)) {
		ts_cancel_scratch(sizeof(struct room), name_own_in, &c);
		if (c.ret != TS_NAMES_LIBC)
			return c.ret;
	}
	return ts_real()->getnameinfo(addr, len, host, host_cap, serv, serv_cap, flags);
}
