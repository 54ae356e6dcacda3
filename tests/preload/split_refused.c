/* SPDX-License-Identifier: MIT */
/* A name server of split DNS that refuses to look a name up: as where the machine's own does. */
/*
 * expect: same
 * libc: glibc musl
 * dns-refuses: yes
 * sim: --node me,100.64.0.1,self --node dns,100.64.0.53 --map 100.64.0.53:53=127.0.0.1:5300
 * env: TSPROXY_DNS_ROUTE=corp.example=100.64.0.53,9.10.in-addr.arpa=100.64.0.53
 * split-dns: host-record=db.corp.example,10.9.1.1
 */
#include <arpa/nameser.h>
#include <resolv.h>

#include "netdb_print.h"

int main(void)
{
	static const char *const names[] = { "db.corp.example", "none.corp.example", "none.corp.example." };
	unsigned char answer[512];
	int n;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		print_addrinfo(names[i], "80", &(struct addrinfo){ .ai_socktype = SOCK_STREAM });
		print_addrinfo(names[i], "80", &(struct addrinfo){ .ai_family = AF_INET6, .ai_socktype = SOCK_STREAM });
		print_by_name(names[i]);
	}
	print_by_addr("10.9.1.2");
	print_nameinfo("10.9.1.2", 80, 0, 200, 30);
	h_errno = 77;
	n = res_query("none.corp.example", C_IN, T_A, answer, sizeof(answer));
	printf("res_query %d %d\n", n, h_errno);
	return 0;
}
