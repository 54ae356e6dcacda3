/* SPDX-License-Identifier: MIT */
/* In split DNS the resolver's own calls return the server's message, of whatever type, as libc does from the same server. */
/*
 * expect: same
 * libc: glibc musl
 * sim: --node me,100.64.0.1,self --node dns,100.64.0.53 --map 100.64.0.53:53=127.0.0.1:5300
 * env: TSPROXY_DNS_ROUTE=corp.example=100.64.0.53,9.10.in-addr.arpa=100.64.0.53
 * leak: address=/corp.example/6.6.6.6
 * leak: txt-record=text.corp.example,leaked
 * leak: ptr-record=1.1.9.10.in-addr.arpa,leaked.example
 * split-dns: host-record=db.corp.example,10.9.1.1,fd00:9::1
 * split-dns: cname=www.corp.example,db.corp.example
 * split-dns: txt-record=text.corp.example,words,and,more words
 * split-dns: mx-host=corp.example,db.corp.example,10
 * split-dns: srv-host=_ldap._tcp.corp.example,db.corp.example,389
 */
#include <arpa/nameser.h>
#include <resolv.h>

#include "netdb_print.h"

static unsigned char answer[600];

static void show(const char *call, const char *name, int class, int type, size_t room, int n)
{
	printf("%s %s class %d type %d room %zu: %d", call, name, class, type, room, n);
	if (n < 0)
		printf(" h_errno %d", h_errno);
	if (n < 0 && h_errno != NO_RECOVERY && strcmp(call, "res_query") == 0)
		n = 12;
	for (int i = 2; i < n && i < (int)room; i++)
		printf("%s%02x", i == 2 ? " " : "", answer[i]);
	for (size_t i = room; i < sizeof(answer); i++)
		if (answer[i] != 0x5a)
			printf(" byte %zu touched", i);
	printf("\n");
}

static void ask(const char *name, int class, int type, size_t room)
{
	memset(answer, 0x5a, sizeof(answer));
	h_errno = 77;
	show("res_query", name, class, type, room, res_query(name, class, type, answer, (int)room));
	memset(answer, 0x5a, sizeof(answer));
	h_errno = 77;
	show("res_search", name, class, type, room, res_search(name, class, type, answer, (int)room));
}

static void send_own(const char *name, int class, int type, int recurse)
{
	unsigned char query[512];
	int n = res_mkquery(0, name, class, type, NULL, 0, NULL, query, sizeof(query)), ret;

	if (!recurse)
		query[2] &= ~1;
	memset(answer, 0x5a, sizeof(answer));
	ret = res_send(query, n, answer, sizeof(answer));
	printf("ID %s ", ret > 0 && memcmp(answer, query, 2) == 0 ? "kept" : "lost");
	show("res_send", name, class, type, sizeof(answer), ret);
}

#ifdef __GLIBC__
static void ask_state(struct __res_state *s, const char *name, int type)
{
	memset(answer, 0x5a, sizeof(answer));
	s->res_h_errno = 77;
	show("res_nquery", name, C_IN, type, sizeof(answer), res_nquery(s, name, C_IN, type, answer, sizeof(answer)));
	printf("%d\n", s->res_h_errno);
	memset(answer, 0x5a, sizeof(answer));
	s->res_h_errno = 77;
	show("res_nsearch", name, C_IN, type, sizeof(answer), res_nsearch(s, name, C_IN, type, answer, sizeof(answer)));
	printf("%d\n", s->res_h_errno);
	memset(answer, 0x5a, sizeof(answer));
	show("res_nquerydomain", name, C_IN, type, sizeof(answer),
	     res_nquerydomain(s, name, "corp.example", C_IN, type, answer, sizeof(answer)));
	printf("%d\n", s->res_h_errno);
}
#endif

int main(void)
{
	static const char *const names[] = {
		"db.corp.example", "DB.corp.Example", "db.corp.example.", "www.corp.example", "text.corp.example", "corp.example",
		"_ldap._tcp.corp.example", "none.corp.example", "none.corp.example.", "1.1.9.10.in-addr.arpa", "1.1.9.10.IN-ADDR.arpa.",
		"200.1.9.10.in-addr.arpa", "1.9.10.in-addr.arpa", "x y.corp.example", "*.corp.example",
	};
	static const int types[] = { T_A, T_AAAA, T_PTR, T_MX, T_TXT, T_NS, T_CNAME, T_SRV, T_ANY, T_SOA, 65 };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		for (size_t t = 0; t < sizeof(types) / sizeof(*types); t++)
			ask(names[i], C_IN, types[t], sizeof(answer));
	ask("db.corp.example", C_CHAOS, T_A, sizeof(answer));
	ask("text.corp.example", C_CHAOS, T_TXT, sizeof(answer));
	ask("db..corp.example", C_IN, T_A, sizeof(answer));
	for (size_t t = 0; t < sizeof(types) / sizeof(*types); t++)
		send_own("dB.corp.example", C_IN, types[t], 1);
	send_own("none.corp.example", C_IN, T_A, 1);
	send_own("db.corp.example", C_IN, T_A, 0);
	send_own("db.corp.example", C_CHAOS, T_A, 1);
	send_own("else.example", C_IN, T_A, 1);
	send_own("1.1.9.10.in-addr.arpa", C_IN, T_PTR, 1);
#ifdef __GLIBC__
	struct __res_state s;

	memset(&s, 0, sizeof(s));
	res_ninit(&s);
	ask_state(&s, "db.corp.example", T_AAAA);
	ask_state(&s, "text.corp.example", T_TXT);
	ask_state(&s, "none.corp.example", T_A);
	ask_state(&s, "db", T_A);
	res_nclose(&s);
#endif
	return 0;
}
