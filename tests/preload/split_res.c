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
#include "res_print.h"

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
	ask_state(&s, "db.corp.example", "corp.example", T_AAAA);
	ask_state(&s, "text.corp.example", "corp.example", T_TXT);
	ask_state(&s, "none.corp.example", "corp.example", T_A);
	ask_state(&s, "db", "corp.example", T_A);
	res_nclose(&s);
#endif
	return 0;
}
