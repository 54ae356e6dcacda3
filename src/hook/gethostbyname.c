/* SPDX-License-Identifier: MIT */
/* gethostbyname, gethostbyaddr and their kin: whose name it is, names/ask.c says; what is not the tailnet's goes to libc as it came. */
#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "getaddrinfo.h"
#include "search.h"
#include "split_host.h"
#include "tsproxy/answer.h"
#include "tsproxy/guard.h"
#include "tsproxy/real.h"

#define EXPORT __attribute__((visibility("default")))

/* Both libcs have it; weak, because netdb.h may not declare it. */
extern int *__h_errno_location(void) __attribute__((weak));

static void set_h_errno(int value)
{
	if (__h_errno_location)
		*__h_errno_location() = value;
}

/*
 * A name for which the real call fails as it does for what does not exist (or has no address of the family), without
 * asking anybody: musl's versions differ in what they return then.
 */
static const char *refused(enum ts_ask whose, int family)
{
	if (whose == TS_ASK_NONE)
		return "";
	return family == AF_INET ? "::1" : "127.0.0.1";
}

/* Where a caller wants the answer: the _r calls' last five parameters. */
struct dest {
	struct hostent *host;
	char *buf;
	size_t len;
	struct hostent **result;
	int *herr;
};

/* What the _r calls say of a name in split DNS; `ip` is null for a lookup by name. */
static int answer_split_r(const uint8_t *ip, int family, const char *asked, const struct dest *d)
{
	int herr, err = ip ? ts_split_host_of(ip, family, d->host, d->buf, d->len, &herr) :
			     ts_split_host(asked, family, d->host, d->buf, d->len, &herr);

	*d->result = err == 0 && herr == 0 ? d->host : NULL;
	if (herr == 0 ? ts_libc_is_glibc() : herr != NETDB_INTERNAL || ts_libc_is_glibc())
		*d->herr = herr;
	if ((herr == HOST_NOT_FOUND || herr == NO_DATA) && !ts_libc_is_glibc())
		return ts_real()->gethostbyname2_r(refused(herr == HOST_NOT_FOUND ? TS_ASK_NONE : TS_ASK_FOUND, family), family, d->host,
						   d->buf, d->len, d->result, d->herr);
	return err;
}

/* What the _r calls say of a name that is not libc's. `asked` is null for a lookup by address. */
static int answer_r(enum ts_ask whose, const struct ts_map_answer *a, int family, const char *asked,
		    const struct dest *d)
{
	int ret = whose == TS_ASK_FOUND ? ts_answer_hostent(a, family, asked, d->host, d->buf, d->len) : -1;

	*d->result = ret == 0 ? d->host : NULL;
	if (ret == ERANGE) {
		ts_errno = ERANGE;
		if (ts_libc_is_glibc())
			*d->herr = NETDB_INTERNAL;
		return ERANGE;
	}
	if (ret < 0 && !ts_libc_is_glibc())
		return ts_real()->gethostbyname2_r(refused(whose, family), family, d->host, d->buf, d->len, d->result,
						   d->herr);
	if (ret < 0)
		*d->herr = whose == TS_ASK_NONE ? HOST_NOT_FOUND : NO_DATA;
	else if (ts_libc_is_glibc())
		*d->herr = NETDB_SUCCESS;
	return 0;
}

/* Room for all addresses of a name, its names and the pointers to them: what dns_query.h takes of an answer. */
struct storage {
	struct hostent host;
	char buf[12 << 10];
};

static struct hostent *answer_split(const uint8_t *ip, int family, const char *asked, struct storage *s)
{
	struct hostent *result;
	int herr = 0;

	answer_split_r(ip, family, asked, &(struct dest){ &s->host, s->buf, sizeof(s->buf), &result, &herr });
	if (!result)
		set_h_errno(herr);
	return result;
}

static bool search(const char *name, int family, struct storage *s, struct hostent **result)
{
	int herr = 0, err;

	if (!ts_search_host(name, family, &s->host, s->buf, sizeof(s->buf), result, &herr, &err))
		return false;
	if (!*result)
		set_h_errno(herr);
	return true;
}

/* What the calls with static storage say. */
static struct hostent *answer(enum ts_ask whose, const struct ts_map_answer *a, int family, const char *asked,
			      struct storage *s)
{
	if (whose == TS_ASK_FOUND && ts_answer_hostent(a, family, asked, &s->host, s->buf, sizeof(s->buf)) == 0)
		return &s->host;
	if (!ts_libc_is_glibc())
		return ts_real()->gethostbyname2(refused(whose, family), family);
	set_h_errno(whose == TS_ASK_NONE ? HOST_NOT_FOUND : NO_DATA);
	return NULL;
}

/* Asks, and answers where it is neither libc's nor split DNS's. Not in the calls, for its frame. */
static __attribute__((noinline)) enum ts_ask ask_r(const char *name, int family, const struct dest *d, int *ret)
{
	struct ts_map_answer a;
	enum ts_ask whose = ts_enabled() && name && ts_is_inet_family(family) ? ts_names_ask(name, family, &a) : TS_ASK_LIBC;

	if (whose == TS_ASK_FOUND || whose == TS_ASK_NONE)
		*ret = answer_r(whose, &a, family, name, d);
	return whose;
}

/* False: libc shall answer. */
static bool host_r(const char *name, int family, const struct dest *d, int *ret)
{
	switch (ask_r(name, family, d, ret)) {
	case TS_ASK_LIBC:
		return ts_search_host(name, family, d->host, d->buf, d->len, d->result, d->herr, ret);
	case TS_ASK_SPLIT:
		*ret = answer_split_r(NULL, family, name, d);
		return true;
	default:
		return true;
	}
}

EXPORT int gethostbyname2_r(const char *name, int family, struct hostent *ret, char *buf, size_t len,
			    struct hostent **result, int *herr)
{
	int err;

	if (host_r(name, family, &(struct dest){ ret, buf, len, result, herr }, &err))
		return err;
	return ts_real()->gethostbyname2_r(name, family, ret, buf, len, result, herr);
}

EXPORT int gethostbyname_r(const char *name, struct hostent *ret, char *buf, size_t len, struct hostent **result,
			   int *herr)
{
	int err;

	if (host_r(name, AF_INET, &(struct dest){ ret, buf, len, result, herr }, &err))
		return err;
	return ts_real()->gethostbyname_r(name, ret, buf, len, result, herr);
}

/* As ask_r. */
static __attribute__((noinline)) enum ts_ask ask(const char *name, int family, struct storage *s, struct hostent **found)
{
	struct ts_map_answer a;
	enum ts_ask whose = ts_enabled() && name && ts_is_inet_family(family) ? ts_names_ask(name, family, &a) : TS_ASK_LIBC;

	if (whose == TS_ASK_FOUND || whose == TS_ASK_NONE)
		*found = answer(whose, &a, family, name, s);
	return whose;
}

/* False: libc shall answer. */
static bool host(const char *name, int family, struct storage *s, struct hostent **found)
{
	switch (ask(name, family, s, found)) {
	case TS_ASK_LIBC:
		return search(name, family, s, found);
	case TS_ASK_SPLIT:
		*found = answer_split(NULL, family, name, s);
		return true;
	default:
		return true;
	}
}

EXPORT struct hostent *gethostbyname(const char *name)
{
	static struct storage s;
	struct hostent *found;

	return host(name, AF_INET, &s, &found) ? found : ts_real()->gethostbyname(name);
}

EXPORT struct hostent *gethostbyname2(const char *name, int family)
{
	static struct storage s;
	struct hostent *found;

	return host(name, family, &s, &found) ? found : ts_real()->gethostbyname2(name, family);
}

/*
 * Looks an address up; the answer holds it alone. glibc takes an IPv6 address that is a mapped one, or has an IPv4 address in its last bytes
 * and nothing else, for IPv4, and then `family` is changed; musl does the first, and does not tell.
 */
static enum ts_ask ask_addr(const void *addr, socklen_t len, int *family, struct ts_map_answer *a)
{
	static const uint8_t zeroes[12];
	enum ts_ask whose;
	struct ts_addr key;

	if (!ts_enabled() || !addr || !ts_is_inet_family(*family) || len < (*family == AF_INET ? 4 : 16))
		return TS_ASK_LIBC;
	if (*family == AF_INET)
		ts_addr_set4(&key, addr, 0);
	else
		ts_addr_set6(&key, addr, 0);
	if (*family == AF_INET6 && ts_libc_is_glibc() && memcmp(addr, zeroes, sizeof(zeroes)) == 0 && !ts_ip_is_loopback(key.ip))
		ts_addr_set4(&key, (const uint8_t *)addr + 12, 0);
	whose = ts_names_ask_addr(key.ip, true, a);
	if (ts_addr_is4(&key) && ts_libc_is_glibc())
		*family = AF_INET;
	memcpy(a->ip[0], key.ip, sizeof(key.ip));
	a->count = 1;
	if (whose != TS_ASK_NONE || ts_libc_is_glibc())
		return whose;
	/* musl names a host that has no name by its number. */
	ts_ip_format(key.ip, a->canon);
	return TS_ASK_FOUND;
}

/* As ask_r; the address in `ip`. */
static __attribute__((noinline)) enum ts_ask ask_addr_r(const void *addr, socklen_t len, int *family, uint8_t ip[16], const struct dest *d, int *ret)
{
	struct ts_map_answer a;
	enum ts_ask whose = ask_addr(addr, len, family, &a);

	if (whose == TS_ASK_FOUND || whose == TS_ASK_NONE)
		*ret = answer_r(whose, &a, *family, NULL, d);
	else if (whose == TS_ASK_SPLIT)
		memcpy(ip, a.ip[0], 16);
	return whose;
}

EXPORT int gethostbyaddr_r(const void *addr, socklen_t len, int family, struct hostent *ret, char *buf, size_t buf_len,
			   struct hostent **result, int *herr)
{
	const struct dest d = { ret, buf, buf_len, result, herr };
	uint8_t ip[16];
	int found = family, err;

	switch (ask_addr_r(addr, len, &found, ip, &d, &err)) {
	case TS_ASK_LIBC:
		return ts_real()->gethostbyaddr_r(addr, len, family, ret, buf, buf_len, result, herr);
	case TS_ASK_SPLIT:
		return answer_split_r(ip, found, NULL, &d);
	default:
		return err;
	}
}

static __attribute__((noinline)) enum ts_ask ask_addr_static(const void *addr, socklen_t len, int *family, uint8_t ip[16], struct storage *s,
							     struct hostent **found)
{
	struct ts_map_answer a;
	enum ts_ask whose = ask_addr(addr, len, family, &a);

	if (whose == TS_ASK_FOUND || whose == TS_ASK_NONE)
		*found = answer(whose, &a, *family, NULL, s);
	else if (whose == TS_ASK_SPLIT)
		memcpy(ip, a.ip[0], 16);
	return whose;
}

EXPORT struct hostent *gethostbyaddr(const void *addr, socklen_t len, int family)
{
	static struct storage s;
	struct hostent *host;
	uint8_t ip[16];
	int found = family;

	switch (ask_addr_static(addr, len, &found, ip, &s, &host)) {
	case TS_ASK_LIBC:
		return ts_real()->gethostbyaddr(addr, len, family);
	case TS_ASK_SPLIT:
		return answer_split(ip, found, NULL, &s);
	default:
		return host;
	}
}
