/* SPDX-License-Identifier: MIT */
/* The domain that NI_NOFQDN leaves out is this host's own, found where libc finds it. The argument names the host. */
/*
 * run: me
 * run: me.tail1.ts.net
 * run: elsewhere.example
 * run: nobody
 * run: ts.net
 * run: a.net
 * expect: same
 * libc: glibc musl
 * status: names.json
 * dns: nothing.example,192.0.2.9
 * native-search: tail1.ts.net
 * native-dns: me.tail1.ts.net,100.64.0.1,fd7a:115c:a1e0::1
 * native-dns: db.tail1.ts.net,100.64.0.2,fd7a:115c:a1e0::2
 */
#include <sched.h>
#include <unistd.h>

#include "netdb_print.h"

int main(int argc, char **argv)
{
	if (argc < 2 || unshare(CLONE_NEWUTS) != 0 || sethostname(argv[1], strlen(argv[1])) != 0) {
		perror(argv[0]);
		return 1;
	}
	for (int i = 0; i < 2; i++) {
		print_nameinfo("100.64.0.2", 22, NI_NOFQDN, NI_MAXHOST, NI_MAXSERV);
		print_nameinfo("100.64.0.2", 22, NI_NOFQDN, 3, NI_MAXSERV);
		print_nameinfo("fd7a:115c:a1e0::2", 22, NI_NOFQDN | NI_NAMEREQD, NI_MAXHOST, NI_MAXSERV);
		print_nameinfo("127.0.0.1", 22, NI_NOFQDN, NI_MAXHOST, NI_MAXSERV);
		print_nameinfo("100.64.0.2", 22, 0, NI_MAXHOST, NI_MAXSERV);
	}
	return 0;
}
