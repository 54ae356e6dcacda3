/* SPDX-License-Identifier: MIT */
/*
 * A name server may say anything. What it says wrong is no answer: the call fails for the time being, within the resolver's time, and
 * nothing else is asked. What is only odd (slow, other messages first, one answer a connection) is taken.
 */
/*
 * map: none
 * env: TSPROXY_DNS_ROUTE=corp.example=127.0.0.1:5301,two.example=127.0.0.1:5399,two.example=127.0.0.1:5301,ref.example=127.0.0.1:5302,ref.example=127.0.0.1:5301
 * resolv-conf: options timeout:1 attempts:1
 * leak: address=/example/6.6.6.6
 * libc: glibc musl
 * expect: plain: 0 10.0.0.1
 * expect: dribble: 0 10.0.0.1
 * expect: stray: 0 10.0.0.1
 * expect: reversed: 0 10.0.0.1 10.0.0.2
 * expect: oneeach: 0 10.0.0.1
 * expect: glued: 0 10.0.0.1
 * expect: other-name: again
 * expect: other-type: again
 * expect: other-id: again
 * expect: no-question: again
 * expect: query: again
 * expect: short: again
 * expect: zero: again
 * expect: lie: again
 * expect: empty: again
 * expect: refused: again
 * expect: servfail: again
 * expect: garbage: wrong
 * expect: loop: wrong
 * expect: forward: wrong
 * expect: counts: wrong
 * expect: cut-record: wrong
 * expect: five-bytes: none
 * expect: foreign-owner: none
 * expect: cname-loop: none
 * expect: bad-target: none
 * expect: nx: none
 * expect: never: again
 * expect: flood: again
 * expect: every end: again
 * expect: next server: 0 10.0.0.1
 * expect: the other knows: 0 10.0.0.1
 * expect: descriptors: 0 more
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"

static uint8_t query[2][600];
static size_t query_len[2];
static unsigned queries;

static int read_all(int fd, uint8_t *p, size_t n)
{
	while (n) {
		ssize_t r = read(fd, p, n);

		if (r <= 0)
			return 0;
		p += r;
		n -= (size_t)r;
	}
	return 1;
}

static int read_query(int fd, unsigned i)
{
	uint8_t head[2];

	if (!read_all(fd, head, 2))
		return 0;
	query_len[i] = (size_t)(head[0] << 8 | head[1]);
	return query_len[i] < sizeof(query[i]) && read_all(fd, query[i], query_len[i]);
}

static void send_message(int fd, const uint8_t *m, size_t n)
{
	uint8_t out[2 + 2000] = { (uint8_t)(n >> 8), (uint8_t)n };

	memcpy(out + 2, m, n);
	send(fd, out, n + 2, MSG_NOSIGNAL);
}

static int type_of(unsigned i)
{
	return query[i][query_len[i] - 3];
}

/* The reply to query `i`: one address where A is asked for, else nothing. Its length. */
static size_t reply(unsigned i, uint8_t *m, uint8_t last)
{
	static const uint8_t record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0 };
	size_t n = query_len[i];

	memcpy(m, query[i], n);
	m[2] = 0x85;
	m[3] = 0x80;
	if (type_of(i) != 1)
		return n;
	m[7] = 1;
	memcpy(m + n, record, sizeof(record));
	m[n + sizeof(record)] = last;
	return n + sizeof(record) + 1;
}

static void misanswer(int fd, const char *what, unsigned i)
{
	uint8_t m[2000];
	size_t n = reply(i, m, 1), at = query_len[i];

	if (strcmp(what, "dribble") == 0) {
		uint8_t head[2] = { 0, (uint8_t)n };

		for (size_t b = 0; b < n + 2; b++) {
			send(fd, b < 2 ? head + b : m + b - 2, 1, MSG_NOSIGNAL);
			poll(NULL, 0, 1);
		}
		return;
	}
	if (strcmp(what, "stray") == 0) {
		m[0] ^= 1;
		send_message(fd, m, n);
		m[0] ^= 1;
		m[2] ^= 0x80;
		send_message(fd, m, n);
		m[2] ^= 0x80;
	} else if (strcmp(what, "other-name") == 0) {
		m[13] ^= 1;
	} else if (strcmp(what, "other-type") == 0) {
		m[at - 3] ^= 2;
	} else if (strcmp(what, "other-id") == 0) {
		m[1] ^= 2;
	} else if (strcmp(what, "no-question") == 0) {
		m[5] = 0;
	} else if (strcmp(what, "query") == 0) {
		m[2] &= 0x7f;
	} else if (strcmp(what, "short") == 0) {
		n = 11;
	} else if (strcmp(what, "zero") == 0) {
		n = 0;
	} else if (strcmp(what, "lie") == 0) {
		uint8_t lie[2] = { 0xff, 0xff };

		send(fd, lie, 2, MSG_NOSIGNAL);
		send(fd, m, n, MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		return;
	} else if (strcmp(what, "empty") == 0) {
		shutdown(fd, SHUT_RDWR);
		return;
	} else if (strcmp(what, "refused") == 0) {
		m[3] = 0x85;
		m[7] = 0;
		n = at;
	} else if (strcmp(what, "servfail") == 0) {
		m[3] = 0x82;
		m[7] = 0;
		n = at;
	} else if (strcmp(what, "garbage") == 0) {
		memset(m + at, 0x5a, 200);
		m[7] = 3;
		n = at + 200;
	} else if (strcmp(what, "loop") == 0 && type_of(i) == 1) {
		m[at] = 0xc0;
		m[at + 1] = (uint8_t)at;
	} else if (strcmp(what, "forward") == 0 && type_of(i) == 1) {
		m[at] = 0xc0;
		m[at + 1] = (uint8_t)(at + 2);
	} else if (strcmp(what, "counts") == 0) {
		m[6] = 0xff;
	} else if (strcmp(what, "cut-record") == 0 && type_of(i) == 1) {
		n -= 2;
	} else if (strcmp(what, "five-bytes") == 0 && type_of(i) == 1) {
		m[at + 11] = 5;
		n++;
	} else if (strcmp(what, "foreign-owner") == 0 && type_of(i) == 1) {
		m[at + 1] = 13 + query[i][12];	/* corp.example */
	} else if (strcmp(what, "cname-loop") == 0 || strcmp(what, "bad-target") == 0) {
		static const uint8_t self[] = { 0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 12 };
		static const uint8_t bad[] = { 0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 4, 2, '$', '(', 0 };

		m[7] = 1;
		n = at + (*what == 'c' ? sizeof(self) : sizeof(bad));
		memcpy(m + at, *what == 'c' ? self : bad, *what == 'c' ? sizeof(self) : sizeof(bad));
	} else if (strcmp(what, "nx") == 0) {
		m[3] = 0x83;
		m[7] = 0;
		n = at;
	} else if (strcmp(what, "never") == 0) {
		return;
	} else if (strcmp(what, "flood") == 0) {
		m[1] ^= 3;
		for (int k = 0; k < 5000; k++)
			send_message(fd, m, n);
		return;
	} else if (strncmp(what, "end", 3) == 0) {
		uint8_t out[2002] = { (uint8_t)(n >> 8), (uint8_t)n };
		size_t stop = strtoul(what + 3, NULL, 10);

		memcpy(out + 2, m, n);
		send(fd, out, stop < n + 2 ? stop : n + 1, MSG_NOSIGNAL);
		shutdown(fd, SHUT_RDWR);
		return;
	}
	send_message(fd, m, n);
}

static void mislead(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char what[64] = "";
	uint8_t m[2000];
	size_t n;

	for (queries = 0; queries < 2 && read_query(fd, queries); queries++)
		if (queries == 0 && poll(&p, 1, 200) != 1) {
			queries++;
			break;
		}
	if (queries == 0)
		return;
	memcpy(what, query[0] + 13, query[0][12]);
	if (strcmp(what, "reversed") == 0 && queries == 2) {
		unsigned a = type_of(0) == 1 ? 0 : 1;

		n = reply(1 - a, m, 0);
		send_message(fd, m, n);
		/* Two addresses, from one record twice. */
		n = reply(a, m, 1);
		memcpy(m + n, m + query_len[a], n - query_len[a]);
		n += n - query_len[a];
		m[n - 1] = 2;
		m[7] = 2;
		send_message(fd, m, n);
	} else if (strcmp(what, "oneeach") == 0) {
		n = reply(0, m, 1);
		send_message(fd, m, n);
	} else if (strcmp(what, "glued") == 0) {
		uint8_t out[4000];
		size_t len = 0;

		for (unsigned i = 0; i < queries; i++) {
			n = reply(i, m, 1);
			out[len++] = (uint8_t)(n >> 8);
			out[len++] = (uint8_t)n;
			memcpy(out + len, m, n);
			len += n;
		}
		send(fd, out, len, MSG_NOSIGNAL);
	} else {
		for (unsigned i = 0; i < queries; i++)
			misanswer(fd, what, i);
	}
	if (strcmp(what, "oneeach") != 0)
		read(fd, m, 1);	/* until the other has hung up */
}

static void refuse(int fd)
{
	for (queries = 0; read_query(fd, 0); queries++) {
		query[0][2] |= 0x80;
		query[0][3] = 0x85;
		send_message(fd, query[0], query_len[0]);
	}
}

static const char *look_up(const char *name, int family)
{
	static char text[200];
	struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM }, *res;
	int ret = getaddrinfo(name, NULL, &hints, &res);

	if (ret == EAI_AGAIN)
		return "again";
	if (ret == EAI_NONAME || ret == EAI_NODATA)
		return "none";
	if (ret == EAI_FAIL)
		return "wrong";
	sprintf(text, "%d", ret);
	for (struct addrinfo *ai = ret ? NULL : res; ai; ai = ai->ai_next) {
		char ip[64] = "?";

		getnameinfo(ai->ai_addr, ai->ai_addrlen, ip, sizeof(ip), NULL, 0, NI_NUMERICHOST);
		sprintf(text + strlen(text), " %s", ip);
	}
	if (ret == 0)
		freeaddrinfo(res);
	return text;
}

int main(void)
{
	static const char *const names[] = {
		"plain", "dribble", "stray", "reversed", "oneeach", "glued", "other-name", "other-type", "other-id", "no-question",
		"query", "short", "zero", "lie", "empty", "refused", "servfail", "garbage", "loop", "forward", "counts", "cut-record",
		"five-bytes", "foreign-owner", "cname-loop", "bad-target", "nx", "never", "flood",
	};
	const char *ends = "again";
	char name[100];
	int before;

	serve(5301, mislead);
	serve(5302, refuse);
	before = descriptors();
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		sprintf(name, "%s.corp.example", names[i]);
		printf("%s: %s\n", names[i], look_up(name, AF_UNSPEC));
	}
	for (int i = 0; i < 64; i++) {
		sprintf(name, "end%d.corp.example", i);
		if (strcmp(look_up(name, AF_INET), "again") != 0) {
			printf("%s: %s\n", name, look_up(name, AF_INET));
			ends = "not all";
		}
	}
	printf("every end: %s\n", ends);
	printf("next server: %s\n", look_up("plain.two.example", AF_UNSPEC));
	printf("the other knows: %s\n", look_up("plain.ref.example", AF_UNSPEC));
	printf("descriptors: %d more\n", descriptors() - before);
	return 0;
}
