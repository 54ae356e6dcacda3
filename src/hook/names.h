/* SPDX-License-Identifier: MIT */
/* Between the files of the resolver hooks. */
#ifndef TSPROXY_HOOK_NAMES_H
#define TSPROXY_HOOK_NAMES_H

#include <netdb.h>
#include <stdbool.h>

/* getaddrinfo where the name is not libc's: true, and what it returns in *ret. */
bool ts_names_answer(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res, int *ret);
/* Whether that would ask a name server. */
bool ts_names_waits(const char *node, const struct addrinfo *hints);

#endif
