/* SPDX-License-Identifier: MIT */
/*
 * The engine (base, sys, socks5, flow, names) and its hooks, linked into a test program: what the test calls connect() is the hook.
 * Behind them stand a real loopback, on which tsproxy-sim carries a tailnet of two nodes, and an echo server that is the peer.
 *
 * Between the engine and the kernel stands a fake: it counts calls, makes one of them fail, and sees to it that none names a
 * tailnet address.
 */
#ifndef TSPROXY_TESTS_ENGINE_H
#define TSPROXY_TESTS_ENGINE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "unit.h"

/* The peer's ports. What is refused, and what is never answered, the proxy decides. */
enum engine_port { ENGINE_ECHO = 4000, ENGINE_REFUSED = 4001, ENGINE_SILENT = 4002 };

/* Starts the world once, then runs the suite in it. To be called by main with its own arguments. Exit status. */
int engine_main(char **argv, Suite *(*suite)(void));

/* The peer's address. Points to static memory, the same for all. */
const struct sockaddr *engine_peer(enum engine_port port);
#define ENGINE_TO(port) engine_peer(port), (socklen_t)sizeof(struct sockaddr_in)
/* Whether an address is the peer's. */
bool engine_is_peer(const struct sockaddr_in *sa, enum engine_port port);

/* From which of two proxies the connections of this process go: one takes greeting and request at once, the other does not. */
enum engine_proxy { ENGINE_PIPELINED, ENGINE_STEPWISE };
void engine_use(enum engine_proxy which);

/* What the calling thread's calls to the kernel meet from now on. */
struct engine_fault {
	long call;	/* SYS_*; what libc's functions make of it counts as well (send as SYS_sendto); 0: none fails */
	int nth;	/* the first is 1 */
	bool lasting;	/* so do all after it */
	int err;	/* positive */
};
void engine_fail(const struct engine_fault *f);
/* Ends that. Whether a call was made to fail. */
bool engine_failed(void);
/* How often a tailnet address was given to the kernel, in this process. */
int engine_leaks(void);

#endif
