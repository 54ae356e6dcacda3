/* SPDX-License-Identifier: MIT */
/* Names in the letters of other languages, in a locale that knows them and in one that does not. */
/*
 * run: C.UTF-8
 * run: C
 * expect: same
 * status: idn.json
 * dns: nothing.example,192.0.2.9
 * native-addr: 100.64.0.1/10
 * native-search: tail1.ts.net
 * native-dns: me.tail1.ts.net,100.64.0.1
 * native-dns: xn--bcher-kva.tail1.ts.net,100.64.0.2
 */
#include <locale.h>

#include "netdb_print.h"

int main(int argc, char **argv)
{
	static const char *const names[] = {
		"b\xc3\xbc" "cher.tail1.ts.net", "b\xc3\xbc" "cher", "B\xc3\x9c" "CHER.tail1.ts.net.", "xn--bcher-kva.tail1.ts.net",
		"xn--bcher-kva", "\xff\xfe.tail1.ts.net", "n\xc3\xb6.tail1.ts.net",
	};
	static const int flags[] = {
		0, AI_CANONNAME, AI_IDN, AI_IDN | AI_CANONNAME, AI_IDN | AI_CANONIDN, AI_IDN | AI_CANONNAME | AI_CANONIDN,
		AI_CANONNAME | AI_CANONIDN, AI_IDN | AI_NUMERICHOST,
	};

	if (argc < 2 || !setlocale(LC_ALL, argv[1]))
		return 1;
	for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++) {
		for (size_t f = 0; f < sizeof(flags) / sizeof(*flags); f++)
			print_addrinfo(names[n], "80", &(struct addrinfo){ .ai_flags = flags[f], .ai_socktype = SOCK_STREAM });
		print_by_name(names[n]);
	}
	for (socklen_t room = 1; room < 30; room++) {
		print_nameinfo("100.64.0.2", 22, NI_IDN, room, NI_MAXSERV);
		print_nameinfo("100.64.0.2", 22, 0, room, NI_MAXSERV);
	}
	return 0;
}
