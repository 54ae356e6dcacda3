/* SPDX-License-Identifier: MIT */
/* What can be told of a name by its letters alone. Programs and tools decide by the same. */
#include "tsproxy/name_kind.h"

#include <string.h>

/* What inet_aton(3) takes for an address: one to four numbers, decimal, octal or hexadecimal. */
static bool numeric4(const char *s)
{
	int parts = 0;

	for (;; s++) {
		bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
		size_t n = 0;

		if (hex)
			s += 2;
		while ((s[n] >= '0' && s[n] <= '9') || (hex && ts_name_lower(s[n]) >= 'a' && ts_name_lower(s[n]) <= 'f'))
			n++;
		s += n;
		if (n == 0 || ++parts > 4)
			return false;
		if (*s != '.')
			return *s == '\0';
	}
}

/*
 * Only those need a closer look that begin with a digit; IPv6 has a colon among its first five
 * characters.
 */
bool ts_name_is_number(const char *s)
{
	for (int i = 0; i < 5 && s[i]; i++)
		if (s[i] == ':')
			return true;
	return s[0] >= '0' && s[0] <= '9' && numeric4(s);
}

bool ts_name_is_localhost(const char *s, size_t len)
{
	static const char word[] = "localhost";
	const size_t n = sizeof(word) - 1;

	if (len && s[len - 1] == '.')
		len--;
	if (len < n || (len > n && s[len - n - 1] != '.'))
		return false;
	for (size_t i = 0; i < n; i++)
		if (ts_name_lower(s[len - n + i]) != word[i])
			return false;
	return true;
}

bool ts_name_is_short(const char *s, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++)
		if (s[i] == '.')
			return false;
	return true;
}

bool ts_name_is_possible(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = ts_name_lower(s[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
			return false;
	}
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool ts_name_unescape(const char *s, char out[TS_NAME_MAX + 2])
{
	bool escaped = false;
	size_t len = 0;

	for (; *s && len <= TS_NAME_MAX; s++) {
		char c = *s;

		if (c == '\\' && s[1]) {
			escaped = true;
			c = *++s;
			if (is_digit(s[0]) && is_digit(s[1]) && is_digit(s[2])) {
				c = (char)((s[0] - '0') * 100 + (s[1] - '0') * 10 + s[2] - '0');
				s += 2;
			}
		}
		out[len++] = c ? c : '?';
	}
	out[len] = '\0';
	return escaped && !*s;
}

struct label {
	const char *at, *end;
};

/* A number up to `max` at the start of the label; it has a digit, and no leading zero unless it is `base` 16 or just 0. */
static bool take_number(struct label *l, unsigned base, uint64_t max, uint64_t *out)
{
	const char *first = l->at;

	for (*out = 0; l->at < l->end; l->at++) {
		char c = ts_name_lower(*l->at);
		unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;

		if (digit >= base)
			break;
		*out = *out * base + digit;
		if (*out > max)
			return false;
	}
	return l->at > first && (base == 16 || *first != '0' || l->at == first + 1);
}

static bool take_word(struct label *l, const char *word)
{
	for (; *word; word++, l->at++)
		if (l->at == l->end || ts_name_lower(*l->at) != *word)
			return false;
	return true;
}

bool ts_name_via(const char *s, size_t len, uint8_t ip[16])
{
	static const uint8_t prefix[8] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0x0b, 0x1a };
	const char *dot = memchr(s, '.', len);
	struct label l = { s, dot ? dot : s + len }, hex;
	bool is_hex;
	uint64_t n;

	memcpy(ip, prefix, sizeof(prefix));
	for (int i = 0; i < 4; i++) {
		if (!take_number(&l, 10, 255, &n) || !take_word(&l, i < 3 ? "-" : "-via-"))
			return false;
		ip[12 + i] = (uint8_t)n;
	}
	hex = l;
	is_hex = take_word(&hex, "0x");
	if (is_hex)
		l = hex;
	if (!take_number(&l, is_hex ? 16 : 10, UINT32_MAX, &n) || l.at != l.end)
		return false;
	for (int i = 0; i < 4; i++)
		ip[8 + i] = (uint8_t)(n >> (24 - 8 * i));
	return true;
}
