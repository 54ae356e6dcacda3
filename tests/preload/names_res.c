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
#include "res_print.h"

static void ask_domain(const char *name, const char *domain)
{
	memset(answer, 0x5a, sizeof(answer));
	show("res_querydomain", domain ? domain : "(null)", C_IN, T_A, sizeof(answer),
	     res_querydomain(name, domain, C_IN, T_A, answer, sizeof(answer)));
}

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
		send_own("dB.tail1.ts.net", C_IN, types[t], 1);
	send_own("none.tail1.ts.net", C_IN, T_A, 1);
	send_own("db.tail1.ts.net", C_CHAOS, T_A, 1);
	send_own("else.example", C_IN, T_A, 1);
	send_own("2.0.64.100.in-addr.arpa", C_IN, T_PTR, 1);
#ifdef __GLIBC__
	struct __res_state s;

	ask_domain("db.tail1.ts.net.", NULL);
	ask_domain("db.tail1.ts.net", "");
	memset(&s, 0, sizeof(s));
	res_ninit(&s);
	ask_state(&s, "db", "tail1.ts.net", T_A);
	ask_state(&s, "db.tail1.ts.net", "tail1.ts.net", T_AAAA);
	ask_state(&s, "four.tail1.ts.net", "tail1.ts.net", T_AAAA);
	ask_state(&s, "none.tail1.ts.net", "tail1.ts.net", T_A);
	res_nclose(&s);
#endif
	return 0;
}
