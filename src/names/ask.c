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
#include "tsproxy/guard.h"
#include "tsproxy/log.h"
#include "tsproxy/names.h"

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* What inet_aton(3) takes for an address: one to four numbers, decimal, octal or hexadecimal. */
static bool numeric4(const char *s)
{
	int parts = 0;

	for (;; s++) {
		bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
		size_t n = 0;

		if (hex)
			s += 2;
		while ((s[n] >= '0' && s[n] <= '9') || (hex && lower(s[n]) >= 'a' && lower(s[n]) <= 'f'))
			n++;
		s += n;
		if (n == 0 || ++parts > 4)
			return false;
		if (*s != '.')
			return *s == '\0';
	}
}

/*
 * Numbers are no names. Only those need a closer look that begin with a digit; IPv6 has a colon among its first five
 * characters.
 */
static bool numeric(const char *s)
{
	for (int i = 0; i < 5 && s[i]; i++)
		if (s[i] == ':')
			return true;
	return s[0] >= '0' && s[0] <= '9' && numeric4(s);
}

/* "localhost" and what lies under it (RFC 6761, 6.3), with or without the trailing dot. */
static bool is_localhost(const char *s, size_t len)
{
	static const char word[] = "localhost";
	const size_t n = sizeof(word) - 1;

	if (len && s[len - 1] == '.')
		len--;
	if (len < n || (len > n && s[len - n - 1] != '.'))
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(s[len - n + i]) != word[i])
			return false;
	return true;
}

/* One label, with or without the trailing dot. */
static bool is_short(const char *s, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++)
		if (s[i] == '.')
			return false;
	return true;
}

/* Could any node have this name? Paths and the like could not. */
static bool could_be_name(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = lower(s[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
			return false;
	}
	return true;
}

/*
 * A name that is not in the map, and could be in the next: waits for a fresher one where the one in use is not quite
 * new. Not for what /etc/hosts answers.
 */
static int ask_again(const char *name, size_t len, int family, struct ts_map_answer *out)
{
	if (!ts_live_miss_due() || !could_be_name(name, len) || ts_hosts_has_name(name, family) ||
	    !ts_live_refresh(true))
		return 0;
	return ts_live_find_name(name, len, out);
}

enum ts_ask ts_names_ask(const char *name, int family, struct ts_map_answer *out)
{
	size_t len = strlen(name);
	struct ts_map_header h;
	bool under, one;
	int ret;

	if (len == 0 || len > TS_NAME_MAX + 1 || numeric(name) || is_localhost(name, len))
		return TS_ASK_LIBC;
	ret = ts_live_find_name(name, len, out);
	under = ret == 0 && ts_live_name_under_suffix(name, len);
	one = is_short(name, len);
	if (ret < 0 || (ret == 0 && (under || (one && ts_conf.short_names)))) {
		ret = ask_again(name, len, family, out);
		under = under || ts_live_name_under_suffix(name, len);
	}
	if ((ret != 1 && !under) || ts_live_header(&h) != 0 || h.flags & TS_MAP_TUN)
		return TS_ASK_LIBC;
	if (one && (!ts_conf.short_names || h.flags & TS_MAP_NO_SHORT_NAMES))
		return TS_ASK_LIBC;
	if (ts_hosts_has_name(name, family))
		return TS_ASK_LIBC;
	if (ret == 1 && ts_program_is_go) {
		ts_debug("%s: not told to a Go program, whose connections cannot be carried from here", name);
		return TS_ASK_NONE;
	}
	ts_debug("%s: %s", name, ret == 1 ? out->canon : "no such node");
	return ret == 1 ? TS_ASK_FOUND : TS_ASK_NONE;
}

enum ts_ask ts_names_ask_addr(const uint8_t ip[16], struct ts_map_answer *out)
{
	struct ts_map_header h;

	if (ts_live_find_addr(ip, out) != 1 || ts_live_header(&h) != 0 || h.flags & TS_MAP_TUN || ts_hosts_has_addr(ip))
		return TS_ASK_LIBC;
	return out->canon[0] ? TS_ASK_FOUND : TS_ASK_NONE;
}
