/* SPDX-License-Identifier: MIT */
/*
 * AI_ADDRCONFIG counts the tailnet's families as configured, for names and for the tailnet's numbers, on a machine whose own network has
 * IPv4 only. Null hints mean it, too.
 */
/*
 * expect: same
 * libc: glibc musl
 * status: names.json
 * addr: 192.0.2.99/24
 * native-addr: 100.64.0.1/10
 * native-addr: fd7a:115c:a1e0::1/48
 * native-dns: db.tail1.ts.net,100.64.0.2,fd7a:115c:a1e0::2
 * native-dns: six.tail1.ts.net,fd7a:115c:a1e0::4
 */
#include "netdb_print.h"

int main(void)
{
	static const char *const names[] = {
		"100.64.0.2", "fd7a:115c:a1e0::2", "100.64.0.1", "fd7a:115c:a1e0::4", "db.tail1.ts.net", "six.tail1.ts.net",
	};
	static const int families[] = { AF_UNSPEC, AF_INET, AF_INET6 };
	static const int flags[] = {
		AI_ADDRCONFIG, AI_ADDRCONFIG | AI_V4MAPPED, AI_ADDRCONFIG | AI_V4MAPPED | AI_ALL, AI_ADDRCONFIG | AI_CANONNAME,
		AI_ADDRCONFIG | AI_PASSIVE | AI_NUMERICSERV, AI_ADDRCONFIG | AI_NUMERICHOST, 0,
	};

	for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++) {
		for (size_t f = 0; f < sizeof(families) / sizeof(*families); f++)
			for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
				print_addrinfo(names[n], "443",
					       &(struct addrinfo){ .ai_flags = flags[i], .ai_family = families[f], .ai_socktype = SOCK_STREAM });
		print_addrinfo(names[n], "443", NULL);
	}
	return 0;
}
