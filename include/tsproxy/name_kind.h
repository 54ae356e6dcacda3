/* SPDX-License-Identifier: MIT */
/* What can be told of a name by its letters alone: in the order in which it matters (answer.h). */
#ifndef TSPROXY_NAME_KIND_H
#define TSPROXY_NAME_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tsproxy/map.h"

static inline char ts_name_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* Numbers are no names: what inet_aton(3) takes, and whatever has IPv6's colon. */
bool ts_name_is_number(const char *s);
/* "localhost" and what lies under it (RFC 6761, 6.3), with or without the trailing dot. */
bool ts_name_is_localhost(const char *s, size_t len);
/* One label, with or without the trailing dot. */
bool ts_name_is_short(const char *s, size_t len);
/* Could any node have this name? Paths and the like could not. */
bool ts_name_is_possible(const char *s, size_t len);
/*
 * What libc's resolver makes of a name with escapes, \DDD and \C (RFC 1035, 5.1). A dot counts as one between labels, and \000 as some letter
 * that no node's name has. False where there is no escape in it, or what it means is longer than a name.
 */
bool ts_name_unescape(const char *s, char out[TS_NAME_MAX + 2]);
/*
 * A name that says its own address, in a subnet that a router offers through 4via6: A-B-C-D-via-SITE, its first label.
 * As MagicDNS takes it: SITE is decimal or 0x and hexadecimal, 32 bits.
 */
bool ts_name_via(const char *s, size_t len, uint8_t ip[16]);

#endif
