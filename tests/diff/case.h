/* SPDX-License-Identifier: MIT */
/*
 * What every differential case shares. A case prints what a program can observe, in words that are the same
 * on every run: results, errno by name, readiness by name, addresses with ephemeral ports as "*", times as
 * whole round trips ("@1" is at least 0.6 and less than 1.6 of them). The runner runs it in both worlds and compares.
 *
 *	prog --list	one line a case: its name and its attributes
 *	prog NAME	runs that case
 */
#ifndef DIFF_CASE_H
#define DIFF_CASE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ports.h"

enum host { SELF = 1, PEER, SILENT, HOST_UNREACH, NET_UNREACH };

struct diff_case {
	char name[80];
	void (*run)(void);
	const int *arg;		/* for generated cases: case_arg */
	const char *attr;	/* "hostile", "proxy=N", "slow", "timed", "alone", "sub"; the runner's words */
	int family;
	bool mapped;		/* AF_INET6 sockets, ::ffff:100.64.0.N targets */
};

void case_add(const char *name, void (*run)(void), const char *attr);
void case_add_families(const char *name, void (*run)(void));	/* as NAME.4, NAME.6 and NAME.m */
void case_add_arg(const char *name, void (*run)(void), const int *arg, const char *attr);
extern const int *case_arg;
extern const char *case_self;	/* path of the running program */
extern char **case_args;	/* what followed the case's name: for a case that runs itself again */
extern int case_family;
extern bool case_mapped;
extern void *volatile nowhere;	/* an address that faults, which the compiler knows nothing of */

#define CASE_HOW(id, ...) \
	static void case_##id(void); \
	__attribute__((constructor)) static void register_##id(void) { __VA_ARGS__; } \
	static void case_##id(void)
#define CASE(id) CASE_HOW(id, case_add(#id, case_##id, ""))
#define CASE_ATTR(id, attr) CASE_HOW(id, case_add(#id, case_##id, attr))
#define CASE_FAMILIES(id) CASE_HOW(id, case_add_families(#id, case_##id))

/* Printing. One write(2) a line. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_result(const char *what, long result, int err);
const char *err_name(int err);
const char *poll_names(unsigned events);	/* POLL* and EPOLL* share their low bits */
const char *epoll_names(unsigned events);
const char *addr_name(const struct sockaddr *sa, socklen_t len);
const char *bytes_name(const void *p, long n);
void fail(const char *what) __attribute__((noreturn));	/* the harness itself is broken */

/* Prints the expression as written, its result, errno's name after -1; a success that changes errno is told as well. */
#define ERRNO_UNTOUCHED EXFULL
#define T(expr) ({ errno = ERRNO_UNTOUCHED; long t_result = (long)(expr); say_result(#expr, t_result, errno); t_result; })
/* What must succeed for the case to mean anything. */
#define MUST(expr) ({ long must_result = (long)(expr); if (must_result < 0) fail(#expr); must_result; })

/* Targets: connect(fd, TO(PEER, ECHO)). The address lives until the eighth call after it. */
const struct sockaddr *at(enum host host, int port);
const struct sockaddr *at_family(int family, bool mapped, enum host host, int port);
socklen_t at_len(void);
#define TO(host, port) at(host, port), at_len()

/* Sockets: `flags` as SOCK_NONBLOCK. */
int sock(int flags);
int pending(enum host host, int port);		/* non-blocking, connect returned EINPROGRESS */
int connected(int flags, enum host host, int port);
void set_nonblock(int fd, bool on);
void await(int fd);		/* waits until something is there to be read */
void *wait_connected(int fd);	/* polls for OUT, silently; returns null (so that it can end a thread) */

/* Time. */
extern int rtt_ms;
int quarters(int n);		/* n quarters of a round trip, in ms */
#define SHORT quarters(1)
#define LONG quarters(40)
void nap(int n);		/* sleeps n quarters */
int64_t now_ms(void);
const char *since(int64_t t0);	/* "@N" */
/* Says "in time" where lo <= elapsed <= hi (in quarters), else how long it took. */
void say_span(const char *what, int64_t t0, int lo_quarters, int hi_quarters);

/* Observations. */
void show_poll(int fd, unsigned events, int timeout);
void show_select(int fd, int timeout);
void show_epoll(int ep, int timeout);		/* up to 64 events, ordered by data */
/* The kernel wakes an edge-triggered waiter twice for one reset, and both edges are reported if it was quick: takes the second. */
void swallow_repeat(int ep);
int add_epoll(int ep, int fd, uint32_t events, uint64_t data);
int mod_epoll(int ep, int fd, uint32_t events, uint64_t data);
void show_so_error(int fd);
void show_peer(int fd);
void show_name(int fd);
void show_state(int fd);			/* TCP_INFO's state by name */
void show_option(int fd, int level, int option, const char *name);
void show_read(int fd, size_t len, int flags);	/* recv */
void show_echo(int fd);				/* sends a word, reads it back */
void show_reading(int fd);			/* reads to the end (blocking or not) and says what came, in all */
void show_all(int fd);				/* what is pending, connected or failed: everything above that changes nothing */

/* Signals and threads. */
extern volatile sig_atomic_t signals_seen;
void on_signal(int sig, int flags);		/* counts into signals_seen */
void signal_after(int n_quarters, int sig);	/* a helper thread sends it to the calling thread */
pthread_t thread(void *(*fn)(void *), void *arg);
void join(pthread_t t);
void expect_exit(pid_t pid);			/* waits; says how it ended */
void send_fd(int sock_fd, int fd);
int recv_fd(int sock_fd);

#endif
