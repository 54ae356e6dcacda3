/* SPDX-License-Identifier: MIT */
/* The filter of a socket with an association. The kernel is asked what it takes, and what it lets through. */
#include <netinet/in.h>
#include <sys/socket.h>

#include "tsproxy/udp_bpf.h"
#include "tsproxy/udp_header.h"
#include "unit.h"

#define PEER4 "100.64.0.2:4000"
#define OTHER4 "100.64.0.2:4001"
#define PEER6 "[fd7a:115c:a1e0::2]:4000"

static struct sock_filter out[TS_UDP_BPF_MAX];

static struct ts_addr addr(const char *text)
{
	struct ts_addr a;

	ck_assert(ts_addr_parse_hostport(text, strlen(text), &a));
	return a;
}

static struct ts_udp_bpf whole(const char *relay, const char *peer, bool six)
{
	struct ts_udp_bpf f = { .connected = peer != NULL, .six = six, .relay = addr(relay), .record = { 11, 22, 33 } };

	if (peer)
		f.peer = addr(peer);
	return f;
}

/* Composes it, and what is found in it again. */
static struct sock_fprog compose(const struct ts_udp_bpf *f)
{
	unsigned n = ts_udp_bpf_compose(out, f);
	struct sock_filter *at = out + TS_UDP_BPF_MAX - n;
	const struct sock_filter *record = ts_udp_bpf_find(at, n);

	ck_assert_uint_gt(n, 0);
	ck_assert_uint_le(n, TS_UDP_BPF_MAX);
	ck_assert_ptr_nonnull(record);
	for (unsigned i = 0; i < TS_UDP_RECORD_WORDS; i++)
		ck_assert_uint_eq(record[i].k, f->record[i]);
	return (struct sock_fprog){ .len = (unsigned short)n, .filter = at };
}

START_TEST(not_ours)
{
	struct ts_udp_bpf f = whole("127.0.0.1:4040", NULL, false);
	struct sock_fprog prog = compose(&f);
	struct sock_filter *magic = prog.filter + prog.len - TS_UDP_RECORD_WORDS - 2;

	for (unsigned n = 0; n < prog.len; n++)
		ck_assert_ptr_null(ts_udp_bpf_find(prog.filter, n));
	magic->k++;
	ck_assert_ptr_null(ts_udp_bpf_find(prog.filter, prog.len));
	magic->k--;
	magic[TS_UDP_RECORD_WORDS].code = BPF_RET | BPF_K;
	ck_assert_ptr_null(ts_udp_bpf_find(prog.filter, prog.len));
}
END_TEST

static int udp_on_loopback(int family, struct sockaddr_storage *name, socklen_t *len, struct ts_addr *a)
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
	ck_assert(ts_addr_from_sockaddr(a, (void *)name, *len));
	return fd;
}

/* Whether the socket gets a datagram that begins with the header of `from` (null: with "plain"), of which `cut` bytes are missing. */
static bool passes(int fd, const struct sockaddr_storage *to, socklen_t len, int sender, const char *from, size_t cut)
{
	uint8_t data[TS_UDP_HEADER_MAX + 5] = "plain", in[64];
	size_t n = 5;
	struct ts_addr a;

	if (from) {
		a = addr(from);
		n = ts_udp_header_write(data, &a) - cut;
	}
	ck_assert_int_eq(sendto(sender, data, n, 0, (void *)to, len), n);
	return recv(fd, in, sizeof(in), MSG_DONTWAIT) == (ssize_t)n;
}

START_TEST(lets_through)
{
	int family = _i & 1 ? AF_INET6 : AF_INET;
	bool six = family == AF_INET6;
	struct sockaddr_storage to, name;
	socklen_t len, name_len;
	struct ts_addr here, there;
	int fd = udp_on_loopback(family, &to, &len, &here), relay = udp_on_loopback(family, &name, &name_len, &there);
	int other = udp_on_loopback(family, &name, &name_len, &here);
	struct ts_udp_bpf f = { .six = six, .relay = there };
	struct sock_fprog prog = compose(&f);

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)), 0);
	ck_assert(passes(fd, &to, len, relay, PEER4, 0));
	ck_assert(!passes(fd, &to, len, relay, PEER4, 1));
	ck_assert_int_eq(passes(fd, &to, len, relay, PEER6, 0), six);
	ck_assert(!passes(fd, &to, len, relay, PEER6, 1));
	ck_assert(!passes(fd, &to, len, relay, NULL, 0));
	ck_assert(passes(fd, &to, len, other, NULL, 0));

	f.connected = true;
	f.peer = addr(_i & 2 ? PEER6 : PEER4);
	prog = compose(&f);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)), 0);
	ck_assert_int_eq(passes(fd, &to, len, relay, PEER4, 0), !(_i & 2));
	ck_assert_int_eq(passes(fd, &to, len, relay, PEER6, 0), (_i & 2) != 0);
	ck_assert(!passes(fd, &to, len, relay, OTHER4, 0));
	ck_assert(!passes(fd, &to, len, relay, NULL, 0));
	close(fd);
	close(relay);
	close(other);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("udp_bpf");
	TCase *c = tcase_create("filters");

	tcase_add_test(c, not_ours);
	tcase_add_loop_test(c, lets_through, 0, 4);
	suite_add_tcase(s, c);
	return unit_run(s);
}
