/* SPDX-License-Identifier: MIT */
/*
 * resolv.conf: see resolv_conf.h. Every lookup of whatever name asks for it, so the file's text is kept, and whether the file is another by
 * now is looked at ten times a second at most. A sequence word, odd while it is written, lets readers do without a lock; who meets an odd one
 * reads the file.
 */
#include "tsproxy/resolv_conf.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/utsname.h>

#include "file_id.h"
#include "live.h"
#include "tsproxy/answer.h"
#include "tsproxy/buf.h"
#include "tsproxy/conf.h"
#include "tsproxy/guard.h"
#include "tsproxy/shared.h"
#include "tsproxy/sys.h"

/* resolv.h's RES_TIMEOUT and RES_DFLRETRY, and the limits that libc puts on what the file says. */
#define TIMEOUT_S 5
#define TIMEOUT_MAX_S 30
#define ATTEMPTS 2
#define ATTEMPTS_MAX 5
#define NDOTS_MAX 15
#define PATH "/etc/resolv.conf"
#define LOOK_NS (100 * TS_NS_PER_MS)

extern char **environ;

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* The next word of a line, ended in place, or null; *at moves on. */
static char *word(char **at)
{
	char *s = *at, *end;

	while (is_blank(*s))
		s++;
	end = s;
	while (*end && !is_blank(*end))
		end++;
	*at = *end ? end + 1 : end;
	*end = '\0';
	return *s ? s : NULL;
}

static bool number(const char *s, const char *key, unsigned max, unsigned *out)
{
	size_t n = strlen(key);
	unsigned v = 0;

	for (size_t i = 0; i < n; i++)
		if (s[i] != key[i])
			return false;
	for (s += n; *s >= '0' && *s <= '9' && v <= max; s++)
		v = v * 10 + (unsigned)(*s - '0');
	*out = v > max ? max : v;
	return true;
}

static void option(struct ts_resolv *r, const char *s)
{
	if (number(s, "timeout:", TIMEOUT_MAX_S, &r->timeout_s) || number(s, "attempts:", ATTEMPTS_MAX, &r->attempts))
		return;
	number(s, "ndots:", NDOTS_MAX, &r->ndots);
}

static void search(struct ts_resolv *r, char *words)
{
	char *s;

	r->search_count = 0;
	while (r->search_count < TS_RESOLV_SEARCH_MAX && (s = word(&words)) != NULL)
		r->search[r->search_count++] = s;
}

static void line(struct ts_resolv *r, char *s)
{
	char *key = word(&s), *value;

	if (!key)
		return;
	if (strcmp(key, "search") == 0 || strcmp(key, "domain") == 0)
		search(r, s);
	while (strcmp(key, "options") == 0 && (value = word(&s)) != NULL)
		option(r, value);
}

/* A copy of an environment's variable behind what is used of `text`, or null. */
static char *copy_variable(struct ts_resolv *r, size_t *used, const char *name)
{
	const char *value = ts_env_get(environ, name);
	size_t len = value ? strlen(value) + 1 : 0;
	char *at = r->text + *used;

	if (!value || len > sizeof(r->text) - *used)
		return NULL;
	memcpy(at, value, len);
	*used += len;
	return at;
}

static bool is_wanted(const char *line, size_t len)
{
	static const char *const keys[] = { "search", "domain", "options" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (len >= strlen(keys[i]) && memcmp(line, keys[i], strlen(keys[i])) == 0)
			return true;
	return false;
}

/* Takes the lines that matter: of a long file they are few, and who asks may have a small stack. One that does not fit loses its end. */
static size_t read_file(char *out, size_t cap, struct ts_file_id *id)
{
	long fd = ts_sys(SYS_openat, AT_FDCWD, PATH, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), n;
	size_t start = 0, len = 0;
	bool whole = true;
	char piece[256];

	if (fd < 0)
		return 0;
	ts_file_identify((int)fd, "", id);
	while ((n = ts_sys(SYS_read, fd, piece, sizeof(piece))) > 0)
		for (long i = 0; i < n; i++) {
			if (piece[i] != '\n') {
				whole = whole && len + 1 < cap;
				if (whole)
					out[len++] = piece[i];
				continue;
			}
			while (!whole && len > start && !is_blank(out[len - 1]))
				len--;
			if (is_wanted(out + start, len - start))
				out[len++] = '\n';
			else
				len = start;
			start = len;
			whole = true;
		}
	ts_sys(SYS_close, fd);
	return is_wanted(out + start, len - start) ? len : start;
}

/* What glibc takes into account besides the file. */
static void take_glibcs(struct ts_resolv *r, size_t used)
{
	char *value = copy_variable(r, &used, "LOCALDOMAIN"), *s;

	if (value)
		search(r, value);
	value = copy_variable(r, &used, "RES_OPTIONS");
	while (value && (s = word(&value)) != NULL)
		option(r, s);
}

/* What is behind the first dot of the host's name, where nothing else says where to search; as a line of the file. */
static size_t own_domain(char *out, size_t cap)
{
	struct ts_wr w = ts_wr_over(out, cap);
	struct utsname u;
	const char *dot = ts_sys(SYS_uname, &u) == 0 ? memchr(u.nodename, '.', strlen(u.nodename)) : NULL;

	if (!dot || !ts_libc_is_glibc())
		return 0;
	ts_wr_str(&w, "domain ");
	ts_wr_str(&w, dot + 1);
	ts_wr_u8(&w, '\n');
	return w.bad ? 0 : w.len;
}

static struct {
	unsigned seq;
	_Atomic int64_t looked_ns;	/* 0: never */
	_Atomic size_t len;
	struct ts_file_id id;		/* all zero: none could be read, or it had been changed just then */
	char text[sizeof(((struct ts_resolv *)NULL)->text)];
} kept;

/* Whether the file is still that whose text is kept. In a sandbox nothing can be asked, and what is kept is all there is. */
static bool is_same(int64_t now, const struct ts_file_id *id)
{
	struct ts_file_id file;

	if (ts_sandboxed() || ts_live_within(now, kept.looked_ns, LOOK_NS))
		return true;
	if (!ts_file_identify(AT_FDCWD, PATH, &file) || memcmp(&file, id, sizeof(file)) != 0)
		return false;
	kept.looked_ns = now;
	return true;
}

static void keep(const char *text, size_t len, int64_t now, struct ts_file_id *id)
{
	if (!ts_file_is_settled(id, now))
		memset(id, 0, sizeof(*id));
	if (!ts_seq_try_change(&kept.seq))
		return;
	kept.looked_ns = now;
	kept.len = len;
	ts_shared_write(&kept.id, id, sizeof(*id));
	ts_shared_write(kept.text, text, len);
	ts_seq_changed(&kept.seq);
}

/* The host's domain and the file, in whose lines a later one wins. */
static size_t read_text(char *buf, size_t cap)
{
	unsigned seq = ts_seq_begin(&kept.seq);
	int64_t now = ts_live_now();
	struct ts_file_id id = { .dev = 0 };
	size_t len = kept.len;

	ts_shared_read(&id, &kept.id, sizeof(id));
	if (seq && len <= cap && is_same(now, &id)) {
		ts_shared_read(buf, kept.text, len);
		if (ts_seq_holds(&kept.seq, seq))
			return len;
	}
	if (ts_sandboxed())
		return 0;
	memset(&id, 0, sizeof(id));
	len = own_domain(buf, cap);
	len += read_file(buf + len, cap - len, &id);
	keep(buf, len, now, &id);
	return len;
}

void ts_resolv_read(struct ts_resolv *r)
{
	size_t used, at = 0;
	char *s;

	r->timeout_s = TIMEOUT_S;
	r->attempts = ATTEMPTS;
	r->ndots = 1;
	r->search_count = 0;
	used = read_text(r->text, sizeof(r->text) - 1);
	r->text[used] = '\0';
	while (at < used) {
		s = r->text + at;
		while (at < used && r->text[at] != '\n')
			at++;
		r->text[at++] = '\0';
		if (*s != '#' && *s != ';')
			line(r, s);
	}
	if (ts_libc_is_glibc())
		take_glibcs(r, used < sizeof(r->text) - 1 ? used + 1 : used);
	if (r->timeout_s == 0)
		r->timeout_s = 1;
	if (r->attempts == 0)
		r->attempts = 1;
}
