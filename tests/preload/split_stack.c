/* SPDX-License-Identifier: MIT */
/* A thread whose stack is the smallest that there is (libc's own lookup just fits) looks names up as ever, whosever they are. */
/*
 * expect: same
 * libc: glibc musl
 * cflags: -pthread
 * sim: --node me,100.64.0.1,self --node dns,100.64.0.53 --map 100.64.0.53:53=127.0.0.1:5300
 * env: TSPROXY_DNS_ROUTE=corp.example=100.64.0.53
 * dns: www.example.com,192.0.2.50
 * split-dns: host-record=db.corp.example,10.9.1.1
 */
#include <limits.h>
#include <pthread.h>

#include "netdb_print.h"

static char results[200];

static void *look_up(void *name)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *res;
	char text[INET_ADDRSTRLEN] = "";
	int ret = getaddrinfo(name, NULL, &hints, &res);

	if (ret == 0) {
		inet_ntop(AF_INET, &((struct sockaddr_in *)res->ai_addr)->sin_addr, text, sizeof(text));
		freeaddrinfo(res);
	}
	strcat(strcat(results, text), ret ? "none\n" : "\n");
	return NULL;
}

int main(void)
{
	static char *const names[] = { "www.example.com", "db.corp.example", "none.corp.example", "none.example.com" };
	pthread_attr_t small;
	pthread_t thread;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN < 16384 ? 16384 : PTHREAD_STACK_MIN);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		pthread_create(&thread, &small, look_up, names[i]);
		pthread_join(thread, NULL);
	}
	printf("%s", results);
	return 0;
}
