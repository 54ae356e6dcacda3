/* SPDX-License-Identifier: MIT */
/* A name server of split DNS that is not there is to a program what the machine's own is that is not there. */
/*
 * expect: same
 * libc: glibc musl
 * sim: --node me,100.64.0.1,self --node dns,100.64.0.53 --map 100.64.0.53:53=127.0.0.1:5300
 * env: TSPROXY_DNS_ROUTE=corp.example=100.64.0.53,9.10.in-addr.arpa=100.64.0.53
 * resolv-conf: options timeout:1 attempts:1
 */
#include <arpa/nameser.h>
#include <resolv.h>

#include "netdb_print.h"

int main(void)
{
	unsigned char answer[512], query[512];
	int n;

	print_addrinfo("db.corp.example", "80", &(struct addrinfo){ .ai_socktype = SOCK_STREAM });
	print_addrinfo("db.corp.example", "80", &(struct addrinfo){ .ai_family = AF_INET6 });
	print_addrinfo("db.corp.example", "nosuchservice", &(struct addrinfo){ .ai_socktype = SOCK_STREAM });
	print_by_name("db.corp.example");
	print_by_addr("10.9.1.1");
	print_nameinfo("10.9.1.1", 80, 0, 200, 30);
	print_nameinfo("10.9.1.1", 80, NI_NAMEREQD, 200, 30);
	h_errno = 77;
	n = res_query("db.corp.example", C_IN, T_A, answer, sizeof(answer));
	printf("res_query %d %d\n", n, h_errno);
	h_errno = 77;
	n = res_search("db.corp.example", C_IN, T_A, answer, sizeof(answer));
	printf("res_search %d %d\n", n, h_errno);
	n = res_mkquery(0, "db.corp.example", C_IN, T_A, NULL, 0, NULL, query, sizeof(query));
#ifdef __GLIBC__
	errno = 0;
	n = res_send(query, n, answer, sizeof(answer));
	printf("res_send %d %s\n", n, strerror(errno));
#endif
	return 0;
}
