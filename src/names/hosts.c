/* SPDX-License-Identifier: MIT */
/*
 * Says whether /etc/hosts knows a name or an address, so that it wins as it does natively; libc then answers. Asked
 * only for names that the map knows as well.
 *
 * An edited file must count at once, as it does for libc, which reads it each time. Here one stat(2) tells that the
 * file is the one whose words stand in a filter (Bloom's: a word that is in the file is always in it, another seldom),
 * and only what the filter has is looked for in the file itself. A file that was changed just now could be changed
 * again without its stat telling, so it gets no filter yet.
 *
 * `filter.turn` is odd while one thread fills it. Nobody waits: whoever finds it odd, or changed while looking,
 * reads the file. So does a process for good that was forked in that moment.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_id.h"
#include "live.h"
#include "tsproxy/answer.h"
#include "tsproxy/hash.h"
#include "tsproxy/name_kind.h"
#include "tsproxy/scratch.h"
#include "tsproxy/shared.h"
#include "tsproxy/sys.h"

#define PATH "/etc/hosts"
#define WORD_MAX 255
#define BUFFER 2048
#define FILTER_BYTES_MAX (64 << 10)
#define FILTER_BYTES_MIN 1024

static struct {
	unsigned turn;
	struct ts_file_id of;
	_Atomic uint32_t mask;	/* of a bit's number */
	uint8_t bits[FILTER_BYTES_MAX];	/* no more pages are touched than the file needs */
} filter;

struct query {
	bool fill;		/* nothing is looked for: the filter gets all words */
	const char *name;	/* or null */
	size_t name_len;
	const uint8_t *ip;
	int family;
	bool exact;		/* upper and lower case differ */
	bool line_fits;		/* the line's address is of the family */
	bool found;
};

static uint64_t hash_name(const char *s, size_t len)
{
	uint64_t h = TS_FNV64_INIT;

	for (size_t i = 0; i < len; i++) {
		char c = ts_name_lower(s[i]);

		h = ts_fnv64(h, &c, 1);
	}
	return h;
}

static void filter_add(uint64_t hash)
{
	for (int i = 0; i < 2; i++, hash >>= 32) {
		uint32_t bit = (uint32_t)hash & filter.mask;
		uint8_t *p = &filter.bits[bit / 8];

		__atomic_store_n(p, *p | 1 << bit % 8, __ATOMIC_RELAXED);
	}
}

static bool filter_has(uint64_t hash)
{
	for (int i = 0; i < 2; i++, hash >>= 32) {
		uint32_t bit = (uint32_t)hash & filter.mask & (8 * FILTER_BYTES_MAX - 1);

		if (!(__atomic_load_n(&filter.bits[bit / 8], __ATOMIC_RELAXED) & 1 << bit % 8))
			return false;
	}
	return true;
}

static bool same_name(const struct query *q, const char *word, size_t len)
{
	if (len != q->name_len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (word[i] != q->name[i] && (q->exact || ts_name_lower(word[i]) != ts_name_lower(q->name[i])))
			return false;
	return true;
}

static void take_address(struct query *q, const char *word, size_t len)
{
	struct ts_addr a;
	bool text6 = false, four;

	q->line_fits = false;
	if (len > WORD_MAX || !ts_addr_parse(word, len, &a))
		return;
	for (size_t i = 0; i < len; i++)
		text6 = text6 || word[i] == ':';
	/* glibc takes ::1 for 127.0.0.1 where IPv4 is asked for, and mapped addresses for what they map. */
	four = ts_addr_is4(&a) || ts_ip_is_loopback(a.ip);
	if (q->fill)
		filter_add(ts_fnv64(TS_FNV64_INIT, a.ip, sizeof(a.ip)));
	q->line_fits = q->family == AF_UNSPEC || (q->family == AF_INET ? four : text6);
	if (q->ip && memcmp(a.ip, q->ip, sizeof(a.ip)) == 0)
		q->found = true;
}

static void take_word(struct query *q, unsigned index, const char *word, size_t len)
{
	if (index == 0)
		take_address(q, word, len);
	else if (q->fill && len <= WORD_MAX)
		filter_add(hash_name(word, len));
	else if (q->name && q->line_fits && len <= WORD_MAX && same_name(q, word, len))
		q->found = true;
}

/* False where the file could not be read to its end, or it was not necessary. */
static bool read_words(struct query *q, int fd)
{
	char *buf = ts_scratch_get(BUFFER), word[WORD_MAX];
	size_t len = 0;		/* of the word; beyond WORD_MAX only counted */
	unsigned index = 0;	/* of the word in its line */
	bool comment = false;
	long n = 1;

	while (buf && !q->found && (n = ts_sys(SYS_read, fd, buf, BUFFER)) > 0) {
		for (long i = 0; i < n; i++) {
			char c = buf[i];

			if (c != ' ' && c != '\t' && c != '\n' && c != '\r' && c != '#') {
				if (len < WORD_MAX)
					word[len] = c;
				len++;
				continue;
			}
			if (len && !comment)
				take_word(q, index++, word, len);
			len = 0;
			if (c == '#')
				comment = true;
			if (c != '\n')
				continue;
			index = 0;
			comment = false;
		}
	}
	if (len && !comment && !q->found)
		take_word(q, index, word, len);
	ts_scratch_put(buf, BUFFER);
	return n == 0;
}

/* Two bits of some sixteen that a word has on average, so that one word in sixty is looked for in vain. */
static uint32_t filter_bytes(uint64_t file_size)
{
	uint32_t n = FILTER_BYTES_MIN;

	while (n < FILTER_BYTES_MAX && n < file_size)
		n *= 2;
	return n;
}

/* Fills the filter from the open file. */
static void filter_fill(int fd)
{
	struct query q = { .fill = true };
	struct ts_file_id before, after;
	uint32_t bytes;

	if (!ts_file_identify(fd, "", &before) || !ts_file_is_settled(&before, ts_live_now()) || !ts_seq_try_change(&filter.turn))
		return;
	bytes = filter_bytes(before.size);
	filter.mask = 8 * bytes - 1;
	for (uint32_t i = 0; i < bytes; i++)
		__atomic_store_n(&filter.bits[i], 0, __ATOMIC_RELAXED);
	if (!read_words(&q, fd) || !ts_file_identify(fd, "", &after) || memcmp(&before, &after, sizeof(before)) != 0)
		memset(&before, 0, sizeof(before));
	ts_shared_write(&filter.of, &before, sizeof(before));
	ts_seq_changed(&filter.turn);
}

/* 1 or 0: the filter is the file's and has the word or not; -1: it does not tell. */
static int filter_ask(const struct ts_file_id *file, uint64_t hash)
{
	unsigned turn = ts_seq_begin(&filter.turn);
	struct ts_file_id of;
	int has;

	ts_shared_read(&of, &filter.of, sizeof(of));
	has = memcmp(&of, file, sizeof(of)) != 0 ? -1 : filter_has(hash);
	return ts_seq_holds(&filter.turn, turn) ? has : -1;
}

static bool search(struct query *q, uint64_t hash)
{
	struct ts_file_id file;
	int fd, known;

	if (!ts_file_identify(AT_FDCWD, PATH, &file))
		return false;
	known = filter_ask(&file, hash);
	if (known == 0)
		return false;
	fd = (int)ts_sys(SYS_openat, AT_FDCWD, PATH, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return false;
	if (known < 0) {
		filter_fill(fd);
		ts_sys(SYS_lseek, fd, 0, SEEK_SET);
	}
	read_words(q, fd);
	ts_sys(SYS_close, fd);
	return q->found;
}

bool ts_hosts_has_name(const char *name, int family)
{
	struct query q = { .name = name, .name_len = strlen(name), .family = family };

	/* musl compares letter by letter, and asks nobody else for the other family of a name that stands there. */
	if (!ts_libc_is_glibc()) {
		q.exact = true;
		q.family = AF_UNSPEC;
	}
	return search(&q, hash_name(name, q.name_len));
}

bool ts_hosts_has_addr(const uint8_t ip[16])
{
	struct query q = { .ip = ip, .family = AF_UNSPEC };

	return search(&q, ts_fnv64(TS_FNV64_INIT, ip, 16));
}
