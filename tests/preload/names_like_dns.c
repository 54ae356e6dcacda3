/* SPDX-License-Identifier: MIT */
/*
 * The answers for full and short names are those of a DNS server that holds the same records, call by call, field by
 * field.
 */
/*
 * expect: same
 * libc: glibc musl
 * status: names.json
 * native-addr: 100.64.0.1/10
 * native-addr: fd7a:115c:a1e0::1/48
 * native-dns: me.tail1.ts.net,100.64.0.1,fd7a:115c:a1e0::1
 * native-dns: db.tail1.ts.net,100.64.0.2,fd7a:115c:a1e0::2
 * native-dns: four.tail1.ts.net,100.64.0.3
 * native-dns: six.tail1.ts.net,fd7a:115c:a1e0::4
 * native-search: tail1.ts.net
 */
#include "netdb_print.h"

static const char *const names[] = {
	"db.tail1.ts.net", "db.tail1.ts.net.", "db", "four", "four.tail1.ts.net", "six", "six.tail1.ts.net", "me",
	"DB.Tail1.TS.net", "dB", "Six", "ME.tail1.ts.net.", "none.tail1.ts.net", "db.none.tail1.ts.net", "none.tail1.ts.net.",
};
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

#define FOR(i, list) for (size_t i = 0; i < sizeof(list) / sizeof(*(list)); i++)

int main(void)
{
	FOR(n, names) {
		print_addrinfo(names[n], "80", NULL);
		FOR(f, families)
			FOR(g, flags)
				print_addrinfo(names[n], "443",
					       &(struct addrinfo){ .ai_family = families[f], .ai_flags = flags[g],
								   .ai_socktype = SOCK_STREAM });
		print_by_name(names[n]);
	}
	FOR(s, services)
		FOR(t, types)
			FOR(f, families)
				print_addrinfo("db.tail1.ts.net", services[s],
					       &(struct addrinfo){ .ai_family = families[f], .ai_socktype = types[t][0],
								   .ai_protocol = types[t][1] });
	print_addrinfo("none.tail1.ts.net", "nosuchservice", &(struct addrinfo){ .ai_socktype = SOCK_STREAM });
	print_by_addr("100.64.0.2");
	print_by_addr("fd7a:115c:a1e0::2");
	print_by_addr("100.64.0.1");
	print_by_addr("fd7a:115c:a1e0::4");
	print_by_addr("::ffff:100.64.0.2");
	print_by_addr("::100.64.0.2");
	return 0;
}
