/* SPDX-License-Identifier: MIT */
/* What resolves, connects, reads and writes inside libc: what is the tailnet's fails there, and neither a packet nor a question leaves. */
/*
 * sim: --node me,100.64.0.1,self --node db,100.64.0.2 --node silent,100.64.0.3,silent --suffix tail1.ts.net
 * addr: 100.64.0.2/32
 * hosts: 100.64.0.2 filed
 * expect: rexec db: -1 EHOSTUNREACH
 * expect: rexec db.tail1.ts.net: -1 EHOSTUNREACH
 * expect: rexec none.tail1.ts.net: -1 EHOSTUNREACH
 * expect: rexec 100.64.0.2: -1 EHOSTUNREACH
 * expect: rexec filed: -1 EHOSTUNREACH
 * expect: rexec_af: -1 EHOSTUNREACH
 * expect: rcmd: -1 EHOSTUNREACH
 * expect: rcmd_af: -1 EHOSTUNREACH
 * expect: gethostid: 0
 * expect: accepted 0, asked 0
 * expect: rexec 127.0.0.1: accepted 1
 * expect: gethostid: 7f0100
 * expect: aio_read: -1 ENOSYS
 * expect: aio_write: -1 ENOSYS
 * expect: aio_read64: -1 ENOSYS
 * expect: aio_write64: -1 ENOSYS
 * expect: lio_listio: -1 ENOSYS
 * expect: lio_listio64: -1 ENOSYS
 * expect: sent 0
 * expect: aio_write: done 2
 * expect: backtrace: something
 */
#define _LARGEFILE64_SOURCE
#include <aio.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "dns_counter.h"

#define PORT 512
#define MACHINE "db.tail1.ts.net"

static const char *outcome(int r)
{
	static char text[64];

	snprintf(text, sizeof(text), "%d %s", r, r < 0 ? strerrorname_np(errno) : "");
	return text;
}

static int listen_everywhere(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 10) != 0)
		perror("listen");
	return fd;
}

static int accepted(int listener)
{
	int n = 0;

	for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; n++)
		close(fd);
	return n;
}

static void try_rexec(const char *name)
{
	char *host = (char *)name;

	printf("rexec %s: %s\n", name, outcome(rexec(&host, htons(PORT), "me", "secret", "true", NULL)));
}

static void connecting(void)
{
	char db[] = "db", *host = db;

	try_rexec("db");
	try_rexec("db.tail1.ts.net");
	try_rexec("none.tail1.ts.net");
	try_rexec("100.64.0.2");
	try_rexec("filed");
	printf("rexec_af: %s\n", outcome(rexec_af(&host, htons(PORT), "me", "secret", "true", NULL, AF_INET6)));
	printf("rcmd: %s\n", outcome(rcmd(&host, htons(PORT), "me", "you", "true", NULL)));
	printf("rcmd_af: %s\n", outcome(rcmd_af(&host, htons(PORT), "me", "you", "true", NULL, AF_UNSPEC)));
}

/* A loopback one: rexec writes its words and waits for a byte, which never comes. */
static void to_loopback(int listener)
{
	char here[] = "127.0.0.1", *host = here;
	pid_t pid = fork();
	struct pollfd p = { .fd = listener, .events = POLLIN };

	if (pid == 0) {
		rexec(&host, htons(PORT), "me", "secret", "true", NULL);
		_exit(0);
	}
	poll(&p, 1, 10000);
	printf("rexec 127.0.0.1: accepted %d\n", accepted(listener));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void in_background(void)
{
	struct sockaddr_in silent = { .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(0x64400003) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), sent = -1, pair[2];
	char word[2] = "ab";
	struct aiocb r = { .aio_fildes = fd, .aio_buf = word, .aio_nbytes = 2 }, *list[] = { NULL, &r };
	struct aiocb64 r64 = { .aio_fildes = fd, .aio_buf = word, .aio_nbytes = 2 }, *list64[] = { NULL, &r64 };
	void *frames[10];

	if (connect(fd, (struct sockaddr *)&silent, sizeof(silent)) == 0 || errno != EINPROGRESS)
		perror("connect");
	ioctl(fd, TIOCOUTQ, &sent);
	printf("aio_read: %s\n", outcome(aio_read(&r)));
	printf("aio_write: %s\n", outcome(aio_write(&r)));
	printf("aio_read64: %s\n", outcome(aio_read64(&r64)));
	printf("aio_write64: %s\n", outcome(aio_write64(&r64)));
	printf("lio_listio: %s\n", outcome(lio_listio(LIO_WAIT, list, 2, NULL)));
	printf("lio_listio64: %s\n", outcome(lio_listio64(LIO_WAIT, list64, 2, NULL)));
	backtrace_symbols_fd(frames, backtrace(frames, 10), fd);
	ioctl(fd, TIOCOUTQ, &sent);
	printf("sent %d\n", sent);

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		perror("socketpair");
	list[1]->aio_fildes = pair[0];
	printf("aio_write: ");
	if (aio_write(&r) == 0 && aio_suspend((const struct aiocb *const *)&list[1], 1, NULL) == 0)
		printf("done %zd\n", aio_return(&r));
	backtrace_symbols_fd(frames, backtrace(frames, 10), pair[0]);
	printf("backtrace: %s\n", recv(pair[1], word, 2, 0) == 2 && recv(pair[1], word, 2, MSG_DONTWAIT) == 2 ? "something" : "nothing");
}

int main(void)
{
	const volatile int *asked = dns_counter_start();
	int listener = listen_everywhere();

	setvbuf(stdout, NULL, _IONBF, 0);
	connecting();
	if (unshare(CLONE_NEWUTS) != 0 || sethostname(MACHINE, strlen(MACHINE)) != 0)
		perror("sethostname");
	printf("gethostid: %ld\n", gethostid());
	printf("accepted %d, asked %d\n", accepted(listener), *asked);
	to_loopback(listener);
	sethostname("localhost", 9);
	printf("gethostid: %lx\n", gethostid());
	in_background();
	return 0;
}
