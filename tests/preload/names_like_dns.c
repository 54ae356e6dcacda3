/* SPDX-License-Identifier: MIT */
/*
 * The answers for full and short names are those of a DNS server that holds the same records, call by call, field by
 * field.
 */
/*
 * expect: same
 * libc: glibc musl
 * status: names.json
 * native-addr: 100.64.0.1/10
 * native-addr: fd7a:115c:a1e0::1/48
 * native-dns: me.tail1.ts.net,100.64.0.1,fd7a:115c:a1e0::1
 * native-dns: db.tail1.ts.net,100.64.0.2,fd7a:115c:a1e0::2
 * native-dns: four.tail1.ts.net,100.64.0.3
 * native-dns: six.tail1.ts.net,fd7a:115c:a1e0::4
 * native-search: tail1.ts.net
 */
#include "netdb_print.h"

static const char *const names[] = {
	"db.tail1.ts.net", "db.tail1.ts.net.", "db", "four", "four.tail1.ts.net", "six", "six.tail1.ts.net", "me",
	"DB.Tail1.TS.net", "dB", "Six", "ME.tail1.ts.net.", "none.tail1.ts.net", "db.none.tail1.ts.net", "none.tail1.ts.net.",
};
int main(void)
{
	print_all(names, sizeof(names) / sizeof(*names), "db.tail1.ts.net");
	print_addrinfo("none.tail1.ts.net", "nosuchservice", &(struct addrinfo){ .ai_socktype = SOCK_STREAM });
	print_by_addr("100.64.0.2");
	print_by_addr("fd7a:115c:a1e0::2");
	print_by_addr("100.64.0.1");
	print_by_addr("fd7a:115c:a1e0::4");
	print_by_addr("::ffff:100.64.0.2");
	print_by_addr("::100.64.0.2");
	return 0;
}
