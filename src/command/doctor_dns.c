/* SPDX-License-Identifier: MIT */
/* tsproxy doctor: who is asked for names that no node has. */
#include <stdio.h>
#include <string.h>

#include "doctor.h"

static void one_route(struct ts_doctor *d, const char *suffix)
{
	struct ts_explained e;
	char text[512];

	ts_explain(&d->conf, &d->map, suffix, &e);
	if (e.why != TS_WHY_SPLIT)
		return;
	if (e.split.count)
		ts_doctor_add(d, TS_OK, "dns", "%s: %s\n", suffix, ts_explain_text(&d->map, &e, text, sizeof(text)));
	else
		ts_doctor_add(d, TS_WARN, "dns", "%s: its name servers support only DNS over HTTPS, so its names are not resolved\n"
						 "use one that supports DNS: --dns-route %s=ADDRESS", suffix, suffix);
}

/* The daemon's own resolver has an address only where the kernel has the tailnet. */
static void system_resolver(struct ts_doctor *d)
{
	FILE *f = fopen("/etc/resolv.conf", "re");
	char line[512], at[TS_ADDR_TEXT_MAX];
	struct ts_addr a;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "nameserver %63s", at) == 1 && ts_addr_parse(at, strlen(at), &a) && ts_ip_is_tailscale_service(a.ip))
			ts_doctor_add(d, TS_WARN, "dns", "/etc/resolv.conf lists %s, which does not exist with a userspace daemon: names outside "
				      "the tailnet cannot be resolved\nlist a server that can be reached", at);
	if (f)
		fclose(f);
}

void ts_doctor_dns(struct ts_doctor *d)
{
	char suffix[TS_NAME_MAX + 3], last[sizeof(suffix)] = "";
	const char *list = d->conf.dns_route;
	struct ts_conf_dns_route own;
	struct ts_map_dns_route r;
	bool bad;

	if (!d->have_map || ts_map_header(&d->map).flags & TS_MAP_TUN)
		return;
	system_resolver(d);
	while (ts_conf_next_dns_route(&list, &own, &bad)) {
		ts_tool_printable(own.suffix, own.suffix_len, suffix, sizeof(suffix));
		if (strcmp(suffix, last) != 0)
			one_route(d, suffix);
		strcpy(last, suffix);
	}
	for (uint32_t i = 0; i < TS_FINDINGS_MAX / 4 && ts_walk_dns_route(&d->map, i, &r); i++) {
		ts_walk_text(&d->map, r.suffix, suffix, sizeof(suffix));
		/* A suffix's servers stand together. */
		if (strcmp(suffix, last) != 0)
			one_route(d, suffix);
		strcpy(last, suffix);
	}
}
