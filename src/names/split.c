/* SPDX-License-Identifier: MIT */
/* Which name server's a name is: see split.h. */
#include "tsproxy/split.h"

#include <string.h>

#include "tsproxy/conf.h"
#include "tsproxy/name_kind.h"

size_t ts_name_under(const char *name, size_t len, const char *suffix, size_t suffix_len)
{
	if (len && name[len - 1] == '.')
		len--;
	if (suffix_len == 0 || len < suffix_len || (len > suffix_len && name[len - suffix_len - 1] != '.'))
		return 0;
	for (size_t i = 0; i < suffix_len; i++)
		if (ts_name_lower(name[len - suffix_len + i]) != ts_name_lower(suffix[i]))
			return 0;
	return suffix_len;
}

/* Takes another matching route in: a longer one takes the place of what was found, an equal one adds a server. */
static void take(struct ts_split *s, size_t suffix_len, const struct ts_addr *server, uint32_t flags)
{
	if (suffix_len < s->suffix_len || suffix_len == 0)
		return;
	if (suffix_len > s->suffix_len) {
		s->suffix_len = suffix_len;
		s->count = 0;
		s->flags = flags;
	}
	if (!(flags & (TS_DNS_ROUTE_NO_SERVER | TS_DNS_ROUTE_UNSERVED)) && s->count < TS_SPLIT_SERVERS_MAX)
		s->server[s->count++] = *server;
}

int ts_split_find_text(const char *list, const char *name, size_t len, struct ts_split *out)
{
	struct ts_conf_dns_route r;
	bool bad = false;

	*out = (struct ts_split){ .suffix_len = 0 };
	while (ts_conf_next_dns_route(&list, &r, &bad))
		take(out, ts_name_under(name, len, r.suffix, r.suffix_len), &r.server, 0);
	return out->suffix_len != 0;
}

int ts_map_find_split(const struct ts_map *m, const char *name, size_t len, struct ts_split *out)
{
	char suffix[TS_NAME_MAX + 1];
	struct ts_map_dns_route r;
	struct ts_addr server;
	int ret;

	*out = (struct ts_split){ .suffix_len = 0 };
	for (uint32_t i = 0; (ret = ts_map_dns_route(m, i, &r, suffix)) == 1; i++) {
		/* They come longest first. */
		if (r.suffix.len < out->suffix_len)
			break;
		memcpy(server.ip, r.ip, sizeof(r.ip));
		server.port = r.port;
		take(out, ts_name_under(name, len, suffix, r.suffix.len), &server, r.flags);
	}
	return ret < 0 ? ret : out->suffix_len != 0;
}

int ts_split_find_in(const char *list, const struct ts_map *m, const char *name, size_t len, struct ts_split *out)
{
	struct ts_split other;
	int found = ts_split_find_text(list, name, len, out);

	if (m && ts_map_find_split(m, name, len, &other) == 1 && (!found || other.suffix_len > out->suffix_len)) {
		*out = other;
		found = 1;
	}
	return found;
}
