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
