/* SPDX-License-Identifier: MIT */
/*
 * What name servers of split DNS said, for as long as they said that it holds, in this process alone. A few short messages as they came:
 * a reader takes one out as if it had just arrived. A forked child has its own copy. What a vfork child learns is not kept.
 */
#include <string.h>
#include <time.h>

#include "tsproxy/clock.h"
#include "tsproxy/dns_ask.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/guard.h"
#include "tsproxy/hash.h"

#define ENTRIES 32
#define MESSAGE_MAX 480
#define TTL_MAX_S 300	/* who runs for weeks asks again now and then, whatever the server says */

static struct entry {
	uint64_t key;	/* of the question and the servers that were asked */
	int64_t until_ms;
	uint16_t len;	/* 0: free */
	uint8_t reply[MESSAGE_MAX];
} entries[ENTRIES];
static struct ts_lock lock;

/* The question in its letters: the reply repeats them. Behind the number and the flags of the header. */
static uint64_t key_of(const struct ts_dns_ask *ask, const struct ts_split *split)
{
	uint64_t key = ts_fnv64(TS_FNV64_INIT, ask->query + 4, ask->query_len - 4);

	for (unsigned i = 0; i < split->count; i++) {
		key = ts_fnv64(key, split->server[i].ip, sizeof(split->server[i].ip));
		key = ts_fnv64(key, &split->server[i].port, sizeof(split->server[i].port));
	}
	return key;
}

bool ts_dns_cache_get(struct ts_dns_ask *ask, const struct ts_split *split)
{
	uint64_t key = key_of(ask, split);
	int64_t now = ts_now_ms();

	if (ts_process() != TS_SELF)
		return false;
	ts_lock(&lock);
	for (unsigned i = 0; i < ENTRIES; i++) {
		if (!entries[i].len || entries[i].key != key || entries[i].until_ms <= now)
			continue;
		memcpy(ask->reply, entries[i].reply, entries[i].len);
		memcpy(ask->reply, ask->query, 2);
		/* A key is no proof. */
		if (ts_dns_answers(ask->reply, entries[i].len, ask->query, ask->query_len))
			ask->reply_len = entries[i].len;
		break;
	}
	ts_unlock(&lock);
	return ask->reply_len != 0;
}

void ts_dns_cache_put(const struct ts_dns_ask *ask, const struct ts_split *split, uint32_t ttl_s)
{
	uint64_t key = key_of(ask, split);
	int64_t now = ts_now_ms();
	struct entry *to = entries;

	if (!ask->fresh || ttl_s == 0 || ask->reply_len > MESSAGE_MAX || ts_process() != TS_SELF)
		return;
	ts_lock(&lock);
	for (unsigned i = 0; i < ENTRIES; i++) {
		if (entries[i].len && entries[i].key == key) {
			to = &entries[i];
			break;
		}
		if (entries[i].until_ms < to->until_ms)
			to = &entries[i];
	}
	to->key = key;
	to->until_ms = now + 1000 * (int64_t)(ttl_s < TTL_MAX_S ? ttl_s : TTL_MAX_S);
	to->len = (uint16_t)ask->reply_len;
	memcpy(to->reply, ask->reply, ask->reply_len);
	ts_unlock(&lock);
}
