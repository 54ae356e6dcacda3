/* SPDX-License-Identifier: MIT */
/* A proxy and what is known of it. The numbers are part of the map's file format (map.h): never change them. */
#ifndef TSPROXY_ENDPOINT_H
#define TSPROXY_ENDPOINT_H

#include <stdint.h>

#include "tsproxy/addr.h"

enum ts_endpoint_kind { TS_PROXY_SOCKS5 = 1, TS_PROXY_HTTP };

enum ts_endpoint_flag {
	TS_PROXY_PIPELINE = 1,	/* takes greeting and request in one write */
	TS_PROXY_BND_TRUE = 2,	/* BND.ADDR is the address that the far side sees */
	TS_PROXY_UDP = 4,	/* answered UDP ASSOCIATE */
	TS_PROXY_CONFIGURED = 8,/* named by a setting, not found by trying */
	TS_PROXY_AUTH = 16,	/* in a map: there are a user and a password for it (credentials.h) */
};

struct ts_endpoint {
	struct ts_addr addr;
	uint8_t kind;		/* enum ts_endpoint_kind */
	uint8_t flags;		/* enum ts_endpoint_flag */
	char user[256], pass[256];	/* NUL-terminated; both empty: no authentication */
};

#endif
