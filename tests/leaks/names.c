/* SPDX-License-Identifier: MIT */
/* Ways to have a name, or an address, looked up. What natively leaves is a question to the name server. */
#include <arpa/nameser.h>
#include <ctype.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ways.h"

static unsigned char answer[4096];

static void look_up(const char *name, int family, int flags)
{
	struct addrinfo hints = { .ai_family = family, .ai_flags = flags, .ai_socktype = SOCK_STREAM }, *res;

	if (getaddrinfo(name, "80", &hints, &res) == 0)
		freeaddrinfo(res);
}

static void any(const struct target *t)
{
	look_up(t->name, AF_UNSPEC, 0);
}

static void four(const struct target *t)
{
	look_up(t->name, AF_INET, AI_CANONNAME | AI_ADDRCONFIG);
}

static void six(const struct target *t)
{
	look_up(t->name, AF_INET6, AI_V4MAPPED | AI_ALL);
}

static void dotted(const struct target *t)
{
	char name[300];

	snprintf(name, sizeof(name), "%s.", t->name);
	look_up(name, AF_UNSPEC, 0);
}

static void capitals(const struct target *t)
{
	char name[300];
	size_t n = strlen(t->name);

	for (size_t i = 0; i <= n; i++)
		name[i] = (char)toupper((unsigned char)t->name[i]);
	look_up(name, AF_UNSPEC, 0);
}

/* The letters and digits, or the dots, as \\DDD; glibc's resolver takes these for what they stand for. */
static const char *escaped(const struct target *t, bool dots)
{
	static char name[1100];
	char *at = name;

#ifndef __GLIBC__
	unavailable();
#endif
	for (size_t i = 0; t->name[i]; i++)
		at += sprintf(at, (t->name[i] == '.') == dots ? "\\%03d" : "%c", t->name[i]);
	return name;
}

static void escaped_letters(const struct target *t)
{
	look_up(escaped(t, false), AF_UNSPEC, 0);
}

static void escaped_dots(const struct target *t)
{
	look_up(escaped(t, true), AF_UNSPEC, 0);
}

static void escaped_host(const struct target *t)
{
	gethostbyname(escaped(t, false));
}

static void escaped_query(const struct target *t)
{
	res_query(escaped(t, false), C_IN, T_A, answer, sizeof(answer));
}

static void escaped_search(const struct target *t)
{
	res_search(escaped(t, true), C_IN, T_AAAA, answer, sizeof(answer));
}

static void by_domain(const char *name)
{
	const char *dot = strchr(name, '.');
	char first[300];

	if (!dot)
		return;
	snprintf(first, sizeof(first), "%.*s", (int)(dot - name), name);
	res_querydomain(first, dot + 1, C_IN, T_A, answer, sizeof(answer));
}

static void escaped_domain(const struct target *t)
{
	by_domain(escaped(t, false));
}

static void with_blank(const struct target *t)
{
	char name[300];

	snprintf(name, sizeof(name), "%.4s .%s", t->name, t->name);
	res_query(name, C_IN, T_A, answer, sizeof(answer));
}

static void little_room(const struct target *t)
{
#ifdef __GLIBC__
	unavailable();	/* says that it is too little, and asks nobody */
#endif
	res_query(t->name, C_IN, T_A, answer, 8);
}

static void host(const struct target *t)
{
	gethostbyname(t->name);
}

static void host2(const struct target *t)
{
	gethostbyname2(t->name, AF_INET6);
}

static void host_r(const struct target *t)
{
	struct hostent entry, *res;
	char buf[2048];
	int err;

	gethostbyname_r(t->name, &entry, buf, sizeof(buf), &res, &err);
}

static void host2_r(const struct target *t)
{
	struct hostent entry, *res;
	char buf[2048];
	int err;

	gethostbyname2_r(t->name, AF_INET, &entry, buf, sizeof(buf), &res, &err);
}

static void query(const struct target *t)
{
	res_query(t->name, C_IN, T_A, answer, sizeof(answer));
}

static void query_mx(const struct target *t)
{
	res_query(t->name, C_IN, T_MX, answer, sizeof(answer));
}

static void search(const struct target *t)
{
	res_search(t->name, C_IN, T_AAAA, answer, sizeof(answer));
}

static void query_domain(const struct target *t)
{
	by_domain(t->name);
}

#ifdef __GLIBC__
static void by_send(const struct target *t)
{
	unsigned char question[512];
	int n = res_mkquery(QUERY, t->name, C_IN, T_TXT, NULL, 0, NULL, question, sizeof(question));

	if (n > 0)
		res_send(question, n, answer, sizeof(answer));
}

static void send_escaped(const struct target *t)
{
	unsigned char question[512];
	int n = res_mkquery(QUERY, escaped(t, true), C_IN, T_TXT, NULL, 0, NULL, question, sizeof(question));

	if (n > 0)
		res_send(question, n, answer, sizeof(answer));
}

static void query_state(const struct target *t)
{
	struct __res_state state = { .options = 0 };

	res_ninit(&state);
	res_nquery(&state, t->name, C_IN, T_A, answer, sizeof(answer));
}

static void search_state(const struct target *t)
{
	struct __res_state state = { .options = 0 };

	res_ninit(&state);
	res_nsearch(&state, t->name, C_IN, T_A, answer, sizeof(answer));
}

static void async(const struct target *t)
{
	struct gaicb request = { .ar_name = t->name }, *list[] = { &request };

	getaddrinfo_a(GAI_WAIT, list, 1, NULL);
}

static void international(const struct target *t)
{
	look_up(t->name, AF_UNSPEC, AI_IDN);
}
#else
static void by_send(const struct target *t)
{
	(void)t;
	unavailable();
}
#define send_escaped by_send
#define query_state by_send
#define search_state by_send
#define async by_send
#define international by_send
#endif

static void by_handle(const struct target *t)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	int (*f)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	struct addrinfo *res;

	*(void **)&f = libc ? dlsym(libc, "getaddrinfo") : NULL;
	if (!f)
		unavailable();
	if (f(t->name, NULL, NULL, &res) == 0)
		freeaddrinfo(res);
}

static void address(const struct target *t, const void **ip, socklen_t *len)
{
	bool is4 = t->addr.ss_family == AF_INET;

	*ip = is4 ? (const void *)&((const struct sockaddr_in *)&t->addr)->sin_addr :
		    (const void *)&((const struct sockaddr_in6 *)&t->addr)->sin6_addr;
	*len = is4 ? 4 : 16;
}

static void by_address(const struct target *t)
{
	const void *ip;
	socklen_t len;

	address(t, &ip, &len);
	gethostbyaddr(ip, len, t->addr.ss_family);
}

static void by_address_r(const struct target *t)
{
	struct hostent entry, *res;
	char buf[2048];
	const void *ip;
	socklen_t len;
	int err;

	address(t, &ip, &len);
	gethostbyaddr_r(ip, len, t->addr.ss_family, &entry, buf, sizeof(buf), &res, &err);
}

static void name_info(const struct target *t)
{
	char name[NI_MAXHOST];

	getnameinfo(to(t), t->len, name, sizeof(name), NULL, 0, 0);
}

static void name_required(const struct target *t)
{
	char name[NI_MAXHOST];

	getnameinfo(to(t), t->len, name, sizeof(name), NULL, 0, NI_NAMEREQD | NI_DGRAM);
}

static void reverse_query(const struct target *t)
{
	char name[80], *at = name;
	const void *ip;
	const uint8_t *byte;
	socklen_t len;

	address(t, &ip, &len);
	byte = ip;
	for (socklen_t i = len; i > 0; i--)
		at += len == 4 ? sprintf(at, "%d.", byte[i - 1]) : sprintf(at, "%x.%x.", byte[i - 1] & 15, byte[i - 1] >> 4);
	strcpy(at, len == 4 ? "in-addr.arpa" : "ip6.arpa");
	res_query(name, C_IN, T_PTR, answer, sizeof(answer));
}

const struct way name_ways[] = {
	{ "getaddrinfo", 'n', false, any, 0 },
	{ "getaddrinfo-inet", 'n', false, four, 0 },
	{ "getaddrinfo-inet6", 'n', false, six, 0 },
	{ "getaddrinfo-dot", 'n', false, dotted, 0 },
	{ "getaddrinfo-capitals", 'n', false, capitals, 0 },
	{ "getaddrinfo-idn", 'n', false, international, 0 },
	{ "getaddrinfo-async", 'n', false, async, 0 },
	{ "getaddrinfo-by-handle", 'n', false, by_handle, 0 },
	{ "gethostbyname", 'n', false, host, 0 },
	{ "gethostbyname2", 'n', false, host2, 0 },
	{ "gethostbyname_r", 'n', false, host_r, 0 },
	{ "gethostbyname2_r", 'n', false, host2_r, 0 },
	{ "res_query", 'n', false, query, 0 },
	{ "res_query-mx", 'n', false, query_mx, 0 },
	{ "res_search", 'n', false, search, 0 },
	{ "res_querydomain", 'n', false, query_domain, 0 },
	{ "res_send", 'n', false, by_send, 0 },
	{ "res_nquery", 'n', false, query_state, 0 },
	{ "res_nsearch", 'n', false, search_state, 0 },
	{ "getaddrinfo-escaped", 'n', false, escaped_letters, 0 },
	{ "getaddrinfo-escaped-dots", 'n', true, escaped_dots, 0 },
	{ "gethostbyname-escaped", 'n', false, escaped_host, 0 },
	{ "res_query-escaped", 'n', false, escaped_query, 0 },
	{ "res_search-escaped", 'n', false, escaped_search, 0 },
	{ "res_querydomain-escaped", 'n', false, escaped_domain, 0 },
	{ "res_send-escaped", 'n', false, send_escaped, 0 },
	{ "res_query-blank", 'n', false, with_blank, 0 },
	{ "res_query-little-room", 'n', false, little_room, 0 },
	{ "gethostbyaddr", 'r', false, by_address, 0 },
	{ "gethostbyaddr_r", 'r', false, by_address_r, 0 },
	{ "getnameinfo", 'r', false, name_info, 0 },
	{ "getnameinfo-required", 'r', false, name_required, 0 },
	{ "res_query-reverse", 'r', false, reverse_query, 0 },
	{ NULL, 0, false, NULL, 0 },
};
