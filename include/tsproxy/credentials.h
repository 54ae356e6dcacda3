/* SPDX-License-Identifier: MIT */
/*
 * Users and passwords for proxies that ask for them. They lie beside the map in a file of mode 0600, MAP.auth, because the map itself may be
 * everybody's to read. The map's endpoints that need them have TS_PROXY_AUTH. A process that may not read the file connects without
 * them, and the proxy refuses it (EACCES).
 *
 * File format: struct ts_credentials, one behind the other, replaced by rename(2). Integers are little-endian. One that is damaged
 * counts as missing.
 */
#ifndef TSPROXY_CREDENTIALS_H
#define TSPROXY_CREDENTIALS_H

#include <stdint.h>

#include "tsproxy/endpoint.h"

#define TS_CREDENTIALS_SUFFIX ".auth"
#define TS_CREDENTIALS_MAGIC 0x3168747561707374ull	/* "tspauth1" */

struct ts_credentials {
	uint64_t magic;
	uint8_t ip[16];		/* the proxy */
	uint16_t port;
	uint8_t kind;		/* enum ts_endpoint_kind */
	uint8_t reserved[5];	/* 0 */
	char user[256], pass[256];	/* NUL-terminated, the rest is 0 */
	uint64_t sum;		/* ts_sum64 (hash.h) of what stands before */
};

/*
 * Reads those of a proxy from the file beside the map at `map_path`. 1; 0 where none are kept; or -errno: -EACCES where this process may
 * not read them, -EPERM where they are not this user's (or root's) alone. Async-signal-safe.
 */
int ts_credentials_find(const char *map_path, const struct ts_addr *proxy, uint8_t kind, char user[256], char pass[256]);
/* Keeps those of the endpoints that have any, and no others. 0 or -errno. Tool side; the caller holds the map's lock. */
int ts_credentials_install(const char *map_path, const struct ts_endpoint *list, unsigned count);

#endif
