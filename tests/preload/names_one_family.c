/* SPDX-License-Identifier: MIT */
/* A node that has no IPv6 address in the tailnet gets the others' last, and not at all where AI_ADDRCONFIG asks for what is configured. */
/*
 * expect: same
 * libc: glibc musl
 * status: v4only.json
 * addr: 192.0.2.99/24
 * native-addr: 100.64.0.1/10
 * native-dns: me.tail1.ts.net,100.64.0.1
 * native-dns: db.tail1.ts.net,100.64.0.2,fd7a:115c:a1e0::2
 * native-dns: six.tail1.ts.net,fd7a:115c:a1e0::4
 */
#include "netdb_print.h"

int main(void)
{
	static const char *const names[] = { "db.tail1.ts.net", "six.tail1.ts.net", "me.tail1.ts.net", "100.64.0.2", "fd7a:115c:a1e0::2" };
	static const int families[] = { AF_UNSPEC, AF_INET, AF_INET6 };
	static const int flags[] = {
		0, AI_ADDRCONFIG, AI_V4MAPPED, AI_V4MAPPED | AI_ALL, AI_V4MAPPED | AI_ADDRCONFIG, AI_V4MAPPED | AI_ALL | AI_ADDRCONFIG,
	};

	for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++) {
		for (size_t f = 0; f < sizeof(families) / sizeof(*families); f++)
			for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
				print_addrinfo(names[n], "443",
					       &(struct addrinfo){ .ai_flags = flags[i], .ai_family = families[f], .ai_socktype = SOCK_STREAM });
		print_addrinfo(names[n], "443", NULL);
		print_by_name(names[n]);
	}
	return 0;
}
