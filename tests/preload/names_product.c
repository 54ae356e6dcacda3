/* SPDX-License-Identifier: MIT */
/*
 * getaddrinfo with names, services, flags, families, socket types and protocols that are drawn together at random, sensible or not, is
 * what it is where a DNS server holds the same records. The argument is where the drawing begins.
 */
/*
 * run: 1
 * run: 2
 * expect: same
 * libc: glibc musl
 * status: names.json
 * dns: www.example.com,192.0.2.50,2001:db8::50
 * addr: 192.0.2.99/32
 * addr: 2001:db8::99/128
 * native-addr: 100.64.0.1/10
 * native-addr: fd7a:115c:a1e0::1/48
 * native-dns: me.tail1.ts.net,100.64.0.1,fd7a:115c:a1e0::1
 * native-dns: db.tail1.ts.net,100.64.0.2,fd7a:115c:a1e0::2
 * native-dns: four.tail1.ts.net,100.64.0.3
 * native-dns: six.tail1.ts.net,fd7a:115c:a1e0::4
 * native-search: tail1.ts.net
 */
#include "draw.h"
#include "netdb_print.h"

enum { DRAWS = 6000 };

static const char *const names[] = {
	"db", "db.tail1.ts.net", "dB.tail1.ts.net.", "four", "four.tail1.ts.net", "six", "six.tail1.ts.net", "me",
	"none.tail1.ts.net", "www.example.com", "localhost", "100.64.0.2", "fd7a:115c:a1e0::2", "::ffff:100.64.0.2", NULL,
};
static const char *const services[] = {
	NULL, "80", "443", "http", "domain", "ntp", "tftp", "HTTP", "nosuchservice", "0", "65535", "65536", "-1", "", " 80", "080", "0x50", "80x",
};
static const int families[] = { AF_UNSPEC, AF_UNSPEC, AF_INET, AF_INET, AF_INET6, AF_INET6, AF_UNIX, 77, -1 };
static const int types[] = { 0, 0, SOCK_STREAM, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_DCCP, SOCK_RDM, 77, -1 };
static const int protocols[] = {
	0, 0, 0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_DCCP, IPPROTO_UDPLITE, IPPROTO_ICMP, IPPROTO_RAW, 77, -1,
};
/* Up to AI_NUMERICSERV each bit means something to glibc, or is refused. */
static const int flags[] = { 0, 1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x100, 0x200, 0x400, 0x800, 0x100000 };

int main(int argc, char **argv)
{
	state = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	for (int i = 0; i < DRAWS; i++) {
		struct addrinfo hints = { .ai_family = ONE_OF(families), .ai_socktype = ONE_OF(types), .ai_protocol = ONE_OF(protocols) };
		const char *name = ONE_OF(names), *service = ONE_OF(services);

		for (size_t n = draw(6); n; n--)
			hints.ai_flags |= ONE_OF(flags);
		print_addrinfo(name, service, draw(20) ? &hints : NULL);
	}
	return 0;
}
