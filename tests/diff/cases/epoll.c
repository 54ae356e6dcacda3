/* SPDX-License-Identifier: MIT */
/* epoll, one registration at a time: every mode, every interest, added before and after connect, every outcome. */
#include "../case.h"

enum { BEFORE, EARLY, AFTER, DONE, WHENS };	/* EARLY: added before connect, and its events taken before connect */

#define DATA 0x1122334455667788ull

static const struct { uint32_t bits; const char *name; } modes[] = {
	{ 0, "lt" }, { EPOLLET, "et" }, { EPOLLONESHOT, "oneshot" }, { EPOLLET | EPOLLONESHOT, "et_oneshot" },
	{ EPOLLEXCLUSIVE, "exclusive" }, { EPOLLEXCLUSIVE | EPOLLET, "et_exclusive" },
};
static const struct { uint32_t bits; const char *name; } interests[] = {
	{ EPOLLOUT, "out" }, { EPOLLIN, "in" }, { EPOLLIN | EPOLLOUT, "inout" }, { EPOLLIN | EPOLLOUT | EPOLLRDHUP, "rdhup" },
	{ 0, "none" },
};
static const char *const whens[] = { "before", "early", "after", "done" };
static const struct { int port; const char *name; } outcomes[] = {
	{ ECHO, "ok" }, { REFUSED, "refused" }, { FIRST, "first" },
};

static void matrix(void)
{
	int mode = case_arg[0], interest = case_arg[1], when = case_arg[2], port = outcomes[case_arg[3]].port;
	uint32_t events = interests[interest].bits | modes[mode].bits;
	int ep = epoll_create1(0), fd = sock(SOCK_NONBLOCK);

	if (when == BEFORE || when == EARLY)
		T(add_epoll(ep, fd, events, DATA));
	if (when == EARLY) {
		show_epoll(ep, 0);
		show_epoll(ep, 0);
	}
	T(connect(fd, TO(PEER, port)));
	if (when == DONE)
		nap(6);
	if (when == AFTER || when == DONE)
		T(add_epoll(ep, fd, events, DATA));
	show_epoll(ep, 0);
	show_epoll(ep, quarters(6));
	if (port == REFUSED && modes[mode].bits & EPOLLET)
		swallow_repeat(ep);
	show_epoll(ep, 0);
	nap(6);
	show_epoll(ep, 0);
	show_epoll(ep, 0);
	show_so_error(fd);
	if (port == REFUSED) {
		show_epoll(ep, 0);
		return;
	}
	if (port == FIRST)
		show_read(fd, 100, 0);
	show_epoll(ep, 0);
	T(send(fd, "ping", 4, 0));
	show_epoll(ep, quarters(6));
	show_epoll(ep, 0);
	T(mod_epoll(ep, fd, EPOLLIN | EPOLLONESHOT, ~DATA));
	show_epoll(ep, LONG / 4);
	show_epoll(ep, 0);
	show_read(fd, 100, 0);
}

__attribute__((constructor)) static void add_matrix(void)
{
	static int args[6 * 5 * WHENS * 3][4];
	unsigned n = 0;
	char name[80];

	for (int m = 0; m < 6; m++) {
		for (int i = 0; i < 5; i++) {
			for (int w = 0; w < WHENS; w++) {
				for (int o = 0; o < 3; o++) {
					/* All of it for the plain modes; the corners for their mixtures. */
					if (m >= 3 && (i == 1 || i == 3 || (w == DONE && o == 2)))
						continue;
					snprintf(name, sizeof(name), "%s.%s.%s.%s", modes[m].name, interests[i].name, whens[w],
						 outcomes[o].name);
					memcpy(args[n], (int[]){ m, i, w, o }, sizeof(args[n]));
					case_add_arg(name, matrix, args[n++], "");
				}
			}
		}
	}
}
