/* SPDX-License-Identifier: MIT */
/* Between the files of the resolver hooks. */
#ifndef TSPROXY_HOOK_NAMES_H
#define TSPROXY_HOOK_NAMES_H

#include <netdb.h>
#include <stdbool.h>

#define TS_NAMES_LIBC 1	/* no EAI_* of any libc */

/* What getaddrinfo returns where the name is not libc's, else TS_NAMES_LIBC. */
int ts_names_answer(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res);
/* Whether that would ask a name server. */
bool ts_names_waits(const char *node, const struct addrinfo *hints);

#endif
