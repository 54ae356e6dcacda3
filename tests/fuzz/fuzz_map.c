/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a map file. The checksums are set right first: they guard against accidents, not against somebody who
 * writes maps, and without that no input would get past them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "names/map_write.h"
#include "tsproxy/map.h"
#include "tsproxy/split.h"
#include "tsproxy/tool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void look_up(const struct ts_map *m)
{
	static const char long_label[TS_NAME_MAX + 1] = { [0 ... TS_NAME_MAX - 1] = 'a' };
	static const char *const names[] = { "jawnsy-tailscale-1", "a.tail1234.ts.net.", "b.a.tail1234.ts.net", "x", "",
					     long_label,           long_label + 1 };
	char text[TS_NAME_MAX + 1], small[4];
	struct ts_map_answer a;
	struct ts_map_range r;
	struct ts_endpoint e;
	struct ts_split split;
	uint8_t ip[16] = { 0 };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		ts_map_find_name(m, names[i], strlen(names[i]), &a);
		ts_map_name_under_suffix(m, names[i], strlen(names[i]));
		ts_map_name_remote(m, names[i], strlen(names[i]));
		ts_map_find_split(m, names[i], strlen(names[i]), &split);
	}
	ts_map_find_addr(m, ip, &a);
	ts_map_find_range(m, ip, &r);
	memset(ip, 0xff, sizeof(ip));
	ts_map_find_range(m, ip, &r);
	for (unsigned i = 0; i < 4; i++)
		ts_map_endpoint(m, i, &e);
	ts_map_suffix(m, text);
	ts_map_str(m, ts_map_header(m).suffix, small, sizeof(small));
}

static void walk(const struct ts_map *m)
{
	char text[300], span[TS_RANGE_TEXT_MAX];
	struct ts_map_answer a;
	struct ts_map_node n;
	struct ts_map_addr addr;
	struct ts_map_name name;
	struct ts_map_range r;
	struct ts_map_str s;

	for (uint32_t i = 0; i < 64 && ts_walk_node(m, i, &n); i++)
		ts_walk_text(m, n.fqdn, text, sizeof(text));
	for (uint32_t i = 0; i < 64 && ts_walk_addr(m, i, &addr); i++)
		ts_map_find_addr(m, addr.ip, &a);
	for (uint32_t i = 0; i < 64 && ts_walk_name(m, i, &name); i++)
		ts_map_find_name(m, text, ts_map_str(m, name.name, text, sizeof(text)) % sizeof(text), &a);
	for (uint32_t i = 0; i < 64 && ts_walk_range(m, i, &r); i++)
		ts_walk_range_text(&r, span);
	for (uint32_t i = 0; i < 64 && ts_walk_remote(m, i, &s); i++)
		ts_walk_text(m, s, text, sizeof(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct ts_map_proof proof = { .blocks = { 0 } };
	struct ts_map m = { copy, len, NULL }, unproven = { copy, len, &proof };

	if (!copy)
		return 0;
	memcpy(copy, data, len);
	if (len >= sizeof(struct ts_map_header))
		ts_map_seal(copy, len);
	if (ts_map_check(&m) == 0) {
		look_up(&m);
		walk(&m);
	}
	if (ts_map_check(&unproven) == 0)
		look_up(&unproven);
	free(copy);
	return 0;
}
