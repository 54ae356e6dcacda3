/* SPDX-License-Identifier: MIT */
/*
 * Whose name is it? After numbers the map is asked first, because that costs little and settles nearly all: a name
 * which it does not know and which is not under the tailnet's suffix is libc's. Only for the others is it looked up
 * what natively comes before.
 */
#include <errno.h>
#include <string.h>

#include "live.h"
#include "tsproxy/answer.h"
#include "tsproxy/dns_query.h"
#include "tsproxy/guard.h"
#include "tsproxy/log.h"
#include "tsproxy/name_kind.h"
#include "tsproxy/names.h"
#include "tsproxy/remote.h"
#include "tsproxy/scratch.h"

/*
 * A name that is not in the map, and could be in the next: waits for a fresher one where the one in use is not quite
 * new. Not for what /etc/hosts answers. `ret` is what the map said.
 */
static int ask_again(const char *name, size_t len, const struct ts_ask_how *how, struct ts_map_answer *out, int ret)
{
	if (!ts_live_miss_due() || !ts_name_is_possible(name, len) ||
	    (how->hosts && ts_hosts_has_name(name, how->family)) || !ts_live_refresh(true))
		return ret;
	return ts_live_find_name(name, len, out);
}

/* DNS answers in the letters in which it was asked, and with them goes the rest of a short name's full one. */
static void echo(const char *name, size_t len, struct ts_map_answer *a)
{
	size_t n = strlen(a->canon);

	if (len && name[len - 1] == '.')
		len--;
	if (len > n || (len < n && a->canon[len] != '.'))
		return;
	for (size_t i = 0; i < len; i++)
		if (ts_name_lower(name[i]) != a->canon[i])
			return;
	memcpy(a->canon, name, len);
}

/* 1, or 0 where no placeholder can be had: it is not for anybody else to resolve. */
static int find_remote(const char *name, size_t len, struct ts_map_answer *out)
{
	if (!ts_name_is_possible(name, len) || ts_remote_address(name, len, out->ip[0]) != 0 ||
	    !ts_remote_name(out->ip[0], out->canon))
		return 0;
	out->count = 1;
	out->node_flags = 0;
	return 1;
}

int ts_split_find(const char *name, size_t len, struct ts_split *out)
{
	struct ts_split of_map;
	int found = ts_conf.dns_route[0] ? ts_split_find_text(ts_conf.dns_route, name, len, out) : 0;
	int ret = ts_live_find_split(name, len, &of_map);

	/* Of equals the process' own wins. */
	if (ret == 1 && (!found || of_map.suffix_len > out->suffix_len)) {
		*out = of_map;
		found = 1;
	}
	/* A damaged map: it may be a name of one of these. */
	if (ret == -EBADMSG && !found) {
		*out = (struct ts_split){ .suffix_len = 1, .withheld = true };
		found = 1;
	}
	return found || ts_withheld_find(name, len, out);
}

static __attribute__((noinline)) bool is_node(const char *name, size_t len)
{
	struct ts_map_answer node;

	return ts_live_find_name(name, len, &node) == 1;
}

/* Whether `name` is what `s` says: no node's, and under no longer suffix of the tailnet's own or of names that the far side resolves. */
static bool is_split(const char *name, size_t len, const struct ts_ask_how *how, const struct ts_split *s)
{
	uint32_t map_flags = 0;
	bool has_map = ts_live_flags(&map_flags) == 0, shorts = how->search && ts_conf.short_names && !(map_flags & TS_MAP_NO_SHORT_NAMES);

	if (map_flags & TS_MAP_TUN || ts_remote_wants(name, len, has_map) >= s->suffix_len)
		return false;
	if ((shorts || !ts_name_is_short(name, len)) && is_node(name, len))
		return false;
	return s->suffix_len > ts_live_name_under_suffix(name, len);
}

static enum ts_ask answer_split(const char *name, const struct ts_ask_how *how, const struct ts_split *s)
{
	if (how->hosts && ts_hosts_has_name(name, how->family))
		return TS_ASK_LIBC;
	ts_live_refresh(false);
	if (ts_program_is_go) {
		ts_debug("%s: hidden from a Go program, which cannot connect to it", name);
		return TS_ASK_NONE;
	}
	return s->flags & TS_DNS_ROUTE_NO_SERVER ? TS_ASK_NONE : TS_ASK_SPLIT;
}

/* The map is damaged there, and the name may be a node's. As one of split DNS without a server it fails for the time being. */
static enum ts_ask ask_nobody(const char *name)
{
	ts_info("%s: the map is damaged at this name: not looked up", name);
	return TS_ASK_SPLIT;
}

/* False: it is no alias. Without memory nobody is asked. */
static __attribute__((noinline)) bool ask_alias(const char *name, const struct ts_ask_how *how, struct ts_map_answer *out, enum ts_ask *whose)
{
	/* glibc searches for what an alias stands for where it asks for a host, and does not in res_search. */
	const struct ts_ask_how second = { .family = how->family, .search = how->hosts };
	char *alias = ts_scratch_get(TS_NAME_MAX + 1);
	bool found = alias && ts_native_alias(name, alias);

	if (!alias)
		*whose = TS_ASK_NONE;
	else if (found)
		*whose = how->hosts && ts_hosts_has_name(name, how->family) ? TS_ASK_LIBC : ts_names_ask_how(alias, &second, out);
	ts_scratch_put(alias, TS_NAME_MAX + 1);
	return found || !alias;
}

static enum ts_ask ask(const char *name, const struct ts_ask_how *how, struct ts_map_answer *out)
{
	size_t len = strlen(name);
	uint32_t map_flags = 0;
	enum ts_ask whose;
	bool under, one, far, remote, has_map, shorts = ts_conf.short_names && how->search;
	struct ts_split split;
	int ret;

	/* First, because it needs no map. */
	if (how->hosts && (ts_name_is_number(name) || ts_name_is_localhost(name, len)))
		return TS_ASK_LIBC;
	if (ts_split_find(name, len, &split) && is_split(name, len, how, &split))
		return answer_split(name, how, &split);
	if (len == 0 || len > TS_NAME_MAX + 1)
		return TS_ASK_LIBC;
	one = ts_name_is_short(name, len);
	if (one && how->aliases && ask_alias(name, how, out, &whose))
		return whose;
	if (one && !shorts)
		return TS_ASK_LIBC;
	ret = ts_live_find_name(name, len, out);
	under = ret == 0 && ts_live_name_under_suffix(name, len);
	if (ret < 0 || (ret == 0 && (under || one))) {
		ret = ask_again(name, len, how, out, ret);
		under = under || ts_live_name_under_suffix(name, len);
	}
	if (ret == 1 || under)
		ts_live_refresh(false);
	has_map = ts_live_flags(&map_flags) == 0;
	if (ret < 0 && has_map && !(map_flags & TS_MAP_TUN))
		return ask_nobody(name);
	far = ret == 0 && (under || one) && ts_live_name_far(name, len, out->canon);
	remote = far || (ret != 1 && !under && ts_remote_wants(name, len, has_map));
	if ((ret != 1 && !under && !remote) || (!has_map && !remote) || map_flags & TS_MAP_TUN)
		return TS_ASK_LIBC;
	if (one && !remote && map_flags & TS_MAP_NO_SHORT_NAMES)
		return TS_ASK_LIBC;
	if (how->hosts && (ts_hosts_has_name(name, how->family) ||
			   (ret == 1 && out->node_flags & TS_NODE_SELF && ts_native_names_machine(name))))
		return TS_ASK_LIBC;
	if ((ret == 1 || remote) && ts_program_is_go) {
		ts_debug("%s: hidden from a Go program, which cannot connect to it", name);
		return TS_ASK_NONE;
	}
	if (far)
		ret = find_remote(out->canon, strlen(out->canon), out);
	else if (remote)
		ret = find_remote(name, len, out);
	if (ret == 1)
		echo(name, len, out);
	ts_debug("%s: %s", name, ret == 1 ? out->canon : "no such node");
	return ret == 1 ? TS_ASK_FOUND : TS_ASK_NONE;
}

/* Without memory it is taken for one of ours. */
static __attribute__((noinline)) bool means_ours(const char *name, const struct ts_ask_how *how, struct ts_map_answer *out)
{
	/* Not by /etc/hosts, where libc finds it as it is written. */
	const struct ts_ask_how second = { .family = how->family, .search = how->search };
	bool escaped = memchr(name, '\\', strlen(name)), ours;
	char *plain = escaped ? ts_scratch_get(TS_NAME_MAX + 2) : NULL;

	if (!escaped)
		return false;
	ours = !plain || (ts_name_unescape(name, plain) && ask(plain, &second, out) != TS_ASK_LIBC);
	if (ours)
		ts_debug("%s: means %s: not sent to public DNS", name, plain ? plain : "(no memory)");
	ts_scratch_put(plain, TS_NAME_MAX + 2);
	return ours;
}

enum ts_ask ts_names_ask_how(const char *name, const struct ts_ask_how *how, struct ts_map_answer *out)
{
	enum ts_ask whose = ask(name, how, out);

	return whose == TS_ASK_LIBC && means_ours(name, how, out) ? TS_ASK_NONE : whose;
}

enum ts_ask ts_names_ask(const char *name, int family, struct ts_map_answer *out)
{
	return ts_names_ask_how(name, &(struct ts_ask_how){ .family = family, .hosts = true, .search = true, .aliases = true }, out);
}

static enum ts_ask ask_addr_split(const uint8_t ip[16], bool hosts)
{
	struct ts_ask_how how = { .family = AF_UNSPEC };
	char name[TS_DNS_REVERSE_MAX];
	struct ts_split split;
	size_t len = ts_dns_reverse_name(ip, name);

	if (!ts_split_find(name, len, &split) || !is_split(name, len, &how, &split) || (hosts && ts_hosts_has_addr(ip)))
		return TS_ASK_LIBC;
	return answer_split(name, &how, &split);
}

enum ts_ask ts_names_ask_addr(const uint8_t ip[16], bool hosts, struct ts_map_answer *out)
{
	uint32_t map_flags;
	int ret;

	if (ts_ip_is_loopback(ip))
		return TS_ASK_LIBC;
	if (ts_remote_is_placeholder(ip) && ts_remote_name(ip, out->canon)) {
		memcpy(out->ip[0], ip, 16);
		out->count = 1;
		out->node_flags = 0;
		return TS_ASK_FOUND;
	}
	ret = ts_live_find_addr(ip, out);
	if (ret != 1 && ts_ip_is_tailscale(ip) && ts_live_refresh(true))
		ret = ts_live_find_addr(ip, out);
	if (ret < 0 && ts_live_flags(&map_flags) == 0 && !(map_flags & TS_MAP_TUN))
		return ask_nobody("an address");
	if (ret != 1)
		return ask_addr_split(ip, hosts);
	if (ts_live_flags(&map_flags) != 0 || map_flags & TS_MAP_TUN || (hosts && ts_hosts_has_addr(ip)))
		return TS_ASK_LIBC;
	ts_live_refresh(false);
	return out->canon[0] ? TS_ASK_FOUND : TS_ASK_NONE;
}
