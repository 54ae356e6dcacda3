/* SPDX-License-Identifier: MIT */
/*
 * Options. A file of them (--config) holds the same, one a line without the dashes, so that there is one description
 * of a world wherever it is kept.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

struct ts_sim_options ts_sim_options;

static int read_config(const char *path);

static const char usage[] =
"tsproxy-sim [OPTION]...   a simulated tailnet on loopback\n"
"listening (default: --socks5 1080 --http 3128)\n"
"  --socks5 [HOST:]PORT  --http [HOST:]PORT  --proxy [HOST:]PORT (both protocols)  PORT 0: any\n"
"  --localapi PATH       status and whois on a unix socket\n"
"  --inbound PEER:PORT=PORT  what connects to 127.0.0.1:PORT is node PEER connecting to this node's second PORT\n"
"the tailnet (default: the guide's three nodes)\n"
"  --node NAME,IP[,IP6][,OS][,FLAG|route=CIDR|host=TEXT]...\n"
"                        flags: self offline silent exit exitoption sharee expired nodns real\n"
"  --many N              N more nodes          --suffix SUFFIX       MagicDNS suffix\n"
"  --state STATE         BackendState          --tun --no-magicdns   as the status says it\n"
"  --extra NAME=IP       an ExtraRecord        --name NAME=IP        known to the daemon's host\n"
"  --accept-routes yes|no  whether this node takes its peers' subnet routes (yes)\n"
"  --dns-route SUFFIX=[SERVER]  of the tailnet's split DNS        --accept-dns yes|no  whether this node takes it (yes)\n"
"  --old-api             the LocalAPI of a daemon before 1.98\n"
"  --map IP:PORT=IP:PORT where a node's port is (default 127.0.0.1, same port)\n"
"  --others direct|refuse  for addresses of no node\n"
"behaviour\n"
"  --user NAME --pass WORD   --no-pipeline  --one-write  --no-udp  --honest-codes  --dial-timeout MS\n"
"  --greeting eof|rst|garbage|refuse|never   --greeting-delay MS\n"
"  --backlog-full        queue full, nothing accepted until SIGUSR2\n"
"  --delay MS            = --fault '*,delay=MS'\n"
"  --fault TARGET,KEY[=VALUE]...   TARGET: * PORT IP IP:PORT [IP6]:PORT\n"
"        delay=MS reply=CODE dribble=BYTES/MS pace=BYTES/MS cut=N eof=N rst=N (bytes from the reply's start)\n"
"        bnd=true|zero|ipv4|ipv6|domain/LEN garbage glue never half-close=on|off\n"
"other\n"
"  --config FILE (options, one a line)  --stats FILE (JSON, at SIGUSR1 and at the end)  --status-json  --verbose\n"
"  --die-with-parent\n";

static int parse_listen(const char *s, struct ts_addr *out)
{
	static const uint8_t localhost[4] = { 127, 0, 0, 1 };
	size_t len = strlen(s);

	if (strcmp(s, "0") == 0) {
		ts_addr_set4(out, localhost, 0);
		return 0;
	}
	if (len > 2 && strcmp(s + len - 2, ":0") == 0) {
		bool bracket = s[0] == '[' && s[len - 3] == ']';

		return ts_addr_parse(s + bracket, len - 2 - 2u * bracket, out) ? 0 : -EINVAL;
	}
	return ts_addr_parse_hostport(s, len, out) ? 0 : -EINVAL;
}

static int add_listener(enum ts_sim_kind kind, const char *arg)
{
	if (ts_sim_options.listen_count == TS_SIM_LISTEN_MAX)
		return -EINVAL;
	ts_sim_options.listen[ts_sim_options.listen_count].kind = kind;
	return parse_listen(arg, &ts_sim_options.listen[ts_sim_options.listen_count++].addr);
}

static int opt_socks5(const char *arg)
{
	return add_listener(TS_SIM_SOCKS, arg);
}

static int opt_http(const char *arg)
{
	return add_listener(TS_SIM_HTTP, arg);
}

static int opt_proxy(const char *arg)
{
	return add_listener(TS_SIM_MIXED, arg);
}

/* PEER:PORT=PORT */
static int opt_inbound(const char *arg)
{
	const char *colon = strchr(arg, ':'), *eq = strchr(arg, '=');
	char port[16];

	if (!colon || !eq || eq < colon || (size_t)(colon - arg) >= sizeof(ts_sim_options.listen->peer) ||
	    (size_t)(eq - colon) > sizeof(port) || ts_sim_options.listen_count == TS_SIM_LISTEN_MAX)
		return -EINVAL;
	memcpy(ts_sim_options.listen[ts_sim_options.listen_count].peer, arg, (size_t)(colon - arg));
	memcpy(port, colon + 1, (size_t)(eq - colon - 1));
	port[eq - colon - 1] = '\0';
	if (parse_listen(eq + 1, &ts_sim_options.listen[ts_sim_options.listen_count].forward) < 0)
		return -EINVAL;
	return add_listener(TS_SIM_INBOUND, port);
}

static int opt_localapi(const char *arg)
{
	ts_sim_options.localapi_path = arg;
	return 0;
}

static int opt_suffix(const char *arg)
{
	if (strlen(arg) > TS_SIM_NAME_MAX - 64)
		return -EINVAL;
	strcpy(ts_sim_world.suffix, arg);
	return 0;
}

static int opt_state(const char *arg)
{
	if (strlen(arg) >= sizeof(ts_sim_world.state))
		return -EINVAL;
	strcpy(ts_sim_world.state, arg);
	return 0;
}

static int opt_others(const char *arg)
{
	ts_sim_world.refuse_others = strcmp(arg, "refuse") == 0;
	return ts_sim_world.refuse_others || strcmp(arg, "direct") == 0 ? 0 : -EINVAL;
}

static int opt_accept_routes(const char *arg)
{
	ts_sim_world.no_accept_routes = strcmp(arg, "no") == 0;
	return ts_sim_world.no_accept_routes || strcmp(arg, "yes") == 0 ? 0 : -EINVAL;
}

static int opt_accept_dns(const char *arg)
{
	ts_sim_world.no_accept_dns = strcmp(arg, "no") == 0;
	return ts_sim_world.no_accept_dns || strcmp(arg, "yes") == 0 ? 0 : -EINVAL;
}

static int opt_user(const char *arg)
{
	ts_sim_world.user = arg;
	return 0;
}

static int opt_pass(const char *arg)
{
	ts_sim_world.pass = arg;
	return 0;
}

static int number(const char *arg, unsigned *out)
{
	char *end;
	unsigned long v = strtoul(arg, &end, 10);

	*out = (unsigned)v;
	return *arg && !*end && v < 0x7fffffff ? 0 : -EINVAL;
}

static int opt_dial_timeout(const char *arg)
{
	return number(arg, &ts_sim_world.dial_timeout_ms);
}

static int opt_greeting_delay(const char *arg)
{
	return number(arg, &ts_sim_greeting_delay_ms);
}

static int opt_greeting(const char *arg)
{
	static const char *const names[] = { "normal", "eof", "rst", "garbage", "refuse", "never" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(arg, names[i]) == 0) {
			ts_sim_greeting = (enum ts_sim_greeting)i;
			return 0;
		}
	return -EINVAL;
}

static int opt_delay(const char *arg)
{
	char rule[64];

	return snprintf(rule, sizeof(rule), "*,delay=%s", arg) < (int)sizeof(rule) ? ts_sim_fault_add(rule) : -EINVAL;
}

static int opt_stats(const char *arg)
{
	ts_sim_stats_file = arg;
	return 0;
}

static const struct option {
	const char *name;
	int (*fn)(const char *arg);	/* null: a flag */
	bool *flag;
} options[] = {
	{ "socks5", opt_socks5, NULL }, { "http", opt_http, NULL }, { "proxy", opt_proxy, NULL },
	{ "inbound", opt_inbound, NULL }, { "localapi", opt_localapi, NULL }, { "node", ts_sim_world_add_node, NULL },
	{ "many", ts_sim_world_add_many, NULL }, { "suffix", opt_suffix, NULL }, { "state", opt_state, NULL },
	{ "extra", ts_sim_world_add_extra, NULL }, { "name", ts_sim_world_add_name, NULL },
	{ "map", ts_sim_world_add_map, NULL }, { "others", opt_others, NULL }, { "user", opt_user, NULL },
	{ "pass", opt_pass, NULL }, { "dial-timeout", opt_dial_timeout, NULL }, { "greeting", opt_greeting, NULL },
	{ "greeting-delay", opt_greeting_delay, NULL }, { "delay", opt_delay, NULL }, { "fault", ts_sim_fault_add, NULL },
	{ "config", read_config, NULL }, { "stats", opt_stats, NULL },
	{ "tun", NULL, &ts_sim_world.tun }, { "no-magicdns", NULL, &ts_sim_world.no_magicdns },
	{ "no-pipeline", NULL, &ts_sim_world.no_pipeline }, { "one-write", NULL, &ts_sim_world.one_write },
	{ "accept-routes", opt_accept_routes, NULL }, { "accept-dns", opt_accept_dns, NULL }, { "dns-route", ts_sim_dns_add, NULL },
	{ "no-udp", NULL, &ts_sim_world.no_udp }, { "old-api", NULL, &ts_sim_world.old_api }, { "honest-codes", NULL, &ts_sim_world.honest_codes },
	{ "backlog-full", NULL, &ts_sim_backlog_full }, { "status-json", NULL, &ts_sim_options.status_only },
	{ "verbose", NULL, &ts_sim_verbose }, { "die-with-parent", NULL, &ts_sim_options.die_with_parent },
};

static const struct option *find_option(const char *name)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (strcmp(name, options[i].name) == 0)
			return &options[i];
	return NULL;
}

static int apply(const char *name, const char *arg)
{
	const struct option *o = find_option(name);
	int err = -EINVAL;

	if (!o)
		fprintf(stderr, "tsproxy-sim: unknown option \"%s\"; see --help\n", name);
	else if (o->fn && !arg)
		fprintf(stderr, "tsproxy-sim: %s needs a value\n", name);
	else if (o->fn && (err = o->fn(arg)) < 0)
		fprintf(stderr, "tsproxy-sim: %s: cannot use \"%s\"\n", name, arg);
	else if (!o->fn)
		*o->flag = true;
	return o && !o->fn ? 0 : err;
}

/* The value of a line in a file: options may keep pointers to it, so it lives as long as the program. */
static const char *keep(const char *text)
{
	static struct kept {
		struct kept *next;
		char text[];
	} *all;
	struct kept *k = ts_sim_alloc(sizeof(*k) + strlen(text) + 1);

	strcpy(k->text, text);
	k->next = all;
	all = k;
	return k->text;
}

static int read_config(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[1024];
	int err = 0;

	if (!f)
		return -errno;
	while (!err && fgets(line, sizeof(line), f)) {
		char *name = line + strspn(line, " \t"), *arg;

		name[strcspn(name, "\r\n#")] = '\0';
		if (!*name)
			continue;
		arg = name + strcspn(name, " \t=");
		if (*arg)
			*arg++ = '\0';
		arg += strspn(arg, " \t=");
		err = apply(name, *arg ? keep(arg) : NULL);
	}
	fclose(f);
	return err;
}

int ts_sim_options_apply(const char *name, const char *value)
{
	static const char *const changing[] = { "node", "many", "suffix", "state", "extra", "name", "map", "fault", "tun",
						"no-magicdns", "accept-routes", "accept-dns", "dns-route" };

	for (size_t i = 0; i < sizeof(changing) / sizeof(*changing); i++)
		if (strcmp(changing[i], name) == 0)
			return apply(name, keep(value));
	return -EINVAL;
}

int ts_sim_options_parse(char **argv)
{
	for (argv++; *argv; argv++) {
		char *name = *argv + 2, *eq = strchr(*argv, '=');
		const struct option *o;
		int err;

		if (strcmp(*argv, "--help") == 0) {
			fputs(usage, stdout);
			return 1;
		}
		if (strncmp(*argv, "--", 2) != 0) {
			fprintf(stderr, "tsproxy-sim: unknown option \"%s\"; see --help\n", *argv);
			return -EINVAL;
		}
		if (eq)
			*eq = '\0';
		o = find_option(name);
		err = apply(name, eq ? eq + 1 : o && o->fn && argv[1] ? *++argv : NULL);
		if (err)
			return err;
	}
	if (!ts_sim_options.listen_count) {
		opt_socks5("1080");
		opt_http("3128");
	}
	return 0;
}
