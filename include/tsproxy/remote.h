/* SPDX-License-Identifier: MIT */
/*
 * Names that the far side of the proxy resolves (remote-name). A program that looks one up is given a placeholder: an
 * address of 198.19.64.0/18, which is set aside for measurements within a network (RFC 2544) and has a host nowhere. A connect to it
 * asks the proxy for the name. All of this user's processes share one table of them, so a placeholder means the same name in each,
 * for as long as the table is there.
 */
#ifndef TSPROXY_REMOTE_H
#define TSPROXY_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tsproxy/map.h"

/*
 * The length of the longest suffix for which the far side resolves `name`; 0: it does not. `has_map`: this process has one, which else
 * knows the tailnet's names.
 */
size_t ts_remote_wants(const char *name, size_t len, bool has_map);
/* The placeholder of `name`, a new one where it had none. 0, or -errno (said in the log): -ENOSPC where the table is full. */
int ts_remote_address(const char *name, size_t len, uint8_t ip[16]);

/* Whether `ip` is in the placeholders' range, whoever uses that. */
bool ts_remote_is_in_range(const uint8_t ip[16]);
/* Whether `ip` is one of the placeholders' addresses, and these are ours to take. */
bool ts_remote_is_placeholder(const uint8_t ip[16]);
/* The name that it stands for, NUL-terminated. False: it was not given out. */
bool ts_remote_name(const uint8_t ip[16], char out[TS_NAME_MAX + 1]);

#endif
