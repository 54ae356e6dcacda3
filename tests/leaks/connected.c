/* SPDX-License-Identifier: MIT */
/* Ways to send by a datagram socket that is connected. Where the connect is refused, they have nowhere to send to. */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ways.h"

#define LEN sizeof(t->payload)

int connected_udp(const struct target *t)
{
	int fd = new_socket(t, SOCK_DGRAM, 0);

	connect(fd, to(t), t->len);
	return fd;
}

static void connect_send(const struct target *t)
{
	send(connected_udp(t), t->payload, LEN, 0);
}

static void connect_write(const struct target *t)
{
	if (write(connected_udp(t), t->payload, LEN) < 0)
		return;
}

static void connect_writev(const struct target *t)
{
	struct iovec iov;

	message(t, &iov);
	if (writev(connected_udp(t), &iov, 1) < 0)
		return;
}

#ifdef __GLIBC__
static void connect_pwritev2(const struct target *t)
{
	struct iovec iov;

	message(t, &iov);
	if (pwritev2(connected_udp(t), &iov, 1, -1, 0) < 0)
		return;
}
#else
static void connect_pwritev2(const struct target *t)
{
	(void)t;
	unavailable();
}
#endif

static void connect_sendmsg(const struct target *t)
{
	struct iovec iov;
	struct msghdr m = message(t, &iov);

	m.msg_name = NULL;
	m.msg_namelen = 0;
	sendmsg(connected_udp(t), &m, 0);
}

static void connect_sendfile(const struct target *t)
{
	int file = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	if (file < 0 || write(file, t->payload, LEN) < 0)
		unavailable();
	sendfile(connected_udp(t), file, &(off_t){ 0 }, LEN);
}

static void connect_splice(const struct target *t)
{
	int ends[2];

	if (pipe(ends) || write(ends[1], t->payload, LEN) < 0)
		unavailable();
	if (splice(ends[0], NULL, connected_udp(t), NULL, LEN, 0) < 0)
		return;
}

static void connect_dprintf(const struct target *t)
{
	dprintf(connected_udp(t), "%s", t->payload);
}

static void connect_stdio(const struct target *t)
{
	FILE *f = fdopen(connected_udp(t), "w");

	fputs(t->payload, f);
	fclose(f);
}

static void connect_dup2(const struct target *t)
{
	dup2(connected_udp(t), 1);
	puts(t->payload);
	fflush(stdout);
}

static void connect_by_number(const struct target *t)
{
	int fd = new_socket(t, SOCK_DGRAM, 0);

	syscall(SYS_connect, fd, &t->addr, t->len);
	syscall(SYS_write, fd, t->payload, LEN);
}

static void connect_on_inet6(const struct target *t)
{
	struct target m = mapped(t);
	int fd = new_socket(&m, SOCK_DGRAM, 0);

	connect(fd, to(t), t->len);
	send(fd, t->payload, LEN, 0);
}

static void connect_mapped(const struct target *t)
{
	struct target m = mapped(t);

	connect_send(&m);
}

const struct way connected_ways[] = {
	{ "connected-send", 'b', false, connect_send, 0 },
	{ "connected-write", 'b', false, connect_write, 0 },
	{ "connected-writev", 'b', false, connect_writev, 0 },
	{ "connected-pwritev2", 'b', false, connect_pwritev2, 0 },
	{ "connected-sendmsg", 'b', false, connect_sendmsg, 0 },
	{ "connected-sendfile", 'b', false, connect_sendfile, 0 },
	{ "connected-splice", 'b', false, connect_splice, 0 },
	{ "connected-dprintf", 'b', false, connect_dprintf, 0 },
	{ "connected-stdio", 'b', false, connect_stdio, 0 },
	{ "connected-stdout", 'b', false, connect_dup2, 0 },
	{ "connected-by-number", 'b', false, connect_by_number, 0 },
	{ "connected-on-inet6", '4', false, connect_on_inet6, 0 },
	{ "connected-mapped", '4', false, connect_mapped, 0 },
	{ NULL, 0, false, NULL, 0 },
};
