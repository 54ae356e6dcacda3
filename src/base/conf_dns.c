/* SPDX-License-Identifier: MIT */
/* The text of dns-route settings: "SUFFIX=SERVER[:PORT]", several with commas or blanks between. See conf.h. */
#include <string.h>

#include "tsproxy/conf.h"

#define DNS_PORT 53
#define NAME_MAX_LEN 253	/* RFC 1035, 2.3.4 */
#define LABEL_MAX_LEN 63

static bool is_separator(char c)
{
	return c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Labels of letters, digits, hyphens and underscores, none of them empty. */
static bool is_suffix(const char *s, size_t len)
{
	size_t label = 0;

	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (c == '.' ? label == 0 : ++label > LABEL_MAX_LEN)
			return false;
		if (c == '.')
			label = 0;
		else if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return label && len <= NAME_MAX_LEN;
}

bool ts_conf_parse_server(const char *s, size_t len, struct ts_addr *out)
{
	const char *colon = memchr(s, ':', len);
	struct ts_addr host;

	if (ts_addr_parse(s, len, out)) {
		out->port = DNS_PORT;
		return true;
	}
	if (len > 2 && s[0] == '[' && s[len - 1] == ']' && ts_addr_parse(s + 1, len - 2, out)) {
		out->port = DNS_PORT;
		return !ts_addr_is4(out);
	}
	/* A port alone, or localhost's, which that takes for an address as well, is none here. */
	if (len == 0 || (s[0] != '[' && !(colon && ts_addr_parse(s, (size_t)(colon - s), &host))))
		return false;
	return ts_addr_parse_hostport(s, len, out) && out->port != 0;
}

bool ts_conf_parse_dns_route(const char *s, size_t len, struct ts_conf_dns_route *out)
{
	const char *eq = memchr(s, '=', len);
	size_t n = eq ? (size_t)(eq - s) : 0;

	if (!eq || !ts_conf_parse_server(eq + 1, len - n - 1, &out->server))
		return false;
	if (n && s[0] == '.') {
		s++;
		n--;
	}
	if (n && s[n - 1] == '.')
		n--;
	out->suffix = s;
	out->suffix_len = n;
	return is_suffix(s, n);
}

bool ts_conf_next_dns_route(const char **list, struct ts_conf_dns_route *out, bool *bad)
{
	const char *s = *list;

	for (;;) {
		size_t len = 0;

		while (is_separator(*s))
			s++;
		while (s[len] && !is_separator(s[len]))
			len++;
		*list = s + len;
		if (len == 0)
			return false;
		if (ts_conf_parse_dns_route(s, len, out))
			return true;
		*bad = true;
		s += len;
	}
}
