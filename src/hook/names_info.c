/* SPDX-License-Identifier: MIT */
/*
 * getnameinfo. The name is the map's; the service, and what is wrong with the call, are libc's.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/utsname.h>

#include "split.h"
#include "tsproxy/answer.h"
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

static bool domain_of_host(const char *name, char out[TS_NAME_MAX + 1])
{
	struct hostent h, *res = NULL;
	char buf[HOST_BUF];
	int herr;

	return gethostbyname_r(name, &h, buf, sizeof(buf), &res, &herr) == 0 && res && domain_of(res->h_name, out);
}

static bool find_domain(char out[TS_NAME_MAX + 1])
{
	static const uint8_t loopback[4] = { 127, 0, 0, 1 };
	struct hostent h, *res = NULL;
	struct utsname host;
	char buf[HOST_BUF];
	int herr;

	if (domain_of_host("localhost", out))
		return true;
	if (ts_sys(SYS_uname, &host) != 0)
		return false;
	if (domain_of(host.nodename, out) || domain_of_host(host.nodename, out))
		return true;
	return gethostbyaddr_r(loopback, sizeof(loopback), AF_INET, &h, buf, sizeof(buf), &res, &herr) == 0 && res &&
	       domain_of(res->h_name, out);
}

/*
 * The domain that NI_NOFQDN leaves out. As glibc: that of localhost, or of this host; looked for once, which may ask a
 * name server as natively.
 */
static const char *own_domain(char room[TS_NAME_MAX + 1])
{
	static enum { NONE, WRITING, KNOWN } state;
	static char known[TS_NAME_MAX + 1];
	int none = NONE;

	if (__atomic_load_n(&state, __ATOMIC_ACQUIRE) == KNOWN)
		return known;
	if (!find_domain(room))
		room[0] = '\0';
	if (__atomic_compare_exchange_n((int *)&state, &none, WRITING, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		memcpy(known, room, sizeof(known));
		__atomic_store_n(&state, KNOWN, __ATOMIC_RELEASE);
	}
	return room;
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

static void cut_domain(char *name)
{
	char room[TS_NAME_MAX + 1];
	const char *domain = own_domain(room);
	char *at = domain[0] ? find(name, domain) : NULL;

	if (at && at != name && at[-1] == '.')
		at[-1] = '\0';
}

/* What glibc makes of the name before it hands it out. musl knows none of these flags. 0 or EAI_*. */
static int finish(char canon[TS_NAME_MAX + 1], int flags, char **foreign)
{
	int ret;

	if (!ts_libc_is_glibc())
		return 0;
	if (flags & NI_NOFQDN)
		cut_domain(canon);
	if (!(flags & NI_IDN) || !ts_real_has((const void *)ts_real()->__idna_from_dns_encoding))
		return 0;
	ret = ts_real()->__idna_from_dns_encoding(canon, foreign);
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

EXPORT int getnameinfo(const struct sockaddr *addr, socklen_t len, char *host, socklen_t host_cap, char *serv,
		       socklen_t serv_cap, int flags)
{
	const struct ts_real *real = ts_real();
	char number[NI_MAXHOST], *foreign = NULL;
	enum ts_ask whose = TS_ASK_LIBC;
	struct ts_map_answer a;
	struct ts_addr key;
	int ret;

	if (ts_enabled() && host && host_cap && !(flags & NI_NUMERICHOST) && addr &&
	    ts_addr_from_sockaddr(&key, addr, len))
		whose = ts_names_ask_addr(key.ip, true, &a);
	if (whose == TS_ASK_LIBC)
		return real->getnameinfo(addr, len, host, host_cap, serv, serv_cap, flags);
	if (whose == TS_ASK_SPLIT) {
		ret = ts_split_name_of(key.ip, a.canon, sizeof(a.canon));
		/* glibc gives no number for a name that may be had another time. */
		if (ret == TRY_AGAIN && ts_libc_is_glibc())
			return EAI_AGAIN;
		whose = ret ? TS_ASK_NONE : TS_ASK_FOUND;
	}
	if (whose == TS_ASK_NONE && !(flags & NI_NAMEREQD))
		return real->getnameinfo(addr, len, host, host_cap, serv, serv_cap, flags | NI_NUMERICHOST);
	ret = real->getnameinfo(addr, len, number, sizeof(number), serv, serv_cap,
				(flags & ~NI_NAMEREQD) | NI_NUMERICHOST);
	if (ret)
		return ret;
	if (whose == TS_ASK_NONE)
		return EAI_NONAME;
	ret = finish(a.canon, flags, &foreign);
	if (ret == 0)
		ret = copy_name(foreign ? foreign : a.canon, host, host_cap);
	if (foreign)
		free(foreign);
	return ret;
}
