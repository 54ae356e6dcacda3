/* SPDX-License-Identifier: MIT */
/* What is the tailnet's never asks a DNS server, found or not; what is not does, or this would show nothing. */
/*
 * libc: glibc musl
 * cflags: -lresolv
 * status: names.json
 * expect: tailnet 0
 * expect: others some
 */
#include <arpa/nameser.h>
#include <resolv.h>

#include "dns_counter.h"
#include "netdb_print.h"

#ifdef __GLIBC__
#define SEARCHES 1
#else
#define SEARCHES 0
#endif

int main(void)
{
	static const char *const ours[] = {
		"db", "db.tail1.ts.net", "none.tail1.ts.net", "none.tail1.ts.net.", "a.none.TAIL1.ts.net", "six",
	};
	static const unsigned char node[4] = { 100, 64, 0, 2 }, nameless[4] = { 100, 64, 0, 6 };
	const volatile int *count = dns_counter_start();
	struct sockaddr_in in = { .sin_family = AF_INET };
	char host[NI_MAXHOST];
	unsigned char answer[512];
	struct addrinfo *res;

	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
		for (int f = 0; f < 3; f++) {
			static const int families[] = { AF_UNSPEC, AF_INET, AF_INET6 };
			struct addrinfo hints = { .ai_family = families[f] };

			if (getaddrinfo(ours[i], "80", &hints, &res) == 0)
				freeaddrinfo(res);
		}
		gethostbyname(ours[i]);
		gethostbyname2(ours[i], AF_INET6);
		/* musl's res_search does not search: a short name is DNS's. */
		if (strchr(ours[i], '.') || SEARCHES)
			res_search(ours[i], C_IN, T_MX, answer, sizeof(answer));
		if (strchr(ours[i], '.'))
			res_query(ours[i], C_IN, T_ANY, answer, sizeof(answer));
	}
	gethostbyaddr(node, 4, AF_INET);
	gethostbyaddr(nameless, 4, AF_INET);
	res_query("6.0.64.100.in-addr.arpa", C_IN, T_PTR, answer, sizeof(answer));
	memcpy(&in.sin_addr, nameless, 4);
	getnameinfo((struct sockaddr *)&in, sizeof(in), host, sizeof(host), NULL, 0, 0);
	getnameinfo((struct sockaddr *)&in, sizeof(in), host, sizeof(host), NULL, 0, NI_NAMEREQD);
	printf("tailnet %d\n", *count);
	if (getaddrinfo("www.example.com", "80", NULL, &res) == 0)
		return 1;
	printf("others %s\n", *count ? "some" : "none");
	return 0;
}
