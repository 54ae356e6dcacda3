/* SPDX-License-Identifier: MIT */
/*
 * Whose a port on this machine is. The kernel says which listening socket a connection to an address would reach, and
 * which user made that: by sock_diag(7), whose look-up is that of a connect, or, where that is denied, in its table of
 * listeners (proc(5)). All listeners of a SO_REUSEPORT group are one user's; bind(2) sees to that.
 *
 * In a user namespace, all users from outside of it have one number, which a user inside may have as well. There it says
 * nothing.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tsproxy/tool.h"

#define STATE_LISTEN 10		/* TCP_LISTEN of the kernel's net/tcp_states.h */
#define LOOPBACK_INDEX 1	/* of lo, in every network namespace */
#define OVERFLOW_UID 65534u	/* where the kernel does not say another (/proc/sys/kernel/overflowuid) */
#define ALL_USERS 4294967295u	/* the length of the initial namespace's uid_map, user_namespaces(7) */

/* 0, -ENOENT where nobody listens or the kernel cannot be asked such things, or another error. */
static int ask(const struct ts_addr *at, struct ts_owner *out)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 req;
	} q = { .head = { .nlmsg_len = sizeof(q), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST },
		.req = { .sdiag_family = ts_addr_is4(at) ? AF_INET : AF_INET6,
			 .sdiag_protocol = IPPROTO_TCP,
			 .idiag_states = 1u << STATE_LISTEN,
			 .id = { .idiag_sport = htons(at->port),
				 .idiag_if = LOOPBACK_INDEX,
				 .idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } } } };
	union {
		struct nlmsghdr head;
		uint8_t bytes[1024];
	} a;
	const struct inet_diag_msg *msg = NLMSG_DATA(&a.head);
	const struct nlmsgerr *failed = NLMSG_DATA(&a.head);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), err = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	memcpy(q.req.id.idiag_src, at->ip + (ts_addr_is4(at) ? 12 : 0), ts_addr_is4(at) ? 4 : 16);
	n = send(fd, &q, sizeof(q), 0) < 0 ? -1 : recv(fd, &a, sizeof(a), 0);
	if (n < 0)
		err = -errno;
	else if (n >= (ssize_t)NLMSG_LENGTH(sizeof(*failed)) && a.head.nlmsg_type == NLMSG_ERROR)
		err = failed->error ? failed->error : -EPROTO;
	else if (n < (ssize_t)NLMSG_LENGTH(sizeof(*msg)) || a.head.nlmsg_type != SOCK_DIAG_BY_FAMILY)
		err = -EPROTO;
	close(fd);
	if (err)
		return err;
	out->uid = msg->idiag_uid;
	out->inode = msg->idiag_inode;
	return 0;
}

/* Whether the kernel can be asked: it finds a listener of our own. */
static bool can_ask(void)
{
	static int answers = -1;
	struct ts_owner own;
	struct ts_addr at;
	int fd;

	if (answers >= 0)
		return answers;
	fd = ts_listen_loopback(&at);
	answers = fd >= 0 && ask(&at, &own) == 0;
	if (fd >= 0)
		close(fd);
	return answers;
}

/* --- the table of listeners --- */

/* How near to what a connect to `at` would reach: 0 not, 1 a wildcard of IPv6 for IPv4 too, 2 a wildcard, 3 the address itself. */
static int rank(const struct ts_addr *at, const char *hex, unsigned port)
{
	static const uint8_t any[16];
	uint8_t ip[16] = { 0 };
	struct ts_addr local;
	size_t words = strlen(hex) / 8;

	/* The address in 32-bit words of the machine's own byte order. */
	for (size_t i = 0; i < words && i < 4; i++) {
		uint32_t word = 0;

		sscanf(hex + 8 * i, "%8x", &word);
		memcpy(ip + 4 * i, &word, 4);
	}
	if (words == 1)
		ts_addr_set4(&local, ip, (uint16_t)port);
	else
		ts_addr_set6(&local, ip, (uint16_t)port);
	if (port != at->port)
		return 0;
	if (ts_addr_equal(&local, at))
		return 3;
	if (memcmp(ip, any, 16) != 0 || (words == 1 && !ts_addr_is4(at)))
		return 0;
	return words == 1 || !ts_addr_is4(at) ? 2 : 1;
}

/* False where it cannot be read. */
static bool read_table(const char *path, const struct ts_addr *at, int *best, struct ts_owner *out)
{
	FILE *f = fopen(path, "re");
	char line[512], hex[33];
	unsigned port, state, uid, inode;
	int near;

	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " %*d: %32[0-9A-F]:%x %*s %x %*s %*s %*s %u %*d %u", hex, &port, &state, &uid, &inode) != 5 ||
		    state != STATE_LISTEN)
			continue;
		near = rank(at, hex, port);
		if (near > *best) {
			*best = near;
			*out = (struct ts_owner){ .uid = uid, .inode = inode };
		}
	}
	fclose(f);
	return true;
}

/* 0, -ENOENT where nobody listens, or another error where it cannot be known. */
static int look_up(const struct ts_addr *at, struct ts_owner *out)
{
	int err = ask(at, out), best = 0;
	bool read4, read6;

	if (!err || (err == -ENOENT && can_ask()))
		return err;
	read4 = read_table("/proc/net/tcp", at, &best, out);
	read6 = read_table("/proc/net/tcp6", at, &best, out); /* not there without IPv6 */
	return best ? 0 : read4 || read6 ? -ENOENT : -EPERM;
}

/* --- what that means --- */

static unsigned long number_in(const char *path, int field, unsigned long otherwise)
{
	FILE *f = fopen(path, "re");
	unsigned long n = otherwise;

	for (int i = 0; f && i <= field; i++)
		if (fscanf(f, "%lu", &n) != 1)
			n = otherwise;
	if (f)
		fclose(f);
	return n;
}

static bool is_outside(uint32_t uid)
{
	return uid == number_in("/proc/sys/kernel/overflowuid", 0, OVERFLOW_UID) &&
	       number_in("/proc/self/uid_map", 2, ALL_USERS) != ALL_USERS;
}

void ts_owner_find(const struct ts_addr *at, uint32_t daemon, struct ts_owner *out)
{
	int err;

	memset(out, 0, sizeof(*out));
	err = look_up(at, out);
	if (err == -ENOENT)
		out->kind = TS_OWNER_NOBODY;
	else if (err || is_outside(out->uid))
		out->kind = TS_OWNER_UNKNOWN;
	else if (out->uid == 0 || out->uid == geteuid() || (daemon != TS_NO_USER && out->uid == daemon))
		out->kind = TS_OWNER_TRUSTED;
	else
		out->kind = TS_OWNER_STRANGER;
}

const char *ts_owner_user(uint32_t uid, char *out, size_t cap)
{
	const struct passwd *pw = getpwuid(uid);
	char safe[64];

	if (pw)
		snprintf(out, cap, "%s", ts_tool_printable(pw->pw_name, strlen(pw->pw_name), safe, sizeof(safe)));
	else
		snprintf(out, cap, "user %u", uid);
	return out;
}

/* Whether one of a process's descriptors is the socket. Only root may look into other users' processes. */
static bool holds(const char *folder, const char *socket)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	bool found = false;
	char to[64];
	ssize_t n;

	while (d && !found && (e = readdir(d))) {
		n = readlinkat(dirfd(d), e->d_name, to, sizeof(to) - 1);
		to[n > 0 ? n : 0] = '\0';
		found = strcmp(to, socket) == 0;
	}
	if (d)
		closedir(d);
	return found;
}

bool ts_owner_program(const struct ts_owner *o, char *out, size_t cap)
{
	char socket[40], path[64], name[64] = "";
	DIR *d = o->inode ? opendir("/proc") : NULL;
	struct dirent *e;
	FILE *f;

	snprintf(socket, sizeof(socket), "socket:[%u]", o->inode);
	while (d && !name[0] && (e = readdir(d))) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/fd", e->d_name);
		if (!holds(path, socket))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/comm", e->d_name);
		f = fopen(path, "re");
		if (f && fgets(name, sizeof(name), f))
			name[strcspn(name, "\n")] = '\0';
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	ts_tool_printable(name, strlen(name), out, cap);
	return name[0] != '\0';
}

const char *ts_owner_text(const struct ts_owner *o, char *out, size_t cap)
{
	char user[64], program[64];

	if (o->kind == TS_OWNER_NOBODY || o->kind == TS_OWNER_UNKNOWN) {
		snprintf(out, cap, "%s", o->kind == TS_OWNER_NOBODY ? "nobody" : "an unknown user");
		return out;
	}
	ts_owner_user(o->uid, user, sizeof(user));
	if (o->kind == TS_OWNER_STRANGER)
		snprintf(out, cap, "%s, another user", user);
	else if (ts_owner_program(o, program, sizeof(program)))
		snprintf(out, cap, "%s (%s)", user, program);
	else
		snprintf(out, cap, "%s", user);
	return out;
}
