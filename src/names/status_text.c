/* SPDX-License-Identifier: MIT */
/*
 * Reads the table that `tailscale status` prints for people:
 *
 *	100.90.56.90    jawnsy-tailscale-1   jonathan@    linux   idle, tx 3144 rx 2708
 *	100.101.102.103 ("hello")            services@    linux   -
 *	# Health check:
 *
 * It gives one address a node, and of a name only what stands before the tailnet's own suffix, which it does not tell:
 * the column is a short name, or, where it holds a dot, the full name of a node of another tailnet. A node without a
 * DNS name shows its host name quoted in parentheses, as Go quotes strings. A punycode name may be followed by its
 * readable form in parentheses. The owner column is skipped; the OS column may be empty. The table doesn't mark this
 * node's own line, so no node is taken for it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tsproxy/status.h"

struct line {
	const char *p;
	size_t left;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void skip_space(struct line *l)
{
	while (l->left && is_space(*l->p)) {
		l->p++;
		l->left--;
	}
}

static struct ts_slice take(struct line *l, size_t n)
{
	struct ts_slice s = { l->p, n };

	l->p += n;
	l->left -= n;
	return s;
}

static struct ts_slice word(struct line *l)
{
	size_t n = 0;

	skip_space(l);
	while (n < l->left && !is_space(l->p[n]))
		n++;
	return take(l, n);
}

/* `("host name")` at the start of `l`: its inside, escapes left as they are. False where it is none. */
static bool quoted(struct line *l, struct ts_slice *out)
{
	size_t n = 2;

	if (l->left < 4 || l->p[0] != '(' || l->p[1] != '"')
		return false;
	while (n + 1 < l->left && l->p[n] != '"')
		n += l->p[n] == '\\' ? 2 : 1;
	if (n + 1 >= l->left || l->p[n + 1] != ')')
		return false;
	*out = (struct ts_slice){ l->p + 2, n - 2 };
	take(l, n + 2);
	return true;
}

static bool starts(struct ts_slice s, const char *with)
{
	size_t n = strlen(with);

	return s.len >= n && memcmp(s.p, with, n) == 0;
}

/* The words that the last column starts with. */
static bool is_state(struct ts_slice s)
{
	return starts(s, "active") || starts(s, "idle") || starts(s, "offline") || starts(s, "offers") ||
	       starts(s, "exit") || (s.len == 1 && s.p[0] == '-');
}

static bool has_word(struct line l, const char *w)
{
	size_t n = strlen(w);

	return l.left >= n && memmem(l.p, l.left, w, n) != NULL;
}

static void read_state(struct line l, struct ts_status_node *n)
{
	struct line rest = l;
	struct ts_slice os = word(&l);

	if (!is_state(os)) {
		n->os = os;
		rest = l;
	}
	skip_space(&rest);
	if (rest.left == 0)
		return;
	/* "-" only says that nothing is going on; every other state but "offline" is one of a node that is there. */
	if (has_word(rest, "offline"))
		n->flags |= TS_NODE_ONLINE_KNOWN;
	else if (has_word(rest, "active") || has_word(rest, "idle"))
		n->flags |= TS_NODE_ONLINE_KNOWN | TS_NODE_ONLINE;
	if (has_word(rest, "offers exit node"))
		n->flags |= TS_NODE_EXIT_OPTION;
	else if (has_word(rest, "exit node"))
		n->flags |= TS_NODE_EXIT | TS_NODE_EXIT_OPTION;
	if (has_word(rest, "expired"))
		n->flags |= TS_NODE_EXPIRED;
}

/* 1 a node, 0 none, -errno. */
static int read_node(struct ts_tailnet *tn, struct line l)
{
	struct ts_slice ip = word(&l);
	struct ts_status_node *n;
	struct ts_addr a;

	if (!ts_addr_parse(ip.p, ip.len, &a))
		return 0;
	n = ts_tailnet_add_node(tn);
	if (!n || !ts_tailnet_add_ip(tn, a.ip))
		return -ENOMEM;
	skip_space(&l);
	if (quoted(&l, &n->host)) {
		n->flags |= TS_NODE_SHAREE;
	} else {
		n->host = word(&l);
		if (memchr(n->host.p, '.', n->host.len))
			n->fqdn = n->host;
		else
			n->label = n->host;
		skip_space(&l);
		if (l.left && l.p[0] == '(')
			word(&l);
	}
	word(&l);
	read_state(l, n);
	return 1;
}

/* What the command prints instead of a table, or around it. */
static const struct {
	const char *start;
	enum ts_map_state state;
} sentences[] = {
	{ "Tailscale is stopped.", TS_STATE_STOPPED },
	{ "Tailscale is starting.", TS_STATE_STOPPED },
	{ "unexpected state: ", TS_STATE_STOPPED },
	{ "Logged out.", TS_STATE_NEEDS_LOGIN },
	{ "Log in at: ", TS_STATE_NEEDS_LOGIN },
	{ "Machine is not yet approved", TS_STATE_NEEDS_LOGIN },
	{ "Machine is not yet authorized", TS_STATE_NEEDS_LOGIN },
};

static bool read_sentence(struct ts_tailnet *tn, struct line l)
{
	struct ts_slice s = { l.p, l.left };

	for (size_t i = 0; i < sizeof(sentences) / sizeof(*sentences); i++)
		if (starts(s, sentences[i].start)) {
			tn->state = sentences[i].state;
			return true;
		}
	/* Column headings, where the command was asked for them, and the rule below. */
	return starts(s, "IP ") || starts(s, "--");
}

static int read_lines(struct ts_tailnet *tn, const char *text, size_t len, char why[TS_STATUS_WHY_MAX])
{
	unsigned number = 0;
	bool any = false;

	for (size_t at = 0; at < len;) {
		const char *end = memchr(text + at, '\n', len - at);
		struct line l = { text + at, (end ? (size_t)(end - text) : len) - at };
		int got;

		at += l.left + 1;
		number++;
		skip_space(&l);
		if (l.left == 0 || l.p[0] == '#')
			continue;
		got = read_node(tn, l);
		if (got < 0)
			return got;
		if (got == 0 && !read_sentence(tn, l)) {
			snprintf(why, TS_STATUS_WHY_MAX,
				 "line %u does not start with an address: neither JSON nor a status table", number);
			return -EBADMSG;
		}
		any = true;
	}
	if (!any) {
		snprintf(why, TS_STATUS_WHY_MAX, "it contains only comments");
		return -EBADMSG;
	}
	return 0;
}

int ts_status_parse_text(const char *text, size_t len, struct ts_tailnet *out, char why[TS_STATUS_WHY_MAX])
{
	memset(out, 0, sizeof(*out));
	out->source = malloc(len + 1);
	if (!out->source)
		return -ENOMEM;
	out->free_source = free;
	memcpy(out->source, text, len);
	return read_lines(out, out->source, len, why);
}
