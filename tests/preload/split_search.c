/* SPDX-License-Identifier: MIT */
/*
 * A domain of resolv.conf's search list that has a name server of its own: names are looked up there in the list's order, and the
 * machine's name server is never asked for them. The others of the list are that one's as before.
 */
/*
 * expect: same
 * libc: glibc musl
 * run: 1
 * run: 2
 * sim: --node me,100.64.0.1,self --node dns,100.64.0.53 --map 100.64.0.53:53=127.0.0.1:5300
 * env: TSPROXY_DNS_ROUTE=corp.example=100.64.0.53
 * resolv-conf: search first.example deep.corp.example corp.example last.example
 * dns: both.first.example,10.1.1.1
 * dns: only-last.last.example,10.1.1.2
 * dns: a.b,10.1.1.3
 * dns: top,10.1.1.9
 * leak: address=/corp.example/6.6.6.6
 * hosts: 127.0.0.7 inhosts
 * split-dns: host-record=both.corp.example,10.9.1.1
 * split-dns: host-record=db.corp.example,10.9.1.2
 * split-dns: host-record=x.y.corp.example,10.9.1.3
 * split-dns: host-record=inhosts.corp.example,10.9.1.4
 * split-dns: host-record=db2.deep.corp.example,10.9.1.5
 * split-dns: cname=www.corp.example,db.corp.example
 * split-dns: txt-record=text.corp.example,words
 */
#include <arpa/nameser.h>
#include <resolv.h>

#include "netdb_print.h"

static void search(const char *name, int type)
{
	unsigned char answer[600];
	int n = res_search(name, C_IN, type, answer, sizeof(answer));

	printf("res_search %s %d: %d h_errno %d", name, type, n, n < 0 ? h_errno : 0);
	for (int i = 2; i < n; i++)
		printf("%s%02x", i == 2 ? " " : "", answer[i]);
	printf("\n");
}

int main(int argc, char **argv)
{
	static const char *const names[] = {
		"both", "db", "DB", "x.y", "inhosts", "db2", "www", "only-last", "nowhere", "a.b", "a.c", "top", "db.", "text", "127.1",
		"localhost", "db.corp.example", "b d",
	};

	(void)argc;
	if (*argv[1] == '2')
		setenv("RES_OPTIONS", "ndots:3", 1);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		print_addrinfo(names[i], "80", &(struct addrinfo){ .ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME });
		print_addrinfo(names[i], "80", &(struct addrinfo){ .ai_socktype = SOCK_STREAM, .ai_family = AF_INET6 });
#ifdef __GLIBC__
		print_by_name(names[i]);
#endif
		search(names[i], T_A);
		search(names[i], T_TXT);
	}
	print_addrinfo("db", "nosuchservice", &(struct addrinfo){ .ai_socktype = SOCK_STREAM });
	return 0;
}
