/* SPDX-License-Identifier: MIT */
/*
 * A thread that gets a table of descriptors of its own (unshare(2), close_range(2)). While another thread connects to the tailnet it gets
 * none, so what it closes is what it says. Where it has got one, nothing is carried any more: no thread sees the proxy's bytes.
 */
/*
 * run: while
 * run: range
 * run: before
 * run: child
 * sim: --node me,100.64.0.1,self --node silent,100.64.0.3,silent --suffix tail1.ts.net
 * expect: as it should
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int fd, result;
static pthread_barrier_t done;

static int error_of(long r)
{
	return r < 0 ? errno : 0;
}

static int begin(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(3000) };

	inet_pton(AF_INET, "100.64.0.3", &to.sin_addr);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	return error_of(connect(fd, (struct sockaddr *)&to, sizeof(to)));
}

static void *apart(void *how)
{
	result = error_of(how ? syscall(SYS_close_range, 1000, 2000, CLOSE_RANGE_UNSHARE) : unshare(CLONE_FILES));
	if (result == 0)
		close(fd);
	pthread_barrier_wait(&done);
	pthread_barrier_wait(&done);	/* this table stays as long as the other thread looks */
	return NULL;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	int wanted = ENOMEM, wanted_then = EAGAIN, err = 0;
	pthread_t t;
	char c;

	pthread_barrier_init(&done, NULL, 2);
	if (strcmp(how, "before") != 0)
		begin();
	pthread_create(&t, NULL, apart, strcmp(how, "range") == 0 ? (void *)how : NULL);
	pthread_barrier_wait(&done);
	if (strcmp(how, "before") == 0) {
		wanted = 0;
		wanted_then = ENETUNREACH;
		err = begin();
	} else if (strcmp(how, "child") != 0) {
		err = error_of(recv(fd, &c, 1, 0));
	}
	pthread_barrier_wait(&done);
	pthread_join(t, NULL);
	if (strcmp(how, "child") == 0) {
		if (fork() != 0)
			return wait(&err) < 0;
		wanted = 0;
		wanted_then = EINPROGRESS;
		result = error_of(unshare(CLONE_FILES));
		err = begin();
	}
	if (result == wanted && err == wanted_then)
		puts("as it should");
	else
		printf("%s: %d, then %d\n", how, result, err);
	fflush(stdout);
	_exit(0);
}
