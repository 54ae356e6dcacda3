/* SPDX-License-Identifier: MIT */
/* A process that can open nothing more is told so of a name in split DNS as of any, and later looks it up. */
/*
 * expect: same
 * sim: --node me,100.64.0.1,self --node dns,100.64.0.53 --map 100.64.0.53:53=127.0.0.1:5300
 * env: TSPROXY_DNS_ROUTE=corp.example=100.64.0.53
 * split-dns: host-record=db.corp.example,10.9.1.1
 */
#include <errno.h>
#include <sys/resource.h>

#include "netdb_print.h"

int main(void)
{
	struct rlimit old, none;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *res;
	int ret;

	/* So that all that is read once has been. */
	getaddrinfo("other.example", NULL, &hints, &res);
	getrlimit(RLIMIT_NOFILE, &old);
	none = old;
	none.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &none);
	errno = 0;
	ret = getaddrinfo("db.corp.example", NULL, &hints, &res);
	printf("%d %s\n", ret, ret == EAI_SYSTEM ? strerror(errno) : "");
	errno = 0;
	printf("%d", gethostbyname("db.corp.example") != NULL);
	printf(" %d %s\n", h_errno, strerror(errno));
	setrlimit(RLIMIT_NOFILE, &old);
	print_addrinfo("db.corp.example", "80", &hints);
	return 0;
}
