/* SPDX-License-Identifier: MIT */
/*
 * Says whether /etc/hosts knows a name or an address, so that it wins as it does natively; libc then answers. Read
 * only for names that the map knows as well. Read anew each time, because libc does so too and an edited file must
 * count at once.
 */
#include <fcntl.h>
#include <string.h>

#include "tsproxy/answer.h"
#include "tsproxy/name_kind.h"
#include "tsproxy/sys.h"

#define WORD_MAX 255

struct query {
	const char *name;	/* or null: `ip` is looked for */
	size_t name_len;
	const uint8_t *ip;
	int family;
	bool exact;		/* upper and lower case differ */
	bool line_fits;		/* the line's address is of the family */
	bool found;
};

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
	q->line_fits = q->family == AF_UNSPEC || (q->family == AF_INET ? four : text6);
	if (!q->name && memcmp(a.ip, q->ip, sizeof(a.ip)) == 0)
		q->found = true;
}

static void take_word(struct query *q, unsigned index, const char *word, size_t len)
{
	if (index == 0)
		take_address(q, word, len);
	else if (q->name && q->line_fits && len <= WORD_MAX && same_name(q, word, len))
		q->found = true;
}

static bool search(struct query *q)
{
	char buf[2048], word[WORD_MAX];
	size_t len = 0;		/* of the word; beyond WORD_MAX only counted */
	unsigned index = 0;	/* of the word in its line */
	bool comment = false;
	int fd = (int)ts_sys(SYS_openat, AT_FDCWD, "/etc/hosts", O_RDONLY | O_CLOEXEC);
	long n;

	if (fd < 0)
		return false;
	while (!q->found && (n = ts_sys(SYS_read, fd, buf, sizeof(buf))) > 0) {
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
	return search(&q);
}

bool ts_hosts_has_addr(const uint8_t ip[16])
{
	struct query q = { .ip = ip, .family = AF_UNSPEC };

	return search(&q);
}
