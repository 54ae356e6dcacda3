/* SPDX-License-Identifier: MIT */
/*
 * Numbers, localhost and /etc/hosts come before the tailnet, as natively, and what is not the tailnet's is left to
 * DNS.
 */
/*
 * expect: same
 * libc: glibc musl
 * status: names.json
 * hosts: 192.0.2.7 known.tail1.ts.net known
 * hosts: 192.0.2.8 alias.tail1.ts.net # six.tail1.ts.net
 * hosts: 2001:db8::7 both
 * hosts: 192.0.2.9 both	tabbed
 * hosts: 100.64.0.5 ten.example
 * native-addr: 100.64.0.1/10
 * native-addr: fd7a:115c:a1e0::1/48
 * dns: www.example.com,192.0.2.50,2001:db8::50
 * dns: else.ts.net,192.0.2.51
 * native-dns: known.tail1.ts.net,100.64.0.7,fd7a:115c:a1e0::7
 * native-search: tail1.ts.net
 * native-dns: db.tail1.ts.net,100.64.0.2,fd7a:115c:a1e0::2
 * native-dns: six.tail1.ts.net,fd7a:115c:a1e0::4
 * native-dns: me.tail1.ts.net,100.64.0.1,fd7a:115c:a1e0::1
 */
#include "netdb_print.h"

int main(void)
{
	static const char *const names[] = {
		"www.example.com", "else.ts.net", "none.example.com", "known", "known.tail1.ts.net",
		"alias.tail1.ts.net", "both", "tabbed", "localhost", "localhost.", "127.1", "10", "0x64400002",
		"0144.64.2", "100.64.0.2", "fd7a:115c:a1e0::2", "::ffff:100.64.0.2", "six.tail1.ts.net",
		"db.tail1.ts.net",
	};
	static const int families[] = { AF_UNSPEC, AF_INET };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		for (int f = 0; f < 2; f++)
			print_addrinfo(names[i], "22",
				       &(struct addrinfo){ .ai_family = families[f], .ai_socktype = SOCK_STREAM,
							   .ai_flags = AI_CANONNAME });
		print_by_name(names[i]);
	}
	print_addrinfo(NULL, "22", &(struct addrinfo){ .ai_socktype = SOCK_STREAM });
	print_addrinfo(NULL, "22", &(struct addrinfo){ .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE });
	print_addrinfo("db.tail1.ts.net", NULL, &(struct addrinfo){ .ai_socktype = SOCK_STREAM });
	print_addrinfo(NULL, NULL, NULL);
	print_addrinfo("", "22", NULL);
	print_by_addr("100.64.0.5");
	print_by_addr("192.0.2.7");
	print_by_addr("127.0.0.1");
	return 0;
}
