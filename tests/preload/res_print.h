/* SPDX-License-Identifier: MIT */
/* The calls of resolver(3), and what they return, in words: the whole message but for its ID, its length, h_errno. */
#ifndef TSPROXY_TESTS_RES_PRINT_H
#define TSPROXY_TESTS_RES_PRINT_H

#include <arpa/nameser.h>
#include <resolv.h>

#include "netdb_print.h"

static unsigned char answer[600];

static inline void show(const char *call, const char *name, int class, int type, size_t room, int n)
{
	printf("%s %s class %d type %d room %zu: %d", call, name, class, type, room, n);
	if (n < 0)
		printf(" h_errno %d", h_errno);
	/* A refused question leaves the reply behind, too. A search's last one may be to another question. */
	if (n < 0 && h_errno != NO_RECOVERY && strcmp(call, "res_query") == 0)
		n = 12;
	/* A message that does not fit is cut somewhere: what is beyond its end means nothing. */
	for (int i = 2; i < n && i < (int)room; i++)
		printf("%s%02x", i == 2 ? " " : "", answer[i]);
	for (size_t i = room; i < sizeof(answer); i++)
		if (answer[i] != 0x5a)
			printf(" byte %zu touched", i);
	printf("\n");
}

static inline void ask(const char *name, int class, int type, size_t room)
{
	memset(answer, 0x5a, sizeof(answer));
	h_errno = 77;
	show("res_query", name, class, type, room, res_query(name, class, type, answer, (int)room));
	memset(answer, 0x5a, sizeof(answer));
	h_errno = 77;
	show("res_search", name, class, type, room, res_search(name, class, type, answer, (int)room));
}

/* The message that libc makes itself, sent as it is: the reply has its ID. */
static inline void send_own(const char *name, int class, int type, int recurse)
{
	unsigned char query[512];
	int n = res_mkquery(0, name, class, type, NULL, 0, NULL, query, sizeof(query)), ret;

	if (!recurse)
		query[2] &= ~1;
	memset(answer, 0x5a, sizeof(answer));
	ret = res_send(query, n, answer, sizeof(answer));
	printf("ID %s ", ret > 0 && memcmp(answer, query, 2) == 0 ? "kept" : "lost");
	show("res_send", name, class, type, sizeof(answer), ret);
}

#ifdef __GLIBC__
static inline void ask_state(struct __res_state *s, const char *name, const char *domain, int type)
{
	memset(answer, 0x5a, sizeof(answer));
	s->res_h_errno = 77;
	show("res_nquery", name, C_IN, type, sizeof(answer), res_nquery(s, name, C_IN, type, answer, sizeof(answer)));
	printf("%d\n", s->res_h_errno);
	memset(answer, 0x5a, sizeof(answer));
	s->res_h_errno = 77;
	show("res_nsearch", name, C_IN, type, sizeof(answer), res_nsearch(s, name, C_IN, type, answer, sizeof(answer)));
	printf("%d\n", s->res_h_errno);
	memset(answer, 0x5a, sizeof(answer));
	show("res_nquerydomain", name, C_IN, type, sizeof(answer),
	     res_nquerydomain(s, name, domain, C_IN, type, answer, sizeof(answer)));
	printf("%d\n", s->res_h_errno);
}
#endif

#endif
