/* SPDX-License-Identifier: MIT */
/* What the hooks of getaddrinfo, getaddrinfo_a, gethostbyname and getnameinfo share. */
#ifndef TSPROXY_HOOK_GETADDRINFO_H
#define TSPROXY_HOOK_GETADDRINFO_H

#include <netdb.h>
#include <stdbool.h>
#include <sys/socket.h>

static inline bool ts_is_inet_family(int family)
{
	return family == AF_INET || family == AF_INET6;
}

#define TS_NAMES_LIBC 1	/* no EAI_* of any libc */

/* libc's, after ts_real(). getaddrinfo jumps here, so that this call's frame, two words, is all that the stack has of the library. */
int ts_libc_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res);

/* What getaddrinfo returns where the name is not libc's, else TS_NAMES_LIBC. */
int ts_names_answer(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res);
/* Whether that would ask a name server. */
bool ts_names_waits(const char *node, const struct addrinfo *hints);

#endif
