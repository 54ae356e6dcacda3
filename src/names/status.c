/* SPDX-License-Identifier: MIT */
/* The choice of a parser for a status. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tsproxy/status.h"

int ts_status_parse(const char *text, size_t len, struct ts_tailnet *out, char why[TS_STATUS_WHY_MAX])
{
	size_t at = 0;

	memset(out, 0, sizeof(*out));
	while (at < len && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r'))
		at++;
	if (at == len) {
		snprintf(why, TS_STATUS_WHY_MAX, "it is empty");
		return -EBADMSG;
	}
	if (text[at] == '{')
		return ts_status_parse_json(text + at, len - at, out, why);
	return ts_status_parse_text(text, len, out, why);
}
