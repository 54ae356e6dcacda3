/* SPDX-License-Identifier: MIT */
/*
 * Socket filters with a program's own in them. The kernel is asked what it takes, and what a program does with a datagram; so it also judges
 * the interpreter (bpf.h) by which the fuzz target compares.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "bpf.h"
#include "tsproxy/udp_bpf.h"
#include "tsproxy/udp_header.h"
#include "unit.h"

#define RELAY "127.0.0.1:4040"
#define PEER4 "100.64.0.2:4000"
#define PEER6 "[fd7a:115c:a1e0::2]:4000"

static const uint32_t record[16] = { 11, 22, 33 };
static struct sock_filter out[BPF_MAXINSNS];
static uint16_t places[BPF_MAXINSNS + 1];

static struct ts_addr addr(const char *text)
{
	struct ts_addr a;

	ck_assert(ts_addr_parse_hostport(text, strlen(text), &a));
	return a;
}

static struct ts_udp_bpf whole(bool relayed, const char *peer, bool six, const struct sock_filter *program, unsigned n)
{
	struct ts_udp_bpf f = { .relayed = relayed, .connected = peer != NULL, .six = six, .relay = addr(RELAY), .own4 = addr("100.64.0.1:1"),
				.own6 = addr("[fd7a:115c:a1e0::1]:1"), .program = program, .n = n, .record = record, .words = 16 };

	if (peer)
		f.peer = addr(peer);
	return f;
}

static unsigned compose(const struct ts_udp_bpf *f)
{
	return ts_udp_bpf_compose(out, BPF_MAXINSNS, places, f);
}

static int attach(int fd, const struct sock_filter *s, unsigned n)
{
	struct sock_fprog prog = { .len = (unsigned short)n, .filter = (struct sock_filter *)s };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) == 0 ? 0 : -errno;
}

/* The same numbers on every run. */
static uint32_t noise(void)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static unsigned program_of_noise(struct sock_filter *s, unsigned max)
{
	uint8_t bytes[8 * 64];
	unsigned n = noise() % max + 1;

	for (size_t i = 0; i < 8 * n; i++)
		bytes[i] = (uint8_t)noise();
	bpf_program(s, n, bytes);
	return n;
}

/* Each form of it, and what is found in it again. */
static void each_form(void (*each)(const struct ts_udp_bpf *f, void *arg), const struct sock_filter *program, unsigned n, void *arg)
{
	const struct ts_udp_bpf forms[] = {
		whole(false, NULL, false, program, n), whole(true, NULL, false, program, n), whole(true, NULL, true, program, n),
		whole(true, PEER4, true, program, n), whole(true, PEER6, true, program, n),
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		each(forms + i, arg);
}

static void is_found(const struct ts_udp_bpf *f, void *arg)
{
	unsigned total = compose(f), n;
	const struct sock_filter *at = out + BPF_MAXINSNS - total, *program, *words;

	(void)arg;
	ck_assert_uint_gt(total, 0);
	words = ts_udp_bpf_find(at, total, 16, &program, &n);
	ck_assert_ptr_nonnull(words);
	for (unsigned i = 0; i < 16; i++)
		ck_assert_uint_eq(words[i].k, record[i]);
	ck_assert_uint_eq(n, f->n);
	ck_assert(n == 0 || memcmp(program, f->program, n * sizeof(*program)) == 0);
	ck_assert(ts_udp_bpf_valid(at, total));
	ck_assert(n || total <= TS_UDP_BPF_SMALL);
	for (unsigned less = 0; less < total && less < 64; less++)
		ck_assert_uint_eq(ts_udp_bpf_compose(out, less, places, f), 0);
}

START_TEST(found_again)
{
	struct sock_filter program[64];
	const struct sock_filter *own;
	unsigned n;

	each_form(is_found, NULL, 0, NULL);
	for (int i = 0; i < 1000; i++) {
		n = program_of_noise(program, 40);
		each_form(is_found, program, n, NULL);
		ck_assert_ptr_null(ts_udp_bpf_find(program, n, 16, &own, &n));
	}
}
END_TEST

/* A record that somebody made up must not lead outside. */
START_TEST(forged)
{
	struct ts_udp_bpf f = whole(true, NULL, false, NULL, 0);
	unsigned total = compose(&f), n;
	struct sock_filter *at = out + BPF_MAXINSNS - total;
	const struct sock_filter *program;

	for (unsigned less = 0; less < total; less++)
		ts_udp_bpf_find(at + less, total - less, 16, &program, &n);
	at[total - 18].k = total - 19;
	ck_assert_ptr_nonnull(ts_udp_bpf_find(at, total, 16, &program, &n));
	ck_assert_ptr_eq(program, at);
	at[total - 18].k = total - 18;
	ck_assert_ptr_null(ts_udp_bpf_find(at, total, 16, &program, &n));
	at[total - 18].k = UINT32_MAX;
	ck_assert_ptr_null(ts_udp_bpf_find(at, total, 16, &program, &n));
	at[total - 18] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	ck_assert_ptr_null(ts_udp_bpf_find(at, total, 16, &program, &n));
}
END_TEST

static void is_refused(const struct ts_udp_bpf *f, void *arg)
{
	int *fd_and_want = arg;
	unsigned total;

	if (!ts_udp_bpf_valid(f->program, f->n)) {
		ck_assert_int_eq(fd_and_want[1], -EINVAL);
		return;
	}
	total = compose(f);
	ck_assert_uint_gt(total, 0);
	ck_assert_int_eq(attach(fd_and_want[0], out + BPF_MAXINSNS - total, total), fd_and_want[1]);
}

/* What the kernel takes alone it takes within ours, and nothing else. */
START_TEST(as_the_kernel_judges)
{
	int fd_and_want[2] = { socket(AF_INET, SOCK_DGRAM, 0), 0 };
	struct sock_filter program[64];
	unsigned good = 0;

	ck_assert_int_ge(fd_and_want[0], 0);
	for (int i = 0; i < 3000; i++) {
		unsigned n = program_of_noise(program, 24);

		if (i & 1)	/* a wrong instruction, or a jump, or a place too far */
			memset((uint8_t *)&program[noise() % n] + noise() % 8, (int)noise(), 1);
		fd_and_want[1] = attach(fd_and_want[0], program, n);
		good += fd_and_want[1] == 0;
		each_form(is_refused, program, n, fd_and_want);
	}
	ck_assert_uint_gt(good, 500);
	close(fd_and_want[0]);
}
END_TEST

static bool looks_before_the_data(const struct sock_filter *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if ((BPF_CLASS(s[i].code) == BPF_LD || BPF_CLASS(s[i].code) == BPF_LDX) && s[i].k >= 0x80000000u)
			return true;
	return false;
}

/* What passes a filter on a unix socket, which sees what is sent as a UDP socket does its header and payload. -1: nothing. */
static ssize_t passed(const int pair[2], const struct sock_filter *s, unsigned n, const uint8_t *data, size_t len)
{
	uint8_t in[512];

	ck_assert_int_eq(attach(pair[1], s, n), 0);
	if (send(pair[0], data, len, 0) < 0)
		return -1;
	return recv(pair[1], in, sizeof(in), MSG_DONTWAIT);
}

static ssize_t at_least(uint32_t kept, size_t len, uint32_t least)
{
	if (!kept)
		return -1;
	kept = kept < least ? least : kept;
	return kept < len ? (ssize_t)kept : (ssize_t)len;
}

START_TEST(as_the_kernel_runs)
{
	struct ts_addr peer = addr(PEER4);
	struct sock_filter program[64];
	unsigned compared = 0, dropped = 0;
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	for (int i = 0; i < 60000; i++) {
		uint8_t buf[40 + 8 + TS_UDP_HEADER_MAX + 64] = { 0 }, *data = buf + 20, native[8 + 64];
		unsigned n = program_of_noise(program, 12), len = noise() % 60, head = 0;
		struct ts_udp_bpf f = whole(true, PEER4, false, program, n);
		struct bpf_packet p = { native, 8 + len, 0, 0 };
		ssize_t want, got;

		if (looks_before_the_data(program, n) || attach(pair[1], program, n))
			continue;
		for (unsigned k = 0; k < 8 + len; k++)
			native[k] = (uint8_t)noise();
		native[0] = (uint8_t)(peer.port >> 8);
		native[1] = (uint8_t)peer.port;
		native[4] = 0;
		native[5] = (uint8_t)(8 + len);
		want = passed(pair, program, n, native, 8 + len);
		ck_assert_int_eq(want, at_least(bpf_run(program, &p), 8 + len, 1));

		head = (unsigned)ts_udp_header_write(data + 8, &peer);
		memcpy(data, native, 8);
		memcpy(data + 8 + head, native + 8, len);
		data[5] = (uint8_t)(8 + head + len);
		n = compose(&f);
		got = passed(pair, out + BPF_MAXINSNS - n, n, data, 8 + head + len);
		/* A UDP socket keeps its header in any case. */
		ck_assert_int_eq(got, want < 0 ? -1 : (want < 8 ? 8 : want) + (ssize_t)head);
		compared++;
		dropped += want < 0;
	}
	ck_assert_uint_gt(compared, 3000);
	ck_assert_uint_gt(dropped, 300);
	ck_assert_uint_gt(compared - dropped, 300);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

/* It says so, where it cannot be done. */
START_TEST(too_much)
{
	static struct sock_filter program[BPF_MAXINSNS];
	struct ts_udp_bpf f = whole(true, NULL, true, program, BPF_MAXINSNS);

	for (unsigned i = 0; i < BPF_MAXINSNS; i++)
		program[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, i);
	ck_assert_uint_eq(compose(&f), 0);
	f = whole(true, NULL, true, program, 1340);
	ck_assert_uint_gt(compose(&f), 0);
	f = whole(true, PEER4, true, program, 2000);
	ck_assert_uint_gt(compose(&f), 0);
	f = whole(false, NULL, true, program, BPF_MAXINSNS - 19);
	ck_assert_uint_eq(compose(&f), BPF_MAXINSNS);

	for (unsigned i = 0; i < BPF_MEMWORDS; i++)
		program[i] = (struct sock_filter)BPF_STMT(BPF_ST, i);
	f = whole(true, NULL, true, program, BPF_MEMWORDS + 2);
	program[BPF_MEMWORDS] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_ABS | BPF_W, 2);
	ck_assert_uint_eq(compose(&f), 0);
	program[BPF_MEMWORDS] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_ABS | BPF_W, 8);
	ck_assert_uint_gt(compose(&f), 0);
	f.n = BPF_MEMWORDS + 1;
	program[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, 0);
	program[BPF_MEMWORDS] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_ABS | BPF_W, 2);
	ck_assert_uint_gt(compose(&f), 0);
}
END_TEST

static int udp_on_loopback(int family, struct sockaddr_storage *name, socklen_t *len)
{
	int fd = socket(family, SOCK_DGRAM, 0);

	*name = (struct sockaddr_storage){ .ss_family = (sa_family_t)family };
	*len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	if (family == AF_INET)
		((struct sockaddr_in *)name)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)name)->sin6_addr = in6addr_loopback;
	ck_assert_int_eq(bind(fd, (void *)name, *len), 0);
	ck_assert_int_eq(getsockname(fd, (void *)name, len), 0);
	return fd;
}

/* Of a program that drops everything one sender's empty datagram alone is let in, and of one that keeps all nothing changes. */
static void let_in(int family, bool relayed, uint32_t keeps)
{
	struct sock_filter program[300];
	struct sockaddr_storage to, from;
	socklen_t to_len, from_len;
	int fd = udp_on_loopback(family, &to, &to_len), known = udp_on_loopback(family, &from, &from_len), other;
	struct ts_udp_bpf f = whole(relayed, NULL, family == AF_INET6, program, 300);
	unsigned total;
	char buf[8];

	for (int i = 0; i < 299; i++)
		program[i] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, keeps / 299);
	program[299] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
	ck_assert(ts_addr_from_sockaddr(&f.knock, (void *)&from, from_len));
	total = compose(&f);
	ck_assert_uint_gt(total, 0);
	ck_assert_int_eq(attach(fd, out + BPF_MAXINSNS - total, total), 0);
	other = udp_on_loopback(family, &from, &from_len);
	ck_assert_int_eq(sendto(other, "", 0, 0, (void *)&to, to_len), 0);
	ck_assert_int_eq(sendto(known, "abc", 3, 0, (void *)&to, to_len), 3);
	ck_assert_int_eq(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), keeps ? 0 : -1);
	ck_assert_int_eq(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), keeps ? 3 : -1);
	ck_assert_int_eq(sendto(known, "", 0, 0, (void *)&to, to_len), 0);
	ck_assert_int_eq(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), 0);
	close(fd);
	close(known);
	close(other);
}

START_TEST(knock)
{
	for (int i = 0; i < 8; i++)
		let_in(i & 1 ? AF_INET6 : AF_INET, i & 2, i & 4 ? 2990 : 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("udp_bpf");
	TCase *c = tcase_create("filters");

	tcase_set_timeout(c, 120);
	tcase_add_test(c, found_again);
	tcase_add_test(c, forged);
	tcase_add_test(c, as_the_kernel_judges);
	tcase_add_test(c, as_the_kernel_runs);
	tcase_add_test(c, too_much);
	tcase_add_test(c, knock);
	suite_add_tcase(s, c);
	return unit_run(s);
}
