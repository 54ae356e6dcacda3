/* SPDX-License-Identifier: MIT */
/* Whose a port is: told by sock_diag, and where netlink is denied by the kernel's table, in every way that a port is bound. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tsproxy/tool.h"
#include "unit.h"

#define NOT_LISTENING 1
#define V6ONLY 2
#define ON_LO 4
#define GROUP 8	/* SO_REUSEPORT */

/* Bound in this order, each by a user of its own where there are others than us. */
static const struct bound {
	const char *ip;
	uint16_t port;
	uint32_t uid;
	unsigned how;
} bound[] = {
	{ "127.0.0.1", 2001, 64001, 0 },
	{ "0.0.0.0", 2002, 64002, 0 },
	{ "::", 2003, 64003, 0 },
	{ "::", 2004, 64004, V6ONLY },
	{ "127.0.0.1", 2004, 64005, 0 },
	{ "::ffff:127.0.0.1", 2005, 64006, 0 },
	{ "::1", 2006, 64007, 0 },
	{ "127.0.0.1", 2007, 64008, NOT_LISTENING },
	{ "127.0.0.1", 2008, 64009, GROUP },
	{ "127.0.0.1", 2008, 64009, GROUP },
	{ "127.0.0.2", 2009, 64010, 0 },
	{ "127.0.0.1", 2010, 64011, ON_LO },
	{ "127.0.0.1", 2011, 0, 0 },
};

static const struct asked {
	const char *at;
	uint32_t uid; /* 0: nobody's, but at 2011 */
} asked[] = {
	{ "127.0.0.1:2001", 64001 }, { "[::1]:2001", 0 },	  { "127.0.0.1:2002", 64002 }, { "127.0.0.9:2002", 64002 },
	{ "[::1]:2002", 0 },	     { "127.0.0.1:2003", 64003 }, { "[::1]:2003", 64003 },     { "127.0.0.1:2004", 64005 },
	{ "[::1]:2004", 64004 },     { "127.0.0.1:2005", 64006 }, { "[::1]:2006", 64007 },     { "127.0.0.1:2006", 0 },
	{ "127.0.0.1:2007", 0 },     { "127.0.0.1:2008", 64009 }, { "127.0.0.1:2009", 0 },     { "127.0.0.2:2009", 64010 },
	{ "127.0.0.1:2010", 64011 }, { "127.0.0.1:2999", 0 },	  { "127.0.0.1:2011", 0 },
};

static bool become(uint32_t uid)
{
	return seteuid(uid) == 0;
}

/* Not without root, nor in a user namespace that holds one user. */
static bool others(void)
{
	return geteuid() == 0 && become(64001) && become(0);
}

static void bind_one(const struct bound *b)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(b->port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(b->port) };
	bool four = inet_pton(AF_INET, b->ip, &in.sin_addr) == 1;
	bool other = others();
	int only = b->how & V6ONLY ? 1 : 0, on = 1, fd;

	ck_assert(!other || become(b->uid));
	fd = socket(four ? AF_INET : AF_INET6, SOCK_STREAM, 0);
	ck_assert_int_ge(fd, 0);
	if (!four) {
		inet_pton(AF_INET6, b->ip, &in6.sin6_addr);
		ck_assert_int_eq(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)), 0);
	}
	if (b->how & ON_LO)
		ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), 0);
	if (b->how & GROUP)
		ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
	ck_assert_int_eq(four ? bind(fd, (struct sockaddr *)&in, sizeof(in)) : bind(fd, (struct sockaddr *)&in6, sizeof(in6)), 0);
	if (!(b->how & NOT_LISTENING))
		ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert(!other || become(0));
}

/* As a service's RestrictAddressFamilies= does it. */
static void deny_netlink(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = sizeof(f) / sizeof(*f), .filter = f };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
	ck_assert_int_eq(socket(AF_NETLINK, SOCK_RAW, 0), -1);
}

START_TEST(every_binding)
{
	struct ts_owner o;
	struct ts_addr at;

	for (size_t i = 0; i < sizeof(bound) / sizeof(*bound); i++)
		bind_one(&bound[i]);
	if (_i)
		deny_netlink();
	for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++) {
		uint32_t uid = others() ? asked[i].uid : geteuid();
		bool ours = uid == geteuid();

		ck_assert(ts_addr_parse_hostport(asked[i].at, strlen(asked[i].at), &at));
		ts_owner_find(&at, TS_NO_USER, &o);
		if (asked[i].uid == 0 && at.port != 2011) {
			ck_assert_msg(o.kind == TS_OWNER_NOBODY, "%s: kind %d, user %u", asked[i].at, o.kind, o.uid);
			continue;
		}
		ck_assert_msg(o.kind == (ours ? TS_OWNER_TRUSTED : TS_OWNER_STRANGER) && o.uid == uid && o.inode,
			      "%s: kind %d, user %u", asked[i].at, o.kind, o.uid);
		ts_owner_find(&at, asked[i].uid, &o);
		ck_assert_int_eq(o.kind, TS_OWNER_TRUSTED);
	}
}
END_TEST

START_TEST(in_words)
{
	struct ts_owner o;
	struct ts_addr at;
	char text[160], user[64], want[160];

	bind_one(&bound[sizeof(bound) / sizeof(*bound) - 1]);
	ts_addr_parse_hostport("127.0.0.1:2011", 14, &at);
	ts_owner_find(&at, TS_NO_USER, &o);
	/* The program is this one, by the name that the kernel has of it. */
	snprintf(want, sizeof(want), "%s (test_owner)", ts_owner_user(geteuid(), user, sizeof(user)));
	ck_assert_str_eq(ts_owner_text(&o, text, sizeof(text)), want);
	o = (struct ts_owner){ .kind = TS_OWNER_STRANGER, .uid = 64009 };
	ck_assert_str_eq(ts_owner_text(&o, text, sizeof(text)), "user 64009, another user");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("owner");
	TCase *t = tcase_create("owner");
	const char *private = getenv("TSPROXY_TEST_PRIVATE");

	if (!private || strcmp(private, "yes") != 0) {
		printf("skip: listens on fixed ports, so it runs in tests/lib/private only\n");
		return 77;
	}
	suite_add_tcase(s, t);
	tcase_add_loop_test(t, every_binding, 0, 2);
	tcase_add_test(t, in_words);
	return unit_run(s);
}
