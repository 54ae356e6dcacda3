/* SPDX-License-Identifier: MIT */
/* getnameinfo with every flag and every amount of room answers as a DNS server that holds the same records. */
/*
 * expect: same
 * libc: glibc musl
 * status: names.json
 * native-dns: db.tail1.ts.net,100.64.0.2,fd7a:115c:a1e0::2
 */
#include "netdb_print.h"

int main(void)
{
	static const char *const addrs[] = { "100.64.0.2", "fd7a:115c:a1e0::2", "127.0.0.1", "::ffff:100.64.0.2" };
	static const int flags[] = {
		0, NI_NAMEREQD, NI_NUMERICHOST, NI_NUMERICSERV, NI_DGRAM, NI_NUMERICHOST | NI_NUMERICSERV,
		NI_NAMEREQD | NI_NUMERICSERV, NI_NAMEREQD | NI_NUMERICHOST, NI_NOFQDN, 32 /* NI_IDN */, 0x4000,
	};
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(22) };
	char host[NI_MAXHOST], serv[NI_MAXSERV];

	for (size_t a = 0; a < sizeof(addrs) / sizeof(*addrs); a++)
		for (size_t f = 0; f < sizeof(flags) / sizeof(*flags); f++) {
			print_nameinfo(addrs[a], 22, flags[f], NI_MAXHOST, NI_MAXSERV);
			print_nameinfo(addrs[a], 512, flags[f], NI_MAXHOST, NI_MAXSERV);
			print_nameinfo(addrs[a], 1, flags[f], NI_MAXHOST, 0);
			print_nameinfo(addrs[a], 22, flags[f], 0, NI_MAXSERV);
			print_nameinfo(addrs[a], 22, flags[f], 0, 0);
			for (socklen_t room = 1; room < 30; room++)
				print_nameinfo(addrs[a], 22, flags[f], room, NI_MAXSERV);
			print_nameinfo(addrs[a], 22, flags[f], NI_MAXHOST, 2);
		}
	inet_pton(AF_INET, "100.64.0.2", &in.sin_addr);
	for (socklen_t len = 0; len <= sizeof(in); len++)
		printf("length %u: %d\n", len,
		       getnameinfo((struct sockaddr *)&in, len, host, sizeof(host), serv, sizeof(serv), 0));
	in.sin_family = 77;
	printf("family 77: %d\n",
	       getnameinfo((struct sockaddr *)&in, sizeof(in), host, sizeof(host), serv, sizeof(serv), 0));
	return 0;
}
