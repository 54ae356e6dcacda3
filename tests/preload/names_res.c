/* SPDX-License-Identifier: MIT */
/*
 * What res_query and its kin return is, but for the message's ID, what they return where a DNS server holds the same
 * records: the whole message, its length, h_errno.
 */
/*
 * expect: same
 * libc: glibc musl
 * cflags: -lresolv
 * status: names.json
 * native-search: tail1.ts.net
 * dns: else.example,192.0.2.1,600
 * native-dns: me.tail1.ts.net,100.64.0.1,fd7a:115c:a1e0::1,600
 * native-dns: db.tail1.ts.net,100.64.0.2,fd7a:115c:a1e0::2,600
 * native-dns: four.tail1.ts.net,100.64.0.3,600
 * native-dns: six.tail1.ts.net,fd7a:115c:a1e0::4,600
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
	/* A refused question leaves the reply behind, too. A search's last one may be to another question. */
	if (n < 0 && h_errno != NO_RECOVERY && strcmp(call, "res_query") == 0)
		n = 12;
	/* A message that does not fit is cut somewhere: what is beyond its end means nothing. */
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

static void ask_domain(const char *name, const char *domain)
{
	memset(answer, 0x5a, sizeof(answer));
	show("res_querydomain", domain ? domain : "(null)", C_IN, T_A, sizeof(answer),
	     res_querydomain(name, domain, C_IN, T_A, answer, sizeof(answer)));
}

/* The message that libc makes itself, sent as it is: the reply has its ID. */
static void send_own(const char *name, int class, int type)
{
	unsigned char query[512];
	int n = res_mkquery(0, name, class, type, NULL, 0, NULL, query, sizeof(query)), ret;

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
	     res_nquerydomain(s, name, "tail1.ts.net", C_IN, type, answer, sizeof(answer)));
	printf("%d\n", s->res_h_errno);
}
#endif

int main(void)
{
	static const char *const names[] = {
		"db.tail1.ts.net", "DB.tail1.TS.net", "db.tail1.ts.net.", "db", "dB", "four.tail1.ts.net", "six.tail1.ts.net", "six",
		"none.tail1.ts.net", "none.tail1.ts.net.", "a.db.tail1.ts.net", "2.0.64.100.in-addr.arpa",
		"2.0.64.100.IN-ADDR.arpa.", "99.0.64.100.in-addr.arpa", "0.64.100.in-addr.arpa", "02.0.64.100.in-addr.arpa",
		"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa",
		"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.E.1.A.C.5.1.1.A.7.D.F.ip6.arpa",
	};
	static const int types[] = { T_A, T_AAAA, T_PTR, T_MX, T_TXT, T_NS, T_CNAME, T_SRV, T_ANY };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		for (size_t t = 0; t < sizeof(types) / sizeof(*types); t++)
			ask(names[i], C_IN, types[t], sizeof(answer));
	ask("db.tail1.ts.net", C_CHAOS, T_A, sizeof(answer));
	ask("db.tail1.ts.net", C_ANY, T_A, sizeof(answer));
	ask("db..tail1.ts.net", C_IN, T_A, sizeof(answer));
	ask("db.tail1.ts.net..", C_IN, T_A, sizeof(answer));
	ask("db.tail1.ts.net", C_IN, 99999, sizeof(answer));
	for (size_t room = 12; room < 60; room++)
		ask("db.tail1.ts.net", C_IN, T_A, room);
	ask_domain("db", "tail1.ts.net");
	ask_domain("db", "tail1.ts.net.");
	for (size_t t = 0; t < sizeof(types) / sizeof(*types); t++)
		send_own("dB.tail1.ts.net", C_IN, types[t]);
	send_own("none.tail1.ts.net", C_IN, T_A);
	send_own("db.tail1.ts.net", C_CHAOS, T_A);
	send_own("else.example", C_IN, T_A);
	send_own("2.0.64.100.in-addr.arpa", C_IN, T_PTR);
#ifdef __GLIBC__
	struct __res_state s;

	ask_domain("db.tail1.ts.net.", NULL);
	ask_domain("db.tail1.ts.net", "");
	memset(&s, 0, sizeof(s));
	res_ninit(&s);
	ask_state(&s, "db", T_A);
	ask_state(&s, "db.tail1.ts.net", T_AAAA);
	ask_state(&s, "four.tail1.ts.net", T_AAAA);
	ask_state(&s, "none.tail1.ts.net", T_A);
	res_nclose(&s);
#endif
	return 0;
}
