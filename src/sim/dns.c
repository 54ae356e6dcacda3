/* SPDX-License-Identifier: MIT */
/* Split DNS as the daemon tells of it (LocalAPI's dns-config): suffixes and their servers, as --dns-route named them. */
#include <errno.h>
#include <string.h>

#include "sim.h"

#define ROUTES_MAX 32

static struct route {
	char suffix[TS_SIM_NAME_MAX + 1];
	char server[TS_SIM_NAME_MAX + 1];	/* "": there is none */
} routes[ROUTES_MAX];
static unsigned count;

int ts_sim_dns_add(const char *spec)
{
	const char *eq = strchr(spec, '=');
	size_t len = eq ? (size_t)(eq - spec) : 0;

	if (!eq || len > TS_SIM_NAME_MAX || strlen(eq + 1) > TS_SIM_NAME_MAX || count == ROUTES_MAX)
		return -EINVAL;
	memcpy(routes[count].suffix, spec, len);
	strcpy(routes[count++].server, eq + 1);
	return 0;
}

static bool is_first(unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (strcmp(routes[k].suffix, routes[i].suffix) == 0)
			return false;
	return true;
}

/* tailcfg.DNSConfig; laid out as dns-config does, or as in the network map. */
void ts_sim_dns_write(FILE *f, bool one_line)
{
	const char *line = one_line ? "" : "\n\t", *deeper = one_line ? "" : "\n\t\t";
	bool any = false, server;

	fprintf(f, "{%s\"Routes\":{", line);
	for (unsigned i = 0; i < count; i++) {
		if (!is_first(i))
			continue;
		fprintf(f, "%s%s\"%s\":[", any ? "," : "", deeper, routes[i].suffix);
		any = true;
		server = false;
		for (unsigned k = i; k < count; k++) {
			if (strcmp(routes[k].suffix, routes[i].suffix) != 0 || !routes[k].server[0])
				continue;
			fprintf(f, "%s{\"Addr\":\"%s\"}", server ? "," : "", routes[k].server);
			server = true;
		}
		fputs("]", f);
	}
	fprintf(f, "%s},%s\"Domains\":[\"%s\"],%s\"Proxied\":true%s}%s", any ? line : "", line, ts_sim_world.suffix, line,
		one_line ? "" : "\n", one_line ? "" : "\n");
}
