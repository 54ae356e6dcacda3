/* SPDX-License-Identifier: MIT */
/*
 * The calls that return a hostent or a DNS message, with names, families, types, classes and rooms that are drawn together at random, and
 * with what changes the resolver's ways in the environment, are what they are where a DNS server holds the same records. The arguments are
 * where the drawing begins, and NAME=VALUE.
 */
/*
 * run: 1
 * run: 3 RES_OPTIONS=ndots:4
 * run: 4 RES_OPTIONS=use-vc
 * run: 6 RES_OPTIONS=no-tld-query
 * run: 7 RES_OPTIONS=single-request
 * run: 8 LOCALDOMAIN=tail1.ts.net
 * run: 9 RES_OPTIONS=trust-ad
 * expect: same
 * libc: glibc musl
 * cflags: -lresolv
 * status: names.json
 * native-search: tail1.ts.net
 * dns: www.example.com,192.0.2.50,2001:db8::50,600
 * native-dns: me.tail1.ts.net,100.64.0.1,fd7a:115c:a1e0::1,600
 * native-dns: db.tail1.ts.net,100.64.0.2,fd7a:115c:a1e0::2,600
 * native-dns: four.tail1.ts.net,100.64.0.3,600
 * native-dns: localhost.tail1.ts.net,100.64.0.8,600
 * native-dns: six.tail1.ts.net,fd7a:115c:a1e0::4,600
 */
#include <arpa/nameser.h>
#include <resolv.h>

#include "draw.h"
#include "netdb_print.h"

enum { DRAWS = 1500 };

static const char *const names[] = {
	"db", "db.tail1.ts.net", "dB.Tail1.ts.net.", "four", "four.tail1.ts.net", "six", "six.tail1.ts.net", "me",
	"none.tail1.ts.net", "a.b.none.tail1.ts.net", "none.tail1.ts.net.", "www.example.com", "www.example.com.", "localhost",
	"100.64.0.2", "fd7a:115c:a1e0::2", "2.0.64.100.in-addr.arpa", "3.0.64.100.in-addr.arpa.", "", ".", "db..tail1.ts.net",
	"-db.tail1.ts.net", "db_.tail1.ts.net", "_srv._tcp.db.tail1.ts.net", "*.tail1.ts.net", ".db.tail1.ts.net",
	"d b.tail1.ts.net", "\303\274.tail1.ts.net",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.tail1.ts.net",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.tail1.ts.net",
#ifdef __GLIBC__	/* musl sends what no server answers */
	"..", "db.tail1.ts.net..",
#endif
};
static const int families[] = { AF_INET, AF_INET6 };	/* with others glibc aborts */
static const int types[] = { T_A, T_A, T_AAAA, T_AAAA, T_PTR, T_MX, T_TXT, T_SRV, T_CNAME, T_SOA, T_ANY, 65, 257, 0, 65535, 65536, -1 };
static const int classes[] = { C_IN, C_IN, C_IN, C_IN, C_IN, 65536, -1 };
static const int rooms[] = { 600, 512, 100 };
#ifdef __GLIBC__
static const char *const domains[] = { "tail1.ts.net", "tail1.ts.net.", "", "example.com", "." };
#else
static const char *const domains[] = { "tail1.ts.net", "tail1.ts.net.", "example.com" };
#endif

static void show(const char *call, const char *name, int class, int type, int room, const unsigned char *answer, int n)
{
	printf("%s %s class %d type %d room %d: %d", call, name, class, type, room, n);
	if (n < 0)
		printf(" h_errno %d", h_errno);
	for (int i = 2; i < n && i < room; i++)
		printf("%s%02x", i == 2 ? " " : "", answer[i]);
	printf("\n");
}

static void message(void)
{
	static unsigned char answer[600];
	const char *name = ONE_OF(names), *domain = ONE_OF(domains);
	int class = ONE_OF(classes), type = ONE_OF(types), room = ONE_OF(rooms);

	h_errno = 77;
	switch (draw(3)) {
	case 0:
		show("res_query", name, class, type, room, answer, res_query(name, class, type, answer, room));
		break;
	case 1:
		show("res_search", name, class, type, room, answer, res_search(name, class, type, answer, room));
		break;
	default:
		printf("%s: ", domain);
		show("res_querydomain", name, class, type, room, answer, res_querydomain(name, domain, class, type, answer, room));
	}
}

static void host(void)
{
	const char *name = ONE_OF(names);
	int family = ONE_OF(families), herr = 77, ret;
	struct hostent h, *res = NULL;
	char buf[2048];

	h_errno = 77;
	switch (draw(4)) {
	case 0:
		res = gethostbyname(name);
		print_hostent("gethostbyname", name, res, h_errno);
		break;
	case 1:
		printf("family %d ", family);
		res = gethostbyname2(name, family);
		print_hostent("gethostbyname2", name, res, h_errno);
		break;
	case 2:
		ret = gethostbyname_r(name, &h, buf, sizeof(buf), &res, &herr);
		printf("%d %d ", ret, herr);
		print_hostent("gethostbyname_r", name, res, herr);
		break;
	default:
		ret = gethostbyname2_r(name, family, &h, buf, sizeof(buf), &res, &herr);
		printf("family %d: %d %d ", family, ret, herr);
		print_hostent("gethostbyname2_r", name, res, herr);
	}
}

int main(int argc, char **argv)
{
	state = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	if (argc > 2)
		putenv(argv[2]);
	for (int i = 0; i < DRAWS; i++)
		draw(2) ? message() : host();
	return 0;
}
