/* SPDX-License-Identifier: MIT */
/* Prints everything that a resolver call returned, so that two worlds can be compared line by line. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static inline void print_sockaddr(const struct sockaddr *sa, socklen_t len)
{
	char text[INET6_ADDRSTRLEN] = "?";

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		printf("%s port %d len %u", text, ntohs(in->sin_port), len);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const void *)sa;

		inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof(text));
		printf("%s port %d flow %u scope %u len %u", text, ntohs(in->sin6_port), in->sin6_flowinfo,
		       in->sin6_scope_id, len);
	} else {
		printf("family %d", sa->sa_family);
	}
}

static inline void print_addrinfo(const char *node, const char *service, const struct addrinfo *hints)
{
	struct addrinfo *res = (struct addrinfo *)&res;
	int ret = getaddrinfo(node, service, hints, &res);

	printf("getaddrinfo %s %s", node ? node : "(null)", service ? service : "(null)");
	if (hints)
		printf(" flags %#x family %d type %d protocol %d", hints->ai_flags, hints->ai_family, hints->ai_socktype,
		       hints->ai_protocol);
	printf(": %d\n", ret);
	if (ret)
		return;
	for (struct addrinfo *ai = res; ai; ai = ai->ai_next) {
		printf("  flags %#x family %d type %d protocol %d canon %s ", ai->ai_flags, ai->ai_family, ai->ai_socktype,
		       ai->ai_protocol, ai->ai_canonname ? ai->ai_canonname : "-");
		print_sockaddr(ai->ai_addr, ai->ai_addrlen);
		printf("\n");
	}
	freeaddrinfo(res);
}

static inline void print_hostent(const char *call, const char *asked, const struct hostent *h, int herr)
{
	char text[INET6_ADDRSTRLEN];

	printf("%s %s:", call, asked);
	if (!h) {
		printf(" none, h_errno %d\n", herr);
		return;
	}
	printf(" %s type %d length %d aliases", h->h_name, h->h_addrtype, h->h_length);
	for (char **p = h->h_aliases; *p; p++)
		printf(" %s", *p);
	printf(" addresses");
	for (char **p = h->h_addr_list; *p; p++)
		printf(" %s", inet_ntop(h->h_addrtype, *p, text, sizeof(text)));
	printf("\n");
}

static inline void print_by_name(const char *name)
{
	static const int families[] = { AF_INET, AF_INET6 };
	char buf[2048];
	struct hostent h, *res;
	int herr, ret;

	res = gethostbyname(name);
	print_hostent("gethostbyname", name, res, h_errno);
	herr = -9;
	ret = gethostbyname_r(name, &h, buf, sizeof(buf), &res, &herr);
	printf("%d %d ", ret, res ? 0 : herr);
	print_hostent("gethostbyname_r", name, res, herr);
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
		res = gethostbyname2(name, families[i]);
		print_hostent("gethostbyname2", name, res, h_errno);
		herr = -9;
		ret = gethostbyname2_r(name, families[i], &h, buf, sizeof(buf), &res, &herr);
		printf("%d %d ", ret, res ? 0 : herr);
		print_hostent("gethostbyname2_r", name, res, herr);
	}
}

static inline void print_by_addr(const char *text)
{
	int family = strchr(text, ':') ? AF_INET6 : AF_INET, herr = -9, ret;
	unsigned char addr[16];
	struct hostent h, *res;
	char buf[2048];

	inet_pton(family, text, addr);
	res = gethostbyaddr(addr, family == AF_INET ? 4 : 16, family);
	print_hostent("gethostbyaddr", text, res, h_errno);
	ret = gethostbyaddr_r(addr, family == AF_INET ? 4 : 16, family, &h, buf, sizeof(buf), &res, &herr);
	printf("%d %d ", ret, res ? 0 : herr);
	print_hostent("gethostbyaddr_r", text, res, herr);
}

static inline void print_nameinfo(const char *text, int port, int flags, socklen_t host_cap, socklen_t serv_cap)
{
	char host[NI_MAXHOST] = "untouched", serv[NI_MAXSERV] = "untouched";
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int six = strchr(text, ':') != NULL, ret;

	inet_pton(six ? AF_INET6 : AF_INET, text, six ? (void *)&in6.sin6_addr : (void *)&in.sin_addr);
	ret = getnameinfo(six ? (void *)&in6 : (void *)&in, six ? sizeof(in6) : sizeof(in), host_cap ? host : NULL, host_cap,
			  serv_cap ? serv : NULL, serv_cap, flags);
	printf("getnameinfo %s %d flags %#x room %u %u: %d", text, port, flags, host_cap, serv_cap, ret);
	if (ret == 0)
		printf(" %s %s", host, serv);
	printf("\n");
}

#define FOR(i, list) for (size_t i = 0; i < sizeof(list) / sizeof(*(list)); i++)

/* Everything that getaddrinfo and the calls by name say of these. Services and types are tried with `one`. */
static inline void print_all(const char *const names[], size_t n, const char *one)
{
	static const char *const services[] = { NULL, "80", "http", "domain", "nosuchservice", "0", "65535", "" };
	static const int flags[] = {
		0, AI_CANONNAME, AI_ADDRCONFIG, AI_PASSIVE, AI_V4MAPPED, AI_V4MAPPED | AI_ALL, AI_ALL, AI_NUMERICSERV,
		AI_NUMERICHOST, AI_V4MAPPED | AI_ADDRCONFIG | AI_CANONNAME, 0x100000,
	};
	static const int types[][2] = {
		{ 0, 0 }, { SOCK_STREAM, 0 }, { SOCK_DGRAM, 0 }, { SOCK_RAW, 0 }, { 0, IPPROTO_UDP },
		{ SOCK_STREAM, IPPROTO_TCP }, { SOCK_STREAM, IPPROTO_UDP }, { 77, 0 },
	};
	static const int families[] = { AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX };

	for (size_t i = 0; i < n; i++) {
		print_addrinfo(names[i], "80", NULL);
		FOR(f, families)
			FOR(g, flags)
				print_addrinfo(names[i], "443",
					       &(struct addrinfo){ .ai_family = families[f], .ai_flags = flags[g],
								   .ai_socktype = SOCK_STREAM });
		print_by_name(names[i]);
	}
	FOR(s, services)
		FOR(t, types)
			FOR(f, families)
				print_addrinfo(one, services[s],
					       &(struct addrinfo){ .ai_family = families[f], .ai_socktype = types[t][0],
								   .ai_protocol = types[t][1] });
}
