/* SPDX-License-Identifier: MIT */
/* Which of a node's addresses comes first is what gai.conf(5) says, read once in a process as glibc does it; musl has no such file. */
/*
 * expect: same
 * libc: glibc musl
 * status: names.json
 * native-addr: 100.64.0.1/10
 * native-addr: fd7a:115c:a1e0::1/48
 * native-dns: me.tail1.ts.net,100.64.0.1,fd7a:115c:a1e0::1
 * native-dns: db.tail1.ts.net,100.64.0.2,fd7a:115c:a1e0::2
 */
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netdb_print.h"

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
}

static void show(const char *path)
{
	if (mount(path, "/etc/gai.conf", NULL, MS_BIND, NULL) != 0)
		perror("mount");
	for (int i = 0; i < 2; i++) {
		print_addrinfo("db.tail1.ts.net", "80", &(struct addrinfo){ .ai_socktype = SOCK_STREAM });
		print_addrinfo("me.tail1.ts.net", "80",
			       &(struct addrinfo){ .ai_socktype = SOCK_STREAM, .ai_family = AF_INET6, .ai_flags = AI_V4MAPPED | AI_ALL });
		/* Noticed by nobody who does not say `reload`. */
		write_file(path, "precedence ::ffff:0:0/96 100\n");
	}
	fflush(stdout);
	_exit(0);
}

int main(void)
{
	static const char *const texts[] = {
		"", "# precedence ::ffff:0:0/96 100\n", "precedence ::ffff:0:0/96  100\n", "precedence ::ffff:0:0/96  40\n",
		"precedence ::ffff:0:0/96  39\n", "\tprecedence\t::ffff:100.64.0.0/106 41 # more\n", "precedence ::/0 5\nprecedence ::ffff:0:0/96 6\n",
		"precedence ::ffff:0:0/96 6\nprecedence ::/0 7", "precedence fd7a:115c:a1e0::/48 1\n", "precedence fc00::/7 30\nprecedence ::ffff:0:0/96 20\n",
		"precedence ::1/128 50\n", "precedence ::ffff:0:0 100\n", "precedence ::ffff:100.64.0.2 100\n", "precedence ::ffff:0:0/129 100\n",
		"precedence 100.64.0.0/10 100\n", "precedence ::ffff:0:0/96 nonsense\n", "precedence ::ffff:0:0/96 -1\n", "precedence ::ffff:0:0/96\n",
		"precedence ::ffff:0:0/96 0x64\n", "precedence ::ffff:0:0/96 99999999999\n", "Precedence ::ffff:0:0/96 100\n",
		"label ::ffff:0:0/96 9\n", "scopev4 ::ffff:100.64.0.0/106 5\n", "reload no\nprecedence ::ffff:0:0/96 100\n", "reload yes\n",
		"precedence ::ffff:0:0/96 100\nprecedence ::ffff:0:0/96 5\n", "precedence ::ffff:0:0/96 5\nprecedence ::ffff:0:0/96 100\n",
	};
	char path[300];

	if (access("/etc/gai.conf", F_OK) != 0)
		write_file("/etc/gai.conf", "");
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		int status;

		snprintf(path, sizeof(path), "%s/gai.conf-%zu", getenv("TEST_DIR"), i);
		write_file(path, texts[i]);
		printf("%s:\n", texts[i]);
		fflush(stdout);
		if (fork() == 0)
			show(path);
		wait(&status);
	}
	return 0;
}
