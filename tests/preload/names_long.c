/* SPDX-License-Identifier: MIT */
/* Names and labels as long as DNS allows, and longer, fail as with a DNS server; what can be is found. */
/*
 * expect: same
 * libc: glibc musl
 * cflags: -lresolv
 * status: names.json
 * native-search: tail1.ts.net
 * dns: www.example.com,192.0.2.50
 * native-addr: 100.64.0.1/10
 * native-dns: db.tail1.ts.net,100.64.0.2,fd7a:115c:a1e0::2,600
 */
#include <arpa/nameser.h>
#include <resolv.h>

#include "netdb_print.h"

static void show(const char *name)
{
	unsigned char answer[1024];
	int n;

	print_addrinfo(name, "80", &(struct addrinfo){ .ai_socktype = SOCK_STREAM });
	print_addrinfo(name, "80", &(struct addrinfo){ .ai_socktype = SOCK_STREAM, .ai_family = AF_INET });
	print_by_name(name);
	h_errno = 77;
	n = res_query(name, C_IN, T_A, answer, sizeof(answer));
	printf("res_query %d %d\n", n, n < 0 ? h_errno : 0);
	h_errno = 77;
	n = res_search(name, C_IN, T_A, answer, sizeof(answer));
	printf("res_search %d %d\n", n, n < 0 ? h_errno : 0);
}

/* A name of `len` bytes under the suffix, of labels of `label` bytes. */
static void make(char *name, size_t len, size_t label)
{
	static const char suffix[] = ".tail1.ts.net";
	size_t own = len - strlen(suffix);

	for (size_t i = 0; i < own; i++)
		name[i] = i % (label + 1) == label && i + 1 < own ? '.' : 'a';
	strcpy(name + own, suffix);
}

int main(void)
{
	static const size_t labels[] = { 1, 9, 62, 63, 64, 300 };
	char name[1100];

	for (size_t l = 0; l < sizeof(labels) / sizeof(*labels); l++)
		for (size_t len = 70; len < 1030; len += len == 80 ? 170 : len == 258 ? 765 : 1) {
			make(name, len, labels[l]);
			show(name);
			strcat(name, ".");
			show(name);
		}
	/* One label, which is searched for. */
	for (size_t len = 48; len < 260; len += len == 66 ? 170 : 1) {
		memset(name, 'a', len);
		name[len] = '\0';
		show(name);
	}
	return 0;
}
