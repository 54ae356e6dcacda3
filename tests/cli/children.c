/* SPDX-License-Identifier: MIT */
/* Prints what a program under the launcher could notice of it: children, descriptors, blocked and ignored signals. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

int main(void)
{
	sigset_t mask;

	printf("wait %s\n", waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD ? "ECHILD" : "a child");
	for (int fd = 3; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("fd %d\n", fd);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int sig = 1; sig < 65; sig++) {
		struct sigaction sa;

		if (sigismember(&mask, sig) == 1)
			printf("blocked %d\n", sig);
		if (sigaction(sig, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN)
			printf("ignored %d\n", sig);
	}
	return 0;
}
