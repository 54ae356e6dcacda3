/* SPDX-License-Identifier: MIT */
/*
 * The search list (resolv.conf(5)), where one of its domains has a name server of its own: libc would ask the machine's for what lies in
 * it. So the list is gone through here, and libc gets only whole names, those that are its own.
 */
#ifndef TSPROXY_HOOK_SEARCH_H
#define TSPROXY_HOOK_SEARCH_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>

struct __res_state;

/* Whether the list would be gone through here. `family`: with which /etc/hosts would answer. */
bool ts_search_wants(const char *name, int family);
/* Each returns false where that is not so, or nothing is to be searched: the call is libc's as it came. */
bool ts_search_addrinfo(const char *name, int family, const char *service, const struct addrinfo *hints, struct addrinfo **res,
			int *ret);
bool ts_search_host(const char *name, int family, struct hostent *host, char *buf, size_t len, struct hostent **result, int *herr,
		    int *ret);
/* `state` is null where the call has none. */
bool ts_search_query(struct __res_state *state, const char *name, int class, int type, unsigned char *answer, int len, int *ret);

#endif
