/* SPDX-License-Identifier: MIT */
/*
 * A socket's own filter (socket(7), SO_ATTACH_FILTER): what it sees of a datagram, what it keeps, and who can change it.
 *
 * What a filter sees is shown by what it keeps: it turns the value that it found into a length.
 */
#include "udp.h"

#include <linux/filter.h>
#include <sys/syscall.h>

#define TEXT "the payload of a datagram"
#define AD(what) ((uint32_t)SKF_AD_OFF + (what))
#define NET(at) ((uint32_t)SKF_NET_OFF + (at))
#define LL(at) ((uint32_t)SKF_LL_OFF + (at))
/* The value in A, as one of 16 lengths. */
#define TELL BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 0x9e3779b1u), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 28), \
	BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 9), BPF_STMT(BPF_RET | BPF_A, 0)
#define LENGTH(a) ((unsigned short)(sizeof(a) / sizeof((a)[0])))

static int attach(int fd, const struct sock_filter *insn, size_t n)
{
	struct sock_fprog prog = { .len = (unsigned short)n, .filter = (struct sock_filter *)insn };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

static int detach(int fd)
{
	int none = 0;

	return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none));
}

static int lock(int fd, int on)
{
	return setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on));
}

/* The port that the program has is the same in both worlds, and another in each variant of a case: they may run beside each other. */
static int udp_at(uint16_t port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET };
	int fd = udp(0);

	four.sin_port = six.sin6_port = htons((uint16_t)(port + (case_family == AF_INET ? 0 : case_mapped ? 20 : 10)));
	MUST(bind(fd, case_family == AF_INET ? (void *)&four : (void *)&six, at_len()));
	return fd;
}

static void show_filter(int fd)
{
	struct sock_filter insn[BPF_MAXINSNS];
	socklen_t n = BPF_MAXINSNS;
	uint32_t sum = 0;

	if (T(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, insn, &n)))
		return;
	for (unsigned i = 0; i < n; i++)
		sum = sum * 31 + insn[i].code + insn[i].k + insn[i].jt * 7u + insn[i].jf * 3u;
	say("filter of %u: %x", n, sum);
}

/* What is kept of one datagram. */
static void kept(int fd, const char *text)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	give(fd, PEER, ECHO, text);
	if (poll(&p, 1, LONG) == 1)
		show_from(fd, 100, MSG_DONTWAIT);
	else
		say("nothing came");
}

static void kept_by(int fd, const char *what, const struct sock_filter *insn, size_t n)
{
	say("%s:", what);
	if (T(attach(fd, insn, n)) == 0)
		kept(fd, TEXT);
}

static void load(int fd, unsigned op, uint32_t k)
{
	const struct sock_filter insn[] = { BPF_STMT((uint16_t)(BPF_LD | op), k), TELL };
	char what[60];

	snprintf(what, sizeof(what), "load %x at %x", op, k);
	kept_by(fd, what, insn, LENGTH(insn));
}

static void load_from(int fd, unsigned op, uint32_t x, uint32_t k)
{
	const struct sock_filter insn[] = { BPF_STMT(BPF_LDX | BPF_IMM, x), BPF_STMT((uint16_t)(BPF_LD | BPF_IND | op), k), TELL };
	char what[60];

	snprintf(what, sizeof(what), "load %x at %x + %x", op, x, k);
	kept_by(fd, what, insn, LENGTH(insn));
}

static void load_all(int fd)
{
	unsigned ip = case_family == AF_INET || case_mapped ? 20 : 40, source = ip == 20 ? 12 : 8;

	/* The UDP header but its checksum, what lies across its end, the payload. */
	for (uint32_t at = 0; at < 6; at++)
		load(fd, BPF_ABS | BPF_B, at);
	for (uint32_t at = 0; at < 5; at++)
		load(fd, BPF_ABS | BPF_H, at);
	for (uint32_t at = 0; at < 3; at++)
		load(fd, BPF_ABS | BPF_W, at);
	for (uint32_t at = 8; at < 12; at++)
		load(fd, BPF_ABS | BPF_W, at);
	load(fd, BPF_ABS | BPF_W, 8 + sizeof(TEXT) - 5);	/* the last */
	load(fd, BPF_ABS | BPF_H, 8 + sizeof(TEXT) - 3);
	load(fd, BPF_W | BPF_LEN, 0);
	load(fd, BPF_IMM, 0);
	/* The IP header: version, protocol, length, addresses; and on into UDP's. */
	load(fd, BPF_ABS | BPF_B, NET(0));
	load(fd, BPF_ABS | BPF_B, LL(0));
	load(fd, BPF_ABS | BPF_B, NET(ip == 20 ? 9 : 6));
	load(fd, BPF_ABS | BPF_H, NET(ip == 20 ? 2 : 4));
	for (uint32_t at = 0; at < (ip == 20 ? 8 : 32); at += 4)
		load(fd, BPF_ABS | BPF_W, NET(source + at));
	load(fd, BPF_ABS | BPF_W, NET(source + 3));
	load(fd, BPF_ABS | BPF_W, LL(source + 1));
	load(fd, BPF_ABS | BPF_W, NET(ip - 2));
	load(fd, BPF_ABS | BPF_W, NET(ip + 1));
	load(fd, BPF_ABS | BPF_W, NET(ip + 9));
	load(fd, BPF_ABS | BPF_H, AD(SKF_AD_PROTOCOL));
	load(fd, BPF_ABS | BPF_W, AD(SKF_AD_PAY_OFFSET));
	load(fd, BPF_ABS | BPF_W, AD(SKF_AD_PKTTYPE));
	/* The same by an index. */
	for (uint32_t x = 0; x < 5; x++)
		load_from(fd, BPF_H, x, 0);
	load_from(fd, BPF_W, 2, 8);
	load_from(fd, BPF_W, 12, 0xffffffff);
	load_from(fd, BPF_B, 6, 0xffffffff);
	load_from(fd, BPF_W, source, NET(0));
	load_from(fd, BPF_H, ip, NET(0));
	load_from(fd, BPF_W, ip, NET(8));
}

CASE_FAMILIES(looks)
{
	int fd = udp_at(7007);

	kept(fd, "first");
	load_all(fd);
	close(fd);
}

CASE_FAMILIES(looks_connected)
{
	int fd = udp_at(7008);

	T(connect(fd, TO(PEER, ECHO)));
	load_all(fd);
	close(fd);
}

/* What is behind the end: the datagram is dropped, and so is what comes from before the beginning. */
CASE_FAMILIES(looks_too_far)
{
	int fd = udp(0);
	static const struct { unsigned op; uint32_t at; } places[] = {
		{ BPF_W, 8 + sizeof(TEXT) - 4 }, { BPF_H, 8 + sizeof(TEXT) - 2 }, { BPF_B, 8 + sizeof(TEXT) - 1 }, { BPF_B, 0x7fffffff },
		{ BPF_W, 0x80000000u }, { BPF_B, NET(70000) },
	};

	echo_from(fd, PEER, ECHO, "first");
	for (size_t i = 0; i < LENGTH(places); i++) {
		const struct sock_filter direct[] = { BPF_STMT((uint16_t)(BPF_LD | BPF_ABS | places[i].op), places[i].at), BPF_STMT(BPF_RET | BPF_K, 99) };
		const struct sock_filter indirect[] = {
			BPF_STMT(BPF_LDX | BPF_IMM, 8), BPF_STMT((uint16_t)(BPF_LD | BPF_IND | places[i].op), places[i].at - 8),
			BPF_STMT(BPF_RET | BPF_K, 99),
		};

		T(attach(fd, direct, LENGTH(direct)));
		give(fd, PEER, ECHO, TEXT);
		show_quiet(fd);
		T(attach(fd, indirect, LENGTH(indirect)));
		give(fd, PEER, ECHO, TEXT);
		show_quiet(fd);
	}
	T(detach(fd));
	kept(fd, TEXT);
}

/* How much is kept: never less than the UDP header. */
CASE_FAMILIES(trims)
{
	static const uint32_t lengths[] = { 1, 7, 8, 9, 12, 8 + sizeof(TEXT) - 1, 8 + sizeof(TEXT), 1000, 0x7fffffff, 0xfffffff0u };
	const struct sock_filter but_one[] = {
		BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0), BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 1),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	int fd = udp(0);

	for (int turn = 0; turn < 2; turn++) {
		for (size_t i = 0; i < LENGTH(lengths); i++) {
			const struct sock_filter by_k[] = { BPF_STMT(BPF_RET | BPF_K, lengths[i]) };
			const struct sock_filter by_a[] = { BPF_STMT(BPF_LD | BPF_IMM, lengths[i]), BPF_STMT(BPF_RET | BPF_A, 0) };

			say("%x", lengths[i]);
			kept_by(fd, "constant", by_k, LENGTH(by_k));
			kept_by(fd, "in A", by_a, LENGTH(by_a));
		}
		kept_by(fd, "all but one", but_one, LENGTH(but_one));
		T(connect(fd, TO(PEER, ECHO)));
	}
}

/* What compilers of filters make: registers, memory, IP's own header length, jumps to and fro; and tcpdump -ddd's, from the IP header on. */
CASE_FAMILIES(programs)
{
	const struct sock_filter registers[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 8), BPF_STMT(BPF_ST, 0), BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, NET(0)),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, NET(4)), BPF_STMT(BPF_ST, 15), BPF_STMT(BPF_STX, 7),
		BPF_STMT(BPF_LDX | BPF_MEM, 0), BPF_STMT(BPF_LD | BPF_MEM, 15), BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
		BPF_STMT(BPF_LDX | BPF_MEM, 7), BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0), TELL,
	};
	const struct sock_filter lengths[] = {
		BPF_STMT(BPF_LD | BPF_IMM, 7), BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_ALU | BPF_MUL | BPF_X, 0),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 5), BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0), BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 9),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0), TELL,
	};
	/* tcpdump -ddd -y RAW 'udp src port 4000' */
	const struct sock_filter dumped[] = {
		{ 48, 0, 0, 0 }, { 84, 0, 0, 240 }, { 21, 0, 4, 96 }, { 48, 0, 0, 6 }, { 21, 0, 13, 17 }, { 40, 0, 0, 40 },
		{ 21, 10, 11, 4000 }, { 48, 0, 0, 0 }, { 84, 0, 0, 240 }, { 21, 0, 8, 64 }, { 48, 0, 0, 9 }, { 21, 0, 6, 17 },
		{ 40, 0, 0, 6 }, { 69, 4, 0, 8191 }, { 177, 0, 0, 0 }, { 72, 0, 0, 0 }, { 21, 0, 1, 4000 }, { 6, 0, 0, 262144 }, { 6, 0, 0, 0 },
	};
	/* The same where a socket of UDP has its IP header. */
	struct sock_filter found[LENGTH(dumped)];
	int fd = udp(0);

	memcpy(found, dumped, sizeof(found));
	for (size_t i = 0; i < LENGTH(found); i++)
		if (BPF_CLASS(found[i].code) == BPF_LD || BPF_CLASS(found[i].code) == BPF_LDX)
			found[i].k += NET(0);
	for (int turn = 0; turn < 2; turn++) {
		kept_by(fd, "registers", registers, LENGTH(registers));
		kept_by(fd, "lengths", lengths, LENGTH(lengths));
		kept_by(fd, "found", found, LENGTH(found));
		T(attach(fd, dumped, LENGTH(dumped)));
		give(fd, PEER, ECHO, TEXT);
		show_quiet(fd);
		T(connect(fd, TO(PEER, ECHO)));
	}
}

/* Jumps that reach farther than one instruction can say. */
CASE_FAMILIES(long_jumps)
{
	static struct sock_filter insn[1002];
	int fd = udp(0);

	insn[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 8);
	for (unsigned i = 1; i < 1000; i++)
		insn[i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, i & 0x7f, i + 255 < 1000 ? 255 : (uint8_t)(1000 - i), 0);
	insn[1000] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 9);
	insn[1001] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 11);
	for (int turn = 0; turn < 2; turn++) {
		kept_by(fd, "a thousand", insn, 1002);
		show_filter(fd);
		kept(fd, "\x01 low");
		kept(fd, "\xff high");
		T(connect(fd, TO(PEER, ECHO)));
	}
}

static const struct sock_filter begins_with_k[] = {
	BPF_STMT(BPF_LD | BPF_ABS | BPF_B, 8),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'k', 0, 1),
	BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static const struct sock_filter from_echo[] = {
	BPF_STMT(BPF_LD | BPF_ABS | BPF_H, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ECHO, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

/* Peers at other ports, and neighbours, go through the same filter; a new one replaces it, and it goes with every change of the peer. */
CASE_FAMILIES(peers)
{
	static const struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	int fd = udp_at(7009), near = udp(0);
	struct sockaddr_storage here;
	socklen_t len = sizeof(here);

	T(attach(fd, from_echo, LENGTH(from_echo)));
	give(fd, PEER, FIRST, "from another port");
	echo_from(fd, PEER, ECHO, "one");
	show_quiet(fd);
	T(attach(fd, begins_with_k, LENGTH(begins_with_k)));
	MUST(getsockname(fd, (void *)&here, &len));
	name_loopback(&here);
	T(sendto(near, "near", 4, 0, (void *)&here, len));
	T(sendto(near, "kin", 3, 0, (void *)&here, len));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	for (int turn = 0; turn < 2; turn++) {
		T(connect(fd, TO(PEER, turn ? FIRST : ECHO)));
		show_filter(fd);
		T(sendto(fd, "kept stray", 10, 0, TO(PEER, turn ? ECHO : FIRST)));
		T(send(fd, "dropped", 7, 0));
		T(send(fd, "kept", 4, 0));
		await(fd);
		show_from(fd, 100, MSG_DONTWAIT);
		show_quiet(fd);
	}
	T(connect(fd, &unspec, sizeof(unspec)));
	show_filter(fd);
	give(fd, PEER, ECHO, "dropped");
	kept(fd, "kept");
	T(detach(fd));
	kept(fd, "all");
	T(detach(fd));
}

/* What is waited for never comes where it is dropped. */
CASE(readiness)
{
	struct epoll_event e = { .events = EPOLLIN };
	int fd = udp(SOCK_NONBLOCK), ep = (int)MUST(epoll_create1(0)), n;

	MUST(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
	T(attach(fd, begins_with_k, LENGTH(begins_with_k)));
	give(fd, PEER, ECHO, "dropped");
	show_epoll(ep, quarters(6));
	T(ioctl(fd, FIONREAD, &n));
	say("%d to read", n);
	give(fd, PEER, ECHO, "kept");
	show_epoll(ep, LONG);
	T(ioctl(fd, FIONREAD, &n));
	say("%d to read", n);
	show_from(fd, 100, 0);
}

/* What the kernel refuses, and what stays then. */
CASE_FAMILIES(refused)
{
	static const struct sock_filter no_return[] = { BPF_STMT(BPF_LD | BPF_IMM, 0) };
	static const struct sock_filter far[] = { BPF_STMT(BPF_JMP | BPF_JA, 1), BPF_STMT(BPF_RET | BPF_K, 1) };
	static const struct sock_filter far_if[] = { BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 9), BPF_STMT(BPF_RET | BPF_K, 1) };
	static const struct sock_filter cell[] = { BPF_STMT(BPF_ST, 16), BPF_STMT(BPF_RET | BPF_K, 1) };
	static const struct sock_filter never_stored[] = { BPF_STMT(BPF_LD | BPF_MEM, 3), BPF_STMT(BPF_RET | BPF_A, 1) };
	static const struct sock_filter zero[] = { BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 1) };
	static const struct sock_filter shift[] = { BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), BPF_STMT(BPF_RET | BPF_K, 1) };
	static const struct sock_filter unknown[] = { BPF_STMT(0xffff, 0), BPF_STMT(BPF_RET | BPF_K, 1) };
	static const struct sock_filter ancillary[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AD(200)), BPF_STMT(BPF_RET | BPF_K, 1) };
	static const struct sock_filter returns_x[] = { BPF_STMT(BPF_RET | BPF_X, 1) };
	struct sock_fprog prog = { .len = 4, .filter = (struct sock_filter *)begins_with_k };
	int fd = udp(0), one = 1;
	struct sock_filter insn[8];
	socklen_t n;

	for (int turn = 0; turn < 3; turn++) {
		T(attach(fd, begins_with_k, LENGTH(begins_with_k)));
		T(attach(fd, no_return, LENGTH(no_return)));
		T(attach(fd, far, LENGTH(far)));
		T(attach(fd, far_if, LENGTH(far_if)));
		T(attach(fd, cell, LENGTH(cell)));
		T(attach(fd, never_stored, LENGTH(never_stored)));
		T(attach(fd, zero, LENGTH(zero)));
		T(attach(fd, shift, LENGTH(shift)));
		T(attach(fd, unknown, LENGTH(unknown)));
		T(attach(fd, ancillary, LENGTH(ancillary)));
		T(attach(fd, returns_x, LENGTH(returns_x)));
		T(attach(fd, begins_with_k, 0));
		T(attach(fd, begins_with_k, 5000));
		T(attach(fd, NULL, 4));
		T(attach(fd, nowhere, 4));
		T(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, 3));
		T(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog) - 1));
		T(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog) + 1));
		T(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, nowhere, sizeof(prog)));
		T(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, NULL, sizeof(prog)));
		T(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, nowhere, sizeof(one)));
		T(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &one, 3));
		T(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, nowhere, sizeof(one)));
		T(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &one, 1));
		for (socklen_t room = 0; room < 6; room++) {
			n = room;
			T(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, insn, &n));
			say("of %u: %u", room, n);
		}
		n = 4;
		T(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, nowhere, &n));
		T(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, insn, nowhere));
		n = (socklen_t)-1;
		T(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, insn, &n));
		show_filter(fd);
		give(fd, PEER, ECHO, "dropped");
		kept(fd, "kept");
		if (turn == 1)
			T(connect(fd, TO(PEER, ECHO)));
	}
}

/* By number, and by another descriptor of the socket. */
CASE(by_number)
{
	struct sock_fprog prog = { .len = 4, .filter = (struct sock_filter *)begins_with_k };
	int fd = udp(0), one = 1, other = (int)MUST(dup(fd));
	socklen_t n = 0;

	for (int turn = 0; turn < 2; turn++) {
		T(syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
		T(syscall(SYS_getsockopt, other, SOL_SOCKET, SO_GET_FILTER, NULL, &n));
		say("filter of %u", n);
		give(other, PEER, ECHO, "dropped");
		kept(fd, "kept");
		T(syscall(SYS_setsockopt, other, SOL_SOCKET, SO_DETACH_FILTER, &one, sizeof(one)));
		show_filter(fd);
		kept(fd, "all");
	}
	T(syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof(one)));
	T(attach(other, begins_with_k, LENGTH(begins_with_k)));
}

/* `drops`: it has the filter. */
static void show_locked(int fd, bool drops)
{
	show_option(fd, SOL_SOCKET, SO_LOCK_FILTER, "SO_LOCK_FILTER");
	show_filter(fd);
	T(attach(fd, from_echo, LENGTH(from_echo)));
	T(attach(fd, from_echo, 0));
	T(attach(fd, nowhere, 4));
	T(detach(fd));
	T(lock(fd, 0));
	T(lock(fd, 1));
	T(setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof(fd)));
	if (drops)
		give(fd, PEER, ECHO, "other");
	kept(fd, "kept");
}

/* Locked before, with a filter or with none; and then the socket turns to this peer and to that. */
CASE_FAMILIES(locked_first)
{
	for (int with = 0; with < 2; with++) {
		int fd = udp(0);

		if (with)
			T(attach(fd, begins_with_k, LENGTH(begins_with_k)));
		T(lock(fd, 0));
		T(lock(fd, 1));
		show_locked(fd, with);
		T(connect(fd, TO(PEER, ECHO)));
		T(sendto(fd, "kept stray", 10, 0, TO(PEER, FIRST)));
		show_quiet(fd);
		show_locked(fd, with);
		T(connect(fd, TO(PEER, FIRST)));
		T(send(fd, "kept too", 8, 0));
		await(fd);
		show_from(fd, 100, MSG_DONTWAIT);
		show_from(fd, 100, MSG_DONTWAIT);
		close(fd);
	}
}

CASE_FAMILIES(locked_later)
{
	int fd = udp(0);

	echo_from(fd, PEER, ECHO, "one");
	T(lock(fd, 0));
	T(attach(fd, begins_with_k, LENGTH(begins_with_k)));
	T(lock(fd, 1));
	show_locked(fd, true);
	T(connect(fd, TO(PEER, ECHO)));
	show_locked(fd, true);
}

CASE_ATTR(heir, "sub")
{
	show_locked(0, true);
	T(connect(0, TO(PEER, ECHO)));
	show_locked(0, true);
}

/* Who gets the socket by exec finds it as it is: before it has turned to the tailnet, and after. */
CASE_FAMILIES(exec)
{
	for (int turn = 0; turn < 2; turn++) {
		int fd = udp(0);
		pid_t child;

		T(attach(fd, begins_with_k, LENGTH(begins_with_k)));
		if (turn)
			kept(fd, "kept");
		T(lock(fd, 1));
		child = fork();
		if (child == 0) {
			dup2(fd, 0);
			execl(case_self, case_self, "heir", NULL);
			_exit(1);
		}
		expect_exit(child);
		close(fd);
	}
}

/* A child and its parent have one socket. */
CASE_FAMILIES(forked)
{
	int fd = udp(0);
	pid_t child;

	kept(fd, "one");
	child = fork();
	if (child == 0) {
		T(attach(fd, begins_with_k, LENGTH(begins_with_k)));
		kept(fd, "kept");
		_exit(0);
	}
	expect_exit(child);
	show_filter(fd);
	T(connect(fd, TO(PEER, ECHO)));
	T(send(fd, "dropped", 7, 0));
	T(send(fd, "kept", 4, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(lock(fd, 1));
	child = fork();
	if (child == 0) {
		show_locked(fd, true);
		_exit(0);
	}
	expect_exit(child);
	show_locked(fd, true);
}

CASE(passed)
{
	int fd = udp(0), pair[2], got;
	pid_t child;

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	T(attach(fd, begins_with_k, LENGTH(begins_with_k)));
	T(lock(fd, 1));
	child = fork();
	if (child == 0) {
		got = recv_fd(pair[1]);
		show_locked(got, true);
		_exit(0);
	}
	T(connect(fd, TO(PEER, ECHO)));
	send_fd(pair[0], fd);
	expect_exit(child);
	T(send(fd, "kept", 4, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

/* The proxy takes its time, and the socket does not wait for it: the filter is there when it has answered. */
static void before_it_answers(bool connects, bool locks)
{
	int fd = udp(SOCK_NONBLOCK);

	if (!connects)
		T(attach(fd, begins_with_k, LENGTH(begins_with_k)));
	if (connects)
		T(connect(fd, TO(PEER, ECHO)));
	T(sendto(fd, "dropped", 7, 0, TO(PEER, ECHO)));
	if (connects)
		T(attach(fd, begins_with_k, LENGTH(begins_with_k)));
	show_filter(fd);
	if (locks) {
		T(lock(fd, 1));
		T(detach(fd));
	}
	T(sendto(fd, "kept", 4, 0, TO(PEER, ECHO)));
	await(fd);
	show_from(fd, 100, 0);
	show_quiet(fd);
	show_filter(fd);
	show_option(fd, SOL_SOCKET, SO_LOCK_FILTER, "SO_LOCK_FILTER");
	T(detach(fd));
	give(fd, PEER, ECHO, "last");
	await(fd);
	show_from(fd, 100, 0);
}

CASE_ATTR(slow, "proxy=8") { before_it_answers(false, false); }
CASE_ATTR(slow_connected, "proxy=8") { before_it_answers(true, false); }
CASE_ATTR(slow_locked, "proxy=8") { before_it_answers(false, true); }
CASE_ATTR(slow_connected_locked, "proxy=8") { before_it_answers(true, true); }

/* One thread changes the filter, the other the peer: nobody's change is lost. */
static volatile bool stop;

static void *changes(void *arg)
{
	int fd = *(int *)arg;

	while (!stop) {
		if (attach(fd, begins_with_k, LENGTH(begins_with_k)) || detach(fd))
			say("a change: %s", err_name(errno));
	}
	return NULL;
}

CASE_FAMILIES(threads)
{
	int fd = udp(0);
	pthread_t other;

	MUST(connect(fd, TO(PEER, ECHO)));
	stop = false;
	other = thread(changes, &fd);
	for (int i = 0; i < 300; i++)
		MUST(connect(fd, TO(PEER, i & 1 ? ECHO : FIRST)));
	stop = true;
	join(other);
	show_filter(fd);
	T(attach(fd, begins_with_k, LENGTH(begins_with_k)));
	T(sendto(fd, "kept stray", 10, 0, TO(PEER, FIRST)));
	T(send(fd, "dropped", 7, 0));
	T(send(fd, "kept", 4, 0));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	show_quiet(fd);
}

/* Other sockets' filters are the kernel's. */
CASE(of_others)
{
	int tcp = sock(0), raw[2];

	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, raw));
	for (int turn = 0; turn < 2; turn++) {
		int fd = turn ? tcp : raw[0];

		T(attach(fd, begins_with_k, LENGTH(begins_with_k)));
		show_filter(fd);
		T(lock(fd, 1));
		T(detach(fd));
		show_option(fd, SOL_SOCKET, SO_LOCK_FILTER, "SO_LOCK_FILTER");
	}
	T(attach(-1, begins_with_k, 4));
	T(attach(9999, begins_with_k, 4));
	T(lock(-1, 1));
	show_filter(-1);
}
