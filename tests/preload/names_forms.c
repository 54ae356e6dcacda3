/* SPDX-License-Identifier: MIT */
/* Every way to write a node's name finds it, and what is not to be found is not. */
/*
 * libc: glibc musl
 * status: names.json
 * valgrind: yes
 * expect: db 100.64.0.2
 * expect: DB 100.64.0.2
 * expect: db. 100.64.0.2
 * expect: dB.tail1.TS.net 100.64.0.2
 * expect: DB.TAIL1.TS.NET. 100.64.0.2
 * expect: me 100.64.0.1
 * expect: 10 0.0.0.10
 * expect: 10.tail1.ts.net 100.64.0.5
 * expect: localhost 127.0.0.1
 * expect: none.tail1.ts.net -2
 * expect: a.db.tail1.ts.net -2
 * expect: six -5 or -2
 */
#include "netdb_print.h"

static void look(const char *name)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *res;
	char host[NI_MAXHOST];
	int ret = getaddrinfo(name, "80", &hints, &res);

	if (ret == EAI_NODATA || (ret == EAI_NONAME && strcmp(name, "six") == 0)) {
		printf("%s -5 or -2\n", name);
		return;
	}
	if (ret) {
		printf("%s %d\n", name, ret);
		return;
	}
	getnameinfo(res->ai_addr, res->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST);
	printf("%s %s\n", name, host);
	freeaddrinfo(res);
}

int main(void)
{
	static const char *const names[] = {
		"db", "DB", "db.", "dB.tail1.TS.net", "DB.TAIL1.TS.NET.", "me", "10", "10.tail1.ts.net", "localhost",
		"none.tail1.ts.net", "a.db.tail1.ts.net", "six",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		look(names[i]);
	return 0;
}
