/* SPDX-License-Identifier: MIT */
/*
 * What the daemon's status says of a node at this moment, and the map does not keep: when it was seen last, whether its packets go directly or
 * through a relay (DERP), when its key expires (ipnstate.PeerStatus).
 */
#ifndef TSPROXY_COMMAND_PEER_DETAIL_H
#define TSPROXY_COMMAND_PEER_DETAIL_H

#include <jansson.h>
#include <stddef.h>

#define TS_PEER_TEXT_MAX 192

/* The status asked once more: {first address: node}. The caller's; empty where nobody tells, as with a status in text form. */
json_t *ts_peer_details(void);
/* The same of one node in words, "" where there is nothing to say. `peer` may be null. */
void ts_peer_detail_text(const json_t *peer, char out[TS_PEER_TEXT_MAX]);
/* Adds "last-seen" and "key-expiry" (RFC 3339), "direct" (ADDRESS:PORT) and "relay" to `node`: null where not known. */
void ts_peer_detail_json(const json_t *peer, json_t *node);

#endif
