/* SPDX-License-Identifier: MIT */
/* A log that cannot be written (a pipe that nobody reads, a file that may not grow) sends the program no signal, and takes none of its own. */
/*
 * run: pipe
 * run: file
 * status: names.json
 * env: TSPROXY_LOG=debug
 * expect: same
 */
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void look_up(void)
{
	struct addrinfo *res;

	if (getaddrinfo("localhost", NULL, NULL, &res) == 0)
		freeaddrinfo(res);
	getaddrinfo("no-such-node.tail1.ts.net", NULL, NULL, &res);
}

int main(int argc, char **argv)
{
	struct rlimit none = { 0, RLIM_INFINITY };
	int ends[2], sig;
	sigset_t set;

	if (argc < 2 || pipe(ends))
		return 1;
	close(ends[0]);
	if (strcmp(argv[1], "pipe") == 0)
		dup2(ends[1], 2);
	else if (!freopen("log", "w", stderr) || setrlimit(RLIMIT_FSIZE, &none))
		return 1;
	look_up();
	/* What is pending stays so. */
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigaddset(&set, SIGXFSZ);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGPIPE);
	raise(SIGXFSZ);
	look_up();
	for (int i = 0; i < 2; i++)
		if (sigwait(&set, &sig) == 0)
			printf("%s\n", strsignal(sig));
	return 0;
}
