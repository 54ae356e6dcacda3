/* SPDX-License-Identifier: MIT */
/*
 * What a name server of split DNS said is remembered in the process for as long as the server said, and no longer; that there is nothing,
 * for as long as its zone says (RFC 2308); what it failed to say, not at all. A forked child remembers what its parent knew.
 */
/*
 * map: none
 * env: TSPROXY_DNS_ROUTE=corp.example=127.0.0.1:5301
 * resolv-conf: options timeout:1 attempts:1
 * libc: glibc musl
 * expect: ttl 60: 1 question for 5 lookups
 * expect: other letters: 1 question for 5 lookups
 * expect: ttl 0: 5 questions for 5 lookups
 * expect: ttl too large: 5 questions for 5 lookups
 * expect: least ttl 0: 5 questions for 5 lookups
 * expect: none, zone says 60: 1 question for 5 lookups
 * expect: none, zone says 0: 5 questions for 5 lookups
 * expect: none, no word: 5 questions for 5 lookups
 * expect: failure: 5 questions for 5 lookups
 * expect: ttl 1: asked again, not before its time
 * expect: many: remembered, 0 wrong
 * expect: child: 0 questions
 * expect: messages: 5 questions for 5 lookups
 */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <resolv.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server.h"

static volatile int *questions;	/* shared with the server */

static uint8_t *record(uint8_t *p, uint16_t type, uint32_t ttl, const void *data, uint8_t len)
{
	const uint8_t head[] = { 0xc0, 12, (uint8_t)(type >> 8), (uint8_t)type, 0, 1, (uint8_t)(ttl >> 24), (uint8_t)(ttl >> 16),
				 (uint8_t)(ttl >> 8), (uint8_t)ttl, 0, len };

	memcpy(p, head, sizeof(head));
	memcpy(p + sizeof(head), data, len);
	return p + sizeof(head) + len;
}

/* The name's first label says what is answered: a (an address), and its time to live; n (nothing), and its zone's. */
static void answer(int fd)
{
	uint8_t m[1000], soa[22] = { 0 }, ip[4] = { 10, 0, 0, 1 };
	char label[64] = "";
	uint8_t *end;
	size_t n;

	while ((n = read_message(fd, m, sizeof(m))) != 0) {
		__sync_fetch_and_add(questions, 1);
		memcpy(label, m + 15, m[14]);
		label[m[14]] = '\0';
		m[4] |= 0x80;
		end = m + 2 + n;
		if (label[0] == 'a' || label[0] == 'A') {
			end = record(end, 1, (uint32_t)strtoul(label + 1, NULL, 10), ip, 4);
			m[9] = 1;
		} else if (label[0] == 'l') {
			end = record(end, 1, 60, ip, 4);
			end = record(end, 1, 0, ip, 4);
			m[9] = 2;
		} else if (label[0] == 'h') {
			ip[3] = (uint8_t)strtoul(label + 1, NULL, 10);
			end = record(end, 1, 60, ip, 4);
			m[9] = 1;
		} else if (label[0] == 'n') {
			m[5] |= 3;
			soa[21] = (uint8_t)strtoul(label + 1, NULL, 10);
			end = record(end, 6, 60, soa, sizeof(soa));
			m[11] = 1;
		} else if (label[0] == 'x') {
			m[5] |= 3;
		} else {
			m[5] |= 2;
		}
		n = (size_t)(end - m) - 2;
		write_message(fd, m, n);
	}
}

/* The last byte of the address, or -1. */
static int look_up(const char *name)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *res;
	int last;

	if (getaddrinfo(name, NULL, &hints, &res) != 0)
		return -1;
	last = ntohl(((struct sockaddr_in *)res->ai_addr)->sin_addr.s_addr) & 255;
	freeaddrinfo(res);
	return last;
}

static void count(const char *what, const char *name)
{
	int before = *questions, n;

	for (int i = 0; i < 5; i++)
		look_up(name);
	n = *questions - before;
	printf("%s: %d question%s for 5 lookups\n", what, n, n == 1 ? "" : "s");
}

int main(void)
{
	unsigned char message[512];
	int before, wrong = 0;
	char name[64];
	long long began;

	questions = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	serve(5301, answer);
	count("ttl 60", "a60.corp.example");
	count("other letters", "A60.corp.example");
	count("ttl 0", "a0.corp.example");
	count("ttl too large", "a4294967295.corp.example");
	count("least ttl 0", "l.corp.example");
	count("none, zone says 60", "n60.corp.example");
	count("none, zone says 0", "n0.corp.example");
	count("none, no word", "x.corp.example");
	count("failure", "f.corp.example");

	look_up("a1.corp.example");
	began = now_ms();
	before = *questions;
	while (*questions == before && now_ms() - began < 10000) {
		look_up("a1.corp.example");
		poll(NULL, 0, 5);
	}
	printf("ttl 1: %s, %s\n", *questions > before ? "asked again" : "not asked again",
	       now_ms() - began >= 900 ? "not before its time" : "too early");

	/* More names than there is room for: the newest are there, and each has its own. */
	for (int i = 0; i < 200; i++) {
		sprintf(name, "h%d.corp.example", i);
		wrong += look_up(name) != i;
	}
	before = *questions;
	wrong += look_up("h199.corp.example") != 199;
	printf("many: %s, %d wrong\n", *questions == before ? "remembered" : "forgotten", wrong);

	before = *questions;
	fflush(stdout);
	if (fork() == 0)
		_exit(look_up("h199.corp.example") != 199);
	wait(NULL);
	printf("child: %d questions\n", *questions - before);

	/* The resolver's own calls show the server's word as it is now, its times too. */
	before = *questions;
	for (int i = 0; i < 5; i++)
		res_query("a60.corp.example", C_IN, T_A, message, sizeof(message));
	printf("messages: %d questions for 5 lookups\n", *questions - before);
	return 0;
}
