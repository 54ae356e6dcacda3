/* SPDX-License-Identifier: MIT */
/*
 * Ways to send: what the leak tests try at a tailnet's addresses and names, each in a process of its own. A way that natively sends is
 * seen on the wire with its number: as the destination port PORT + number, in the payload, or in the name that is asked for.
 */
#ifndef WAYS_H
#define WAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define PORT 20000
#define UNAVAILABLE 77	/* the exit status of a way that this kernel, libc or user does not have */

struct target {
	struct sockaddr_storage addr;
	socklen_t len;
	const char *name;	/* a name's way: what to look up, else null */
	int type;		/* of the socket, where the way is one for any: the way's */
	char payload[16];	/* "way-NNN" */
};

struct way {
	const char *name;
	char families;		/* '4', '6', 'b' for both, 'n' for a name, 'r' for a reverse lookup of either family */
	bool silent;		/* natively nothing leaves: only here to see that it is no way */
	void (*run)(const struct target *t);
	int type;
};

/* The destination as a sockaddr. */
static inline const struct sockaddr *to(const struct target *t)
{
	return (const struct sockaddr *)&t->addr;
}

/* A socket of the target's family whose calls wait for a moment only. Exits with UNAVAILABLE where there is none. */
int new_socket(const struct target *t, int type, int protocol);
/* Limits how long a descriptor's connects and sends wait. */
void be_brief(int fd);
_Noreturn void unavailable(void);
/* A datagram socket that is connected to the target, if it lets itself be. */
int connected_udp(const struct target *t);
/* The IPv4 target under AF_UNSPEC, which Linux takes for AF_INET. */
struct target unspecific(const struct target *t);
/* The payload as a message with the target's address, of which `iov` is the only piece. */
struct msghdr message(const struct target *t, struct iovec *iov);
/* Connects a stream socket to the target; sends it a datagram by any other. */
void reach(int fd, const struct target *t);
/* The IPv4 target as an IPv4-mapped one. */
struct target mapped(const struct target *t);
/* One io_uring request, of a ring set up through syscall(2). */
struct io_uring_sqe;
void by_io_uring(int opcode, int fd, const void *addr, unsigned len, unsigned long long off);

extern const struct way tcp_ways[], udp_ways[], connected_ways[], packet_ways[], context_ways[], name_ways[];	/* each ends with a null name */

#endif
