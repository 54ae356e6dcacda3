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

/* tailcfg.DNSConfig */
void ts_sim_dns_write(FILE *f)
{
	bool any = false, server;

	fputs("{\n\t\"Routes\": {", f);
	for (unsigned i = 0; i < count; i++) {
		if (!is_first(i))
			continue;
		fprintf(f, "%s\n\t\t\"%s\": [", any ? "," : "", routes[i].suffix);
		any = true;
		server = false;
		for (unsigned k = i; k < count; k++) {
			if (strcmp(routes[k].suffix, routes[i].suffix) != 0 || !routes[k].server[0])
				continue;
			fprintf(f, "%s\n\t\t\t{\n\t\t\t\t\"Addr\": \"%s\"\n\t\t\t}", server ? "," : "", routes[k].server);
			server = true;
		}
		fputs(server ? "\n\t\t]" : "]", f);
	}
	fprintf(f, "%s},\n\t\"Domains\": [\n\t\t\"%s\"\n\t],\n\t\"Proxied\": true\n}\n", any ? "\n\t" : "", ts_sim_world.suffix);
}
