/* SPDX-License-Identifier: MIT */
/* HOSTALIASES may name a node, and comes after /etc/hosts; an alias that is a node's name, too, is an alias. */
/*
 * expect: same
 * libc: glibc musl
 * cflags: -lresolv
 * status: names.json
 * hosts: 192.0.2.7 hosted
 * native-search: tail1.ts.net
 * dns: www.example.com,192.0.2.50,2001:db8::50,600
 * native-dns: me.tail1.ts.net,100.64.0.1,fd7a:115c:a1e0::1,600
 * native-dns: db.tail1.ts.net,100.64.0.2,fd7a:115c:a1e0::2,600
 * native-dns: four.tail1.ts.net,100.64.0.3,600
 */
#include <arpa/nameser.h>
#include <resolv.h>
#include <unistd.h>

#include "netdb_print.h"

static const char aliases[] = "# a comment\nx db.tail1.ts.net\n  indented four.tail1.ts.net\nWeb\twww.example.com and more\nfour db.tail1.ts.net.\n"
			      "gone none.tail1.ts.net\nhosted four.tail1.ts.net\nshort db\nalone\nlast me.tail1.ts.net\n";

int main(int argc, char **argv)
{
	static const char *const names[] = {
		"x", "X", "x.", "indented", "web", "four", "gone", "hosted", "short", "alone", "last", "db", "me", "x.tail1.ts.net",
	};
	unsigned char answer[600];
	char path[300];
	FILE *f;

	if (!getenv("HOSTALIASES")) {
		snprintf(path, sizeof(path), "%s/aliases", getenv("TEST_DIR"));
		f = fopen(path, "w");
		fputs(aliases, f);
		fclose(f);
		setenv("HOSTALIASES", path, 1);
		execv(argv[0], argv);
		return 1;
	}
	(void)argc;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		print_addrinfo(names[i], "80", &(struct addrinfo){ .ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME });
		print_by_name(names[i]);
		for (int search = 0; search < 2; search++) {
			int n = search ? res_search(names[i], C_IN, T_A, answer, sizeof(answer)) :
					 res_query(names[i], C_IN, T_A, answer, sizeof(answer));

			printf("%s %s %d", search ? "res_search" : "res_query", names[i], n);
			for (int k = 2; k < n; k++)
				printf(" %02x", answer[k]);
			printf("\n");
		}
	}
	return 0;
}
