/* SPDX-License-Identifier: MIT */
/* Addresses, pieces and options that are out of the ordinary. */
#include "udp_case.h"

#include <linux/filter.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>

/* The kernel looks at no more of a name than the longest address has; sendto refuses what is longer. */
CASE_FAMILIES(long_names)
{
	static const socklen_t lens[] = { 0, 1, 2, 8, 15, 16, 24, 27, 28, 29, 64, 128, 129, 200, 4000, 0x7fffffff, 0x80000000 };
	static char name[8192];
	struct iovec iov = { "long", 4 };

	for (int turn = 0; turn < 3; turn++) {
		int fd = udp(SOCK_NONBLOCK);

		memcpy(name, at(PEER, ECHO), at_len());
		if (turn)
			echo_from(fd, PEER, ECHO, "before");
		if (turn == 2)
			T(connect(fd, TO(PEER, ECHO)));
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			struct msghdr m = { .msg_name = name, .msg_namelen = lens[i], .msg_iov = &iov, .msg_iovlen = 1 };
			struct mmsghdr mm = { .msg_hdr = m };

			say("%u:", lens[i]);
			if (T(sendmsg(fd, &m, 0)) > 0) {
				await(fd);
				show_from(fd, 10, MSG_DONTWAIT);
			}
			if (T(sendmmsg(fd, &mm, 1, 0)) > 0) {
				await(fd);
				show_from(fd, 10, MSG_DONTWAIT);
			}
			if (T(sendto(fd, "to", 2, 0, (void *)name, lens[i])) > 0) {
				await(fd);
				show_from(fd, 10, MSG_DONTWAIT);
			}
			if (turn < 2 && T(connect(fd, (void *)name, lens[i])) == 0)
				T(connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
		}
		close(fd);
	}
}

/* Pieces that cannot be read or written, among few and among many. */
CASE(bad_pieces)
{
	static const int counts[] = { 1, 2, 14, 15, 100, 200, 1024 };
	static struct iovec iov[1024];
	static char in[2048];
	int fd = udp(0);

	for (int turn = 0; turn < 2; turn++) {
		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			struct msghdr m = { .msg_name = (void *)at(PEER, ECHO), .msg_namelen = at_len(), .msg_iov = iov,
					    .msg_iovlen = (size_t)counts[i] };

			for (int k = 0; k < counts[i]; k++)
				iov[k] = (struct iovec){ in + k, 1 };
			say("%d pieces:", counts[i]);
			iov[counts[i] - 1].iov_base = nowhere;
			T(sendmsg(fd, &m, 0));
			iov[counts[i] - 1].iov_base = NULL;
			T(sendmsg(fd, &m, 0));
			iov[counts[i] - 1].iov_len = 0;
			T(sendmsg(fd, &m, 0));
			await(fd);
			T(recv(fd, in, sizeof(in), MSG_DONTWAIT));
			iov[0].iov_len = (size_t)-1;
			T(sendmsg(fd, &m, 0));
			iov[0] = (struct iovec){ in, 1 };
			iov[counts[i] - 1] = (struct iovec){ nowhere, 100 };
			if (turn) {
				char text[1100] = "";

				memset(text, 'x', sizeof(text));
				MUST(sendto(fd, text, sizeof(text), 0, TO(PEER, ECHO)));
				await(fd);
				m.msg_name = NULL;
				T(recvmsg(fd, &m, MSG_DONTWAIT));
				T(recvmsg(fd, &m, MSG_DONTWAIT));
			}
		}
		echo_from(fd, PEER, ECHO, "still");
	}
}

/* Names and control messages that cannot be written. */
CASE_FAMILIES(bad_places)
{
	int fd = udp(0), one = 1;
	char in[20];
	struct iovec iov = { in, sizeof(in) };
	struct mmsghdr mm[2] = { { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } }, { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } } };

	MUST(setsockopt(fd, case_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6, case_family == AF_INET ? IP_PKTINFO : IPV6_RECVPKTINFO, &one,
			sizeof(one)));
	for (socklen_t room = 0; room <= 128; room += 16) {
		socklen_t len = room;

		give(fd, PEER, ECHO, "name");
		await(fd);
		T(recvfrom(fd, in, sizeof(in), MSG_DONTWAIT, nowhere, &len));
		T(recv(fd, in, sizeof(in), MSG_DONTWAIT));
		mm[0].msg_hdr.msg_name = nowhere;
		mm[0].msg_hdr.msg_namelen = room;
		give(fd, PEER, ECHO, "name");
		await(fd);
		T(recvmmsg(fd, mm, 1, MSG_DONTWAIT, NULL));
		T(recv(fd, in, sizeof(in), MSG_DONTWAIT));
		mm[0].msg_hdr.msg_name = NULL;
		mm[0].msg_hdr.msg_control = nowhere;
		mm[0].msg_hdr.msg_controllen = room;
		give(fd, PEER, ECHO, "control");
		await(fd);
		T(recvmsg(fd, &mm[0].msg_hdr, MSG_DONTWAIT));
		say("control %zu", mm[0].msg_hdr.msg_controllen);
		mm[0].msg_hdr.msg_control = NULL;
		mm[0].msg_hdr.msg_controllen = 0;
	}
}

/* A socket's filter, of which the program has set none. */
CASE_FAMILIES(filter_options)
{
	struct sock_filter insn[64];
	socklen_t n = 64;
	int fd = udp(0), one = 1;

	for (int turn = 0; turn < 3; turn++) {
		T(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &one, sizeof(one)));
		n = 64;
		T(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, insn, &n));
		say("filter of %u", n);
		if (turn == 0)
			echo_from(fd, PEER, ECHO, "one");
		if (turn == 1)
			T(connect(fd, TO(PEER, ECHO)));
	}
	T(sendto(fd, "stray", 5, 0, TO(PEER, FIRST)));
	show_quiet(fd);
}

/* What else a connected socket may send to. */
CASE_FAMILIES(from_connected)
{
	int fd = udp(0), near = udp(0);
	struct sockaddr_storage here;
	socklen_t len = sizeof(here);
	char buf[20] = "";

	MUST(bind(near, case_family == AF_INET ? (void *)&(struct sockaddr_in){ .sin_family = AF_INET } :
		  (void *)&(struct sockaddr_in6){ .sin6_family = AF_INET6 }, at_len()));
	MUST(getsockname(near, (void *)&here, &len));
	T(connect(fd, TO(PEER, ECHO)));
	name_loopback(&here);
	T(sendto(fd, "near", 4, 0, (void *)&here, len));
	T(recv(near, buf, sizeof(buf), MSG_DONTWAIT));
	T(sendto(fd, "stranger", 8, 0, TO(PEER, FIRST)));
	T(send(fd, "peer", 4, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	show_quiet(fd);
}

/* A socket connected to a neighbour, and one to nobody of ours, that turns to the tailnet. */
CASE(from_near)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	socklen_t len = sizeof(here);
	int near = udp(0), fd = udp(0);
	char buf[20];

	MUST(bind(near, (void *)&here, len));
	MUST(getsockname(near, (void *)&here, &len));
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	T(connect(fd, (void *)&here, len));
	T(sendto(fd, "far", 3, 0, TO(PEER, UDP_MUTE)));
	T(send(fd, "near", 4, 0));
	T(recv(near, buf, sizeof(buf), 0));
	show_peer(fd);
}

CASE_FAMILIES(zero)
{
	int fd = udp(0);
	struct iovec none[2] = { { NULL, 0 }, { NULL, 0 } };
	volatile int negative = -1;

	T(connect(fd, TO(PEER, UDP_LENGTH)));
	T(send(fd, NULL, 0, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(write(fd, "", 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(writev(fd, none, 2));
	show_quiet(fd);
	T(writev(fd, none, 0));
	T(writev(fd, none, negative));
	T(sendmsg(fd, &(struct msghdr){ .msg_iov = NULL, .msg_iovlen = 0 }, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(sendmsg(fd, &(struct msghdr){ .msg_iov = none, .msg_iovlen = 2 }, 0));
	await(fd);
	T(read(fd, none, 0));
	T(readv(fd, none, 2));
	T(recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC));
	T(recvmsg(fd, &(struct msghdr){ .msg_iov = NULL, .msg_iovlen = 0 }, MSG_PEEK | MSG_TRUNC));
	T(recvmsg(fd, &(struct msghdr){ .msg_iov = none, .msg_iovlen = 2 }, 0));
	show_quiet(fd);
}

CASE_FAMILIES(flags)
{
	static const int flags[] = { MSG_CONFIRM, MSG_NOSIGNAL, MSG_WAITALL, MSG_EOR, MSG_DONTROUTE | MSG_CONFIRM, MSG_OOB, MSG_PROXY,
				     MSG_ERRQUEUE, MSG_CMSG_CLOEXEC, MSG_ZEROCOPY, MSG_FASTOPEN, MSG_SYN, 1 << 26 };
	int fd = udp(0);
	char buf[100];

	for (int turn = 0; turn < 2; turn++) {
		for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
			long n;

			if (flags[i] & MSG_DONTROUTE)
				continue;
			say("flags %x:", (unsigned)flags[i]);
			n = turn ? T(send(fd, "flagged", 7, flags[i])) : T(sendto(fd, "flagged", 7, flags[i], TO(PEER, ECHO)));
			if (n > 0) {
				await(fd);
				T(recv(fd, buf, sizeof(buf), MSG_DONTWAIT | (flags[i] & (MSG_CONFIRM | MSG_WAITALL | MSG_NOSIGNAL))));
			}
			if (flags[i] == MSG_OOB || flags[i] == MSG_ERRQUEUE)
				T(recv(fd, buf, sizeof(buf), MSG_DONTWAIT | flags[i]));
		}
		T(connect(fd, TO(PEER, ECHO)));
	}
	show_quiet(fd);
}

/* A file through a connected socket. */
CASE_FAMILIES(files)
{
	int fd = udp(0), pipes[2];
	FILE *f = tmpfile();
	off_t start = 10;

	for (int i = 0; i < 200; i++)
		fprintf(f, "line %04d\n", i);
	fflush(f);
	MUST(pipe(pipes));
	MUST(write(pipes[1], "through the pipe", 16));
	T(connect(fd, TO(PEER, ECHO)));
	T(sendfile(fd, fileno(f), &start, 1000));
	say("at %ld", (long)start);
	await(fd);
	show_from(fd, 1500, MSG_DONTWAIT);
	start = 5000;
	T(sendfile(fd, fileno(f), &start, 1000));
	show_quiet(fd);
	T(splice(pipes[0], NULL, fd, NULL, 16, 0));
	await(fd);
	show_from(fd, 1500, MSG_DONTWAIT);
	T(sendfile(fd, -1, NULL, 5));
	T(send(fd, "still", 5, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

CASE(splice_from)
{
	int fd = udp(0), pipes[2];
	char buf[100];

	MUST(pipe(pipes));
	T(connect(fd, TO(PEER, ECHO)));
	T(send(fd, "back", 4, 0));
	await(fd);
	if (T(splice(fd, NULL, pipes[1], NULL, 100, 0)) > 0)
		T(read(pipes[0], buf, sizeof(buf)));
}

/* Standard I/O: what bash and awk write to /dev/udp and /inet/udp. */
CASE_FAMILIES(stdio)
{
	int fd = udp(0);
	FILE *f;

	T(connect(fd, TO(PEER, ECHO)));
	f = fdopen(fd, "r+");
	for (int i = 0; i < 3; i++) {
		fprintf(f, "line %d\n", i);
		T(fflush(f));
		await(fd);
		show_from(fd, 100, MSG_DONTWAIT);
	}
	T(fflush(f));
	show_quiet(fd);
	fd = dup(fd);
	fprintf(f, "at the end");
	T(fclose(f));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(dprintf(fd, "number %d", 5));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(dprintf(fd, "%s", ""));
	show_quiet(fd);
}

/* A program whose standard output is a connected socket. */
CASE_ATTR(prints, "sub")
{
	printf("printed");
}

CASE_FAMILIES(stdio_exec)
{
	int fd = udp(0);
	pid_t child;

	T(connect(fd, TO(PEER, ECHO)));
	child = fork();
	if (child == 0) {
		dup2(fd, 1);
		execl(case_self, case_self, "prints", NULL);
		_exit(1);
	}
	waitpid(child, NULL, 0);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	show_quiet(fd);
}

/* As a shell does: the socket becomes the standard output for the time of a command that writes it by lines. */
CASE_FAMILIES(stdio_redirected)
{
	int fd = udp(0), kept = dup(1);

	T(connect(fd, TO(PEER, ECHO)));
	setlinebuf(stdout);
	for (int i = 0; i < 4; i++) {
		dup2(fd, 1);
		if (i == 1)
			MUST(write(1, "written", 7));
		else if (i == 2)
			printf("%s", "");
		else
			printf("line %d\n", i);
		fflush(stdout);
		dup2(kept, 1);
		if (i != 2)
			await(fd);
		show_from(fd, 100, MSG_DONTWAIT);
	}
	T(send(fd, "sent", 4, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(connect(fd, TO(PEER, FIRST)));
	dup2(fd, 1);
	dup2(kept, 1);
	T(connect(fd, TO(PEER, ECHO)));
	T(send(fd, "sent", 4, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	dup2(fd, 1);
	if (fork() == 0) {
		execl("/bin/echo", "echo", "by another program", NULL);
		_exit(1);
	}
	dup2(kept, 1);
	wait(NULL);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	show_quiet(fd);
}

CASE(stdio_read)
{
	int fd = udp(0);
	char line[100];
	FILE *f;

	T(connect(fd, TO(PEER, ECHO)));
	f = fdopen(fd, "r");
	T(send(fd, "ask\n", 4, 0));
	T(send(fd, "\n", 1, 0));
	say("%s", fgets(line, sizeof(line), f) ? bytes_name(line, 4) : "nothing");
}

CASE(stdio_unbuffered)
{
	int fd = udp(0);
	FILE *f;

	T(connect(fd, TO(PEER, ECHO)));
	f = fdopen(fd, "w");
	setvbuf(f, NULL, _IONBF, 0);
	T(fputs("unbuffered", f) >= 0);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

/* By number. */
CASE_FAMILIES(by_number)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	struct iovec iov = { "msg", 3 };
	struct msghdr m = { .msg_name = (void *)at(PEER, ECHO), .msg_namelen = at_len(), .msg_iov = &iov, .msg_iovlen = 1 };
	struct mmsghdr mm = { .msg_hdr = m };
	char buf[100];
	int fd, n;

	fd = udp(0);
	T(syscall(SYS_sendto, fd, "one", 3, 0, TO(PEER, ECHO)));
	T(syscall(SYS_recvfrom, fd, buf, sizeof(buf), 0, &from, &len));
	say("from %s", addr_name((void *)&from, len));
	T(syscall(SYS_sendmsg, fd, &m, 0));
	T(syscall(SYS_read, fd, buf, sizeof(buf)));
	T(syscall(SYS_sendmmsg, fd, &mm, 1, 0));
	await(fd);
	T(syscall(SYS_ioctl, fd, FIONREAD, &n));
	say("FIONREAD %d", n);
	mm.msg_hdr.msg_iov->iov_base = buf;
	mm.msg_hdr.msg_name = NULL;
	T(syscall(SYS_recvmmsg, fd, &mm, 1, 0, NULL));
	T(syscall(SYS_connect, fd, TO(PEER, ECHO)));
	T(syscall(SYS_write, fd, "two", 3));
	T(syscall(SYS_recvmsg, fd, &mm.msg_hdr, 0));
	T(syscall(SYS_writev, fd, &iov, 1));
	T(syscall(SYS_readv, fd, &iov, 1));
	T(syscall(SYS_dup3, fd, 60, 0));
	T(syscall(SYS_close, fd));
	T(syscall(SYS_write, 60, "dup", 3));
	T(syscall(SYS_read, 60, buf, 10));
	T(syscall(SYS_close_range, 60, 60, 0));
	T(syscall(SYS_write, 60, "dup", 3));
}

CASE(peek_offset)
{
	int fd = udp(0), off = 0;

	T(setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)));
	give(fd, PEER, ECHO, "0123456789abcdefghijklmnopqrstuvwxyz");
	await(fd);
	show_from(fd, 10, MSG_PEEK);
	show_from(fd, 10, MSG_PEEK);
	off = 30;
	T(setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)));
	show_from(fd, 10, MSG_PEEK);
	show_from(fd, 100, 0);
	show_quiet(fd);
}

CASE_FAMILIES(path_mtu)
{
	int fd = udp(0), mode = IP_PMTUDISC_DO;

	T(connect(fd, TO(PEER, ECHO)));
	if (case_family == AF_INET)
		T(setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof(mode)));
	else
		T(setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &mode, sizeof(mode)));
	T(send(fd, "small", 5, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

/* What a node's address does not need. */
CASE(scopes)
{
	int fd = (int)MUST(socket(AF_INET6, SOCK_DGRAM, 0));
	struct sockaddr_in6 to;

	memcpy(&to, at_family(AF_INET6, false, PEER, ECHO), sizeof(to));
	for (uint32_t scope = 0; scope < 3; scope++)
		for (uint32_t flow = 0; flow < 2; flow++) {
			to.sin6_scope_id = scope;
			to.sin6_flowinfo = htonl(flow);
			T(sendto(fd, "scope", 5, 0, (void *)&to, sizeof(to)));
			await(fd);
			show_from(fd, 100, MSG_DONTWAIT);
			T(connect(fd, (void *)&to, sizeof(to)));
			show_peer(fd);
			T(send(fd, "again", 5, 0));
			await(fd);
			show_from(fd, 100, MSG_DONTWAIT);
			T(connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
		}
	to.sin6_scope_id = 0;
	T(sendto(fd, "short", 5, 0, (void *)&to, 24));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

CASE_FAMILIES(small_buffer)
{
	int fd = udp(0), room = 1;
	char text[1000];

	memset(text, 'x', sizeof(text));
	T(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)));
	T(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)));
	for (int i = 0; i < 3; i++) {
		T(sendto(fd, text, sizeof(text), 0, TO(PEER, ECHO)));
		await(fd);
		T(recv(fd, text, sizeof(text), MSG_DONTWAIT));
	}
}

/* Limits on the number of descriptors. */
CASE(no_more_descriptors)
{
	int fd = udp(0), other = udp(0), n = 0, last = -1, more;

	while ((more = dup(0)) >= 0) {
		last = more;
		n++;
	}
	say("none left: %s", err_name(errno));
	T(dup(0));
	close(last);
	(void)other;
	T(sendto(fd, "with one", 8, 0, TO(PEER, ECHO)));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(dup(0) >= 0);
	T(sendto(fd, "with none", 9, 0, TO(PEER, ECHO)));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

/* A send that fails gives the socket a port, too. */
CASE_FAMILIES(port_by_failure)
{
	static char much[70000];
	int fd, three = 3;

	fd = udp(0);
	T(sendto(fd, much, sizeof(much), 0, TO(PEER, ECHO)));
	show_name(fd);
	fd = udp(0);
	T(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &three, sizeof(three)));
	T(sendto(fd, much, 3000, 0, TO(PEER, ECHO)));
	show_name(fd);
	fd = udp(0);
	T(sendto(fd, much, 1, 0, TO(PEER, 0)));
	show_name(fd);
	T(sendto(fd, much, 1, 0, TO(PEER, ECHO)));
	show_name(fd);
}
