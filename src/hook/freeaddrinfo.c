/* SPDX-License-Identifier: MIT */
/* freeaddrinfo, and the call of libc's getaddrinfo. */
#include "getaddrinfo.h"

#include "tsproxy/answer.h"
#include "tsproxy/real.h"

int ts_libc_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	return ts_real_state.table.getaddrinfo(node, service, hints, res);
}

__attribute__((visibility("default"))) void freeaddrinfo(struct addrinfo *res)
{
	if (!ts_answer_free(res))
		ts_real()->freeaddrinfo(res);
}
