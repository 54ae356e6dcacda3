/* SPDX-License-Identifier: MIT */
/* Many addresses, many aliases, many names of one address: in libc's order, as many as libc gives. */
/*
 * expect: same
 * libc: glibc
 * sim: --node me,100.64.0.1,fd7a:115c:a1e0::1,self --node dns,100.64.0.53 --node gw,100.64.0.9,route=10.9.0.0/16 --map 100.64.0.53:53=127.0.0.1:5300
 * env: TSPROXY_DNS_ROUTE=corp.example=100.64.0.53,9.10.in-addr.arpa=100.64.0.53
 * native-addr: 100.64.0.1/32
 * native-addr: fd7a:115c:a1e0::1/128
 * native-route: 10.9.0.0/16 dev lo src 100.64.0.1
 * native-route: 100.64.0.0/10 dev lo src 100.64.0.1
 * split-dns: host-record=big.corp.example,10.9.2.1..60
 * split-dns: host-record=big.corp.example,fd00:9::1..60
 * split-dns: host-record=mixed.corp.example,10.9.2.1,fd00:9::1
 * split-dns: host-record=mixed.corp.example,192.168.1.1,fe80::1
 * split-dns: host-record=mixed.corp.example,127.0.0.1,2001:db8::1
 * split-dns: host-record=mixed.corp.example,169.254.1.1,fd7a:115c:a1e0::1
 * split-dns: host-record=mixed.corp.example,100.64.0.1,::1
 * split-dns: host-record=mixed.corp.example,100.64.0.53,2002::1
 * split-dns: ptr-record=7.1.9.10.in-addr.arpa,one.corp.example
 * split-dns: ptr-record=7.1.9.10.in-addr.arpa,two.corp.example
 * split-dns: host-record=end.corp.example,10.9.3.1
 * split-dns: cname=a1.corp.example,end.corp.example
 * split-dns: cname=a2.corp.example,a1.corp.example
 * split-dns: cname=a3.corp.example,a2.corp.example
 * split-dns: cname=a4.corp.example,a3.corp.example
 * split-dns: cname=a5.corp.example,a4.corp.example
 */
#include "netdb_print.h"

int main(void)
{
	static const char *const names[] = { "big.corp.example", "mixed.corp.example", "a5.corp.example" };
	static const int families[] = { AF_UNSPEC, AF_INET, AF_INET6 };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		for (size_t f = 0; f < 3; f++) {
			print_addrinfo(names[i], "80", &(struct addrinfo){ .ai_socktype = SOCK_STREAM, .ai_family = families[f],
									   .ai_flags = AI_CANONNAME });
			print_addrinfo(names[i], NULL, &(struct addrinfo){ .ai_family = families[f], .ai_flags = AI_V4MAPPED | AI_ALL });
		}
		print_by_name(names[i]);
	}
	print_by_addr("10.9.1.7");
	print_nameinfo("10.9.1.7", 80, 0, 200, 30);
	return 0;
}
