/* SPDX-License-Identifier: MIT */
/* Between the hooks of the resolver calls and split.c, which answers them for names of split DNS (TS_ASK_SPLIT). */
#ifndef TSPROXY_HOOK_SPLIT_HOST_H
#define TSPROXY_HOOK_SPLIT_HOST_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As getaddrinfo(3). */
int ts_split_addrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **res);
/*
 * As gethostbyname2_r(3) and gethostbyaddr_r(3) without their result: 0, or a positive errno with *herr as those leave it; *herr is 0
 * where `ret` is filled.
 */
int ts_split_host(const char *name, int family, struct hostent *ret, char *buf, size_t len, int *herr);
int ts_split_host_of(const uint8_t ip[16], int family, struct hostent *ret, char *buf, size_t len, int *herr);
/* The name of an address. What is said in h_errno; 0: it is in `out`. */
int ts_split_name_of(const uint8_t ip[16], char *out, size_t cap);

/*
 * As res_query(3), in split DNS: the length of the message, or -1 where there is none; *herr: 0, or what is said in h_errno. `len` has
 * room for a header.
 */
int ts_split_query(const char *name, int class, int type, unsigned char *answer, int len, int *herr);
/* As res_send(3), for a query about `name`. */
int ts_split_send(const char *name, const unsigned char *query, int query_len, unsigned char *answer, int len);

#endif
