/* SPDX-License-Identifier: MIT */
/*
 * gai.conf(5), by which glibc sorts addresses (RFC 6724), as far as it bears on a node's: the precedence of its IPv4 against its IPv6
 * address. Their labels and scopes match those of this node's own addresses whatever the file says. Read once, as glibc does; each time
 * where the file says `reload yes`.
 */
#include <limits.h>
#include <string.h>

#include "tsproxy/answer.h"
#include "words.h"

#define ENTRIES_MAX 32
#define DEFAULT 40	/* what glibc gives ::/0 where the file does not */

struct table {
	bool reload;
	unsigned count;
	struct entry {
		uint8_t ip[16];
		unsigned bits, value;
	} entries[ENTRIES_MAX];
};

/* A decimal number, which may be no digit at all (then it is 0, as strtoul(3) has it), up to `max`. */
static bool read_number(const char *s, size_t len, unsigned max, unsigned *out)
{
	unsigned long v = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (unsigned)(s[i] - '0');
		if (v > max)
			return false;
	}
	*out = (unsigned)v;
	return true;
}

static bool read_entry(const char *prefix, size_t len, const char *value, size_t value_len, struct entry *e)
{
	const char *slash = memchr(prefix, '/', len);	/* glibc takes none without it */
	size_t ip_len = slash ? (size_t)(slash - prefix) : len;
	struct ts_addr a;

	if (!slash || !memchr(prefix, ':', ip_len) || !ts_addr_parse(prefix, ip_len, &a) ||
	    !read_number(slash + 1, len - ip_len - 1, 128, &e->bits))
		return false;
	memcpy(e->ip, a.ip, sizeof(e->ip));
	return read_number(value, value_len, INT_MAX, &e->value);
}

static void read_table(struct table *t)
{
	const char *text = ts_words_read("/etc/gai.conf");

	t->reload = false;
	t->count = 0;
	for (const char *p = text ? text : ""; *p; p = ts_words_line(p)) {
		const char *command, *first, *second;
		size_t len = ts_words_next(&p, "#", &command), first_len = ts_words_next(&p, "#", &first),
		       second_len = ts_words_next(&p, "#", &second);

		if (ts_word_is(command, len, "reload"))
			t->reload = ts_word_is(first, first_len, "yes");
		else if (ts_word_is(command, len, "precedence") && t->count < ENTRIES_MAX &&
			 read_entry(first, first_len, second, second_len, &t->entries[t->count]))
			t->count++;
	}
	ts_words_end(text);
}

static bool has_prefix(const uint8_t ip[16], const struct entry *e)
{
	unsigned bytes = e->bits / 8, rest = e->bits % 8;

	return memcmp(ip, e->ip, bytes) == 0 && (rest == 0 || (ip[bytes] ^ e->ip[bytes]) >> (8 - rest) == 0);
}

/* Of the longest prefix; of the first in the file among those. */
static unsigned precedence(const struct table *t, const uint8_t ip[16])
{
	const struct entry *best = NULL;

	for (unsigned i = 0; i < t->count; i++)
		if (has_prefix(ip, &t->entries[i]) && (!best || t->entries[i].bits > best->bits))
			best = &t->entries[i];
	return best ? best->value : DEFAULT;
}

int ts_gai_compare(const uint8_t six[16], const uint8_t four[16])
{
	static enum { NONE, WRITING, KNOWN } state;
	static struct table known;
	struct table own;
	const struct table *t = &known;
	int none = NONE;

	if (__atomic_load_n(&state, __ATOMIC_ACQUIRE) != KNOWN) {
		t = &own;
		read_table(&own);
		if (!own.reload &&
		    __atomic_compare_exchange_n((int *)&state, &none, WRITING, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			memcpy(&known, &own, sizeof(known));
			__atomic_store_n(&state, KNOWN, __ATOMIC_RELEASE);
		}
	}
	if (t->count == 0)
		return 1;
	return precedence(t, six) > precedence(t, four) ? 1 : precedence(t, six) < precedence(t, four) ? -1 : 0;
}
