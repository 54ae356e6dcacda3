/* SPDX-License-Identifier: MIT */
/*
 * Names whose questions go to a name server of their own (dns-route) are answered as libc answers from the same records, call by call,
 * field by field; and the machine's own name server, which would say something else, is never asked for them.
 */
/*
 * expect: same
 * libc: glibc musl
 * sim: --node me,100.64.0.1,fd7a:115c:a1e0::1,self --node dns,100.64.0.53 --node gw,100.64.0.9,route=10.9.0.0/16 --map 100.64.0.53:53=127.0.0.1:5300
 * env: TSPROXY_DNS_ROUTE=corp.example=100.64.0.53,9.10.in-addr.arpa=100.64.0.53,d.f.ip6.arpa=100.64.0.53
 * native-addr: 100.64.0.1/32
 * native-addr: fd7a:115c:a1e0::1/128
 * native-route: 10.9.0.0/16 dev lo src 100.64.0.1
 * leak: address=/corp.example/6.6.6.6
 * leak: address=/corp.example/2001:db8::6
 * leak: ptr-record=1.1.9.10.in-addr.arpa,leaked.example
 * split-dns: host-record=db.corp.example,10.9.1.1
 * split-dns: host-record=both.corp.example,10.9.1.2,fd00:9::2
 * split-dns: host-record=six.corp.example,fd00:9::3
 * split-dns: host-record=many.corp.example,192.0.2.1
 * split-dns: host-record=many.corp.example,10.9.1.5
 * split-dns: host-record=many.corp.example,127.0.0.9
 * split-dns: host-record=many.corp.example,10.9.1.4
 * split-dns: host-record=corp.example,10.9.1.6
 * split-dns: host-record=shared.corp.example,100.64.0.9
 * split-dns: cname=www.corp.example,db.corp.example
 * split-dns: cname=first.corp.example,second.corp.example
 * split-dns: cname=second.corp.example,both.corp.example
 * split-dns: txt-record=text.corp.example,words
 * split-dns: srv-host=_ldap._tcp.corp.example,db.corp.example,389
 * split-dns: ptr-record=7.1.9.10.in-addr.arpa,only-back.corp.example
 */
#include "netdb_print.h"

static const char *const names[] = {
	"db.corp.example", "db.corp.example.", "DB.Corp.Example", "both.corp.example", "six.corp.example", "many.corp.example",
	"corp.example", "Corp.example.", "shared.corp.example", "www.corp.example", "first.corp.example", "FIRST.corp.example.",
	"text.corp.example", "none.corp.example", "none.corp.example.", "a.b.none.corp.example", "_ldap._tcp.corp.example",
	"notcorp.example.", "wrong..corp.example", "-x.corp.example", "x y.corp.example", "..corp.example",
};
static const char *const services[] = { NULL, "80", "http", "nosuchservice", "" };
static const int flags[] = {
	0, AI_CANONNAME, AI_ADDRCONFIG, AI_PASSIVE, AI_V4MAPPED, AI_V4MAPPED | AI_ALL, AI_NUMERICHOST,
	AI_V4MAPPED | AI_ADDRCONFIG | AI_CANONNAME, 0x100000,
};
static const int types[][2] = { { 0, 0 }, { SOCK_DGRAM, 0 }, { SOCK_STREAM, IPPROTO_UDP }, { 77, 0 } };
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
				print_addrinfo("first.corp.example", services[s],
					       &(struct addrinfo){ .ai_family = families[f], .ai_socktype = types[t][0],
								   .ai_protocol = types[t][1] });
	print_addrinfo("none.corp.example", "nosuchservice", &(struct addrinfo){ .ai_socktype = SOCK_STREAM });
	print_by_addr("10.9.1.1");
	print_by_addr("10.9.1.7");
	print_by_addr("10.9.1.200");
	print_by_addr("fd00:9::2");
#ifdef __GLIBC__
	print_by_addr("::ffff:10.9.1.1");
#endif
	print_nameinfo("10.9.1.1", 80, 0, 200, 30);
	print_nameinfo("10.9.1.1", 80, NI_NAMEREQD, 10, 30);
	print_nameinfo("10.9.1.7", 80, NI_NOFQDN, 200, 0);
	print_nameinfo("10.9.1.200", 80, 0, 200, 30);
	print_nameinfo("10.9.1.200", 80, NI_NAMEREQD, 200, 30);
	print_nameinfo("fd00:9::3", 22, NI_DGRAM, 200, 30);
	return 0;
}
