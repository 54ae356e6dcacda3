/* SPDX-License-Identifier: MIT */
/* Names of split DNS looked up as libc looks one up in DNS: dns_ask.h asks, here what was said is judged and put in order. */
#ifndef TSPROXY_DNS_LOOKUP_H
#define TSPROXY_DNS_LOOKUP_H

#include <stdint.h>

#include "tsproxy/dns_ask.h"

/*
 * Asks for one or two types of record (A, AAAA, PTR); w->found[i] is what was found of the i-th. May block: dns_ask.h.
 * 0 where there is something of either. Else what libc says in h_errno: HOST_NOT_FOUND, NO_DATA, TRY_AGAIN, NO_RECOVERY; NETDB_INTERNAL
 * where this process lacks something (w->err).
 */
int ts_dns_lookup(struct ts_dns_work *w, const char *name, const uint16_t *types, unsigned count);

/*
 * Sorts addresses as libc sorts what getaddrinfo(3) returns: RFC 3484 and RFC 6724, from where each would be reached. `as_ip6`: IPv4 is
 * wanted in its IPv6 form. `w` is one that has been asked: its room for what comes in is used.
 */
void ts_dns_sort(struct ts_dns_work *w, uint8_t (*ip)[16], unsigned count, bool as_ip6);

#endif
