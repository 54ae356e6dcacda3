/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a status, JSON or table: parsed, compiled, and the map walked through; a map that is built must be
 * valid.
 */
#include <stdint.h>
#include <stdlib.h>

#include "tsproxy/map.h"
#include "tsproxy/settings.h"
#include "tsproxy/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void walk(const struct ts_map *m, const struct ts_tailnet *tn)
{
	struct ts_map_answer a;
	struct ts_map_range r;

	for (size_t i = 0; i < tn->node_count; i++) {
		ts_map_find_name(m, tn->nodes[i].fqdn.p ? tn->nodes[i].fqdn.p : "", tn->nodes[i].fqdn.len, &a);
		ts_map_find_name(m, tn->nodes[i].label.p ? tn->nodes[i].label.p : "", tn->nodes[i].label.len, &a);
	}
	for (size_t i = 0; i < tn->ip_count; i++) {
		ts_map_find_addr(m, tn->ips[i].ip, &a);
		ts_map_find_range(m, tn->ips[i].ip, &r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ts_map_settings set = { 0 };
	char why[TS_STATUS_WHY_MAX];
	struct ts_tailnet tn;
	uint8_t *out;
	size_t out_len;

	if (ts_status_parse((const char *)data, len, &tn, why) == 0 && ts_map_build(&tn, &set, &out, &out_len) == 0) {
		struct ts_map m = { out, out_len, NULL };

		if (ts_map_check(&m) != 0)
			abort();
		walk(&m, &tn);
		free(out);
	}
	ts_tailnet_free(&tn);
	return 0;
}
