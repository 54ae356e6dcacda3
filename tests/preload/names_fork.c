/* SPDX-License-Identifier: MIT */
/*
 * Children made by fork (while other threads look names up) and by vfork find names; a vfork child changes nothing of
 * its parent's.
 */
/*
 * libc: glibc musl
 * cflags: -pthread
 * status: names.json
 * expect: vfork 0
 * expect: forks 200 of 200
 */
#include <pthread.h>

#include "names_state.h"

static volatile int stop;

static void *look(void *arg)
{
	(void)arg;
	while (!stop)
		look_up("db");
	return NULL;
}

static int by_name(void)
{
	struct hostent h, *res;
	char buf[1024];
	int herr;

	return gethostbyname_r("db", &h, buf, sizeof(buf), &res, &herr) == 0 && res ? 0 : 1;
}

static int in_vfork_child(void)
{
	int status;
	pid_t pid = vfork();

	if (pid == 0)
		_exit(by_name());
	waitpid(pid, &status, 0);
	return status;
}

int main(void)
{
	pthread_t threads[4];
	int status, good = 0;
	pid_t pid;

	look_up("db");
	printf("vfork %d\n", in_vfork_child());
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, look, NULL);
	for (int i = 0; i < 200; i++) {
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			alarm(20);	/* a lock left behind would hang it */
			_exit(by_name());
		}
		waitpid(pid, &status, 0);
		good += status == 0;
	}
	stop = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	printf("forks %d of 200\n", good);
	return 0;
}
