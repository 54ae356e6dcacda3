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
int main(void)
{
	print_all(names, sizeof(names) / sizeof(*names), "first.corp.example");
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
