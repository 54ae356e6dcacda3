/* SPDX-License-Identifier: MIT */
/*
 * Options, signals, and the line that says "ready". A file of options (--config) holds the same, one a line without
 * the dashes, so there is one description of a world wherever it is kept.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "sim.h"

#define LISTENERS_MAX 16

struct listener_spec {
	enum ts_sim_kind kind;
	struct ts_addr addr, forward;
	char peer[64];
};

static struct listener_spec specs[LISTENERS_MAX];
static unsigned spec_count;
static const char *localapi_path;
static bool status_only;

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
"  --map IP:PORT=IP:PORT where a node's port is (default 127.0.0.1, same port)\n"
"  --others direct|refuse  what is no node\n"
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
	if (spec_count == LISTENERS_MAX)
		return -EINVAL;
	specs[spec_count].kind = kind;
	return parse_listen(arg, &specs[spec_count++].addr);
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

	if (!colon || !eq || eq < colon || (size_t)(colon - arg) >= sizeof(specs->peer) ||
	    (size_t)(eq - colon) > sizeof(port) || spec_count == LISTENERS_MAX)
		return -EINVAL;
	memcpy(specs[spec_count].peer, arg, (size_t)(colon - arg));
	memcpy(port, colon + 1, (size_t)(eq - colon - 1));
	port[eq - colon - 1] = '\0';
	if (parse_listen(eq + 1, &specs[spec_count].forward) < 0)
		return -EINVAL;
	return add_listener(TS_SIM_INBOUND, port);
}

static int opt_localapi(const char *arg)
{
	localapi_path = arg;
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

static bool die_with_parent;

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
	{ "no-udp", NULL, &ts_sim_world.no_udp }, { "honest-codes", NULL, &ts_sim_world.honest_codes },
	{ "backlog-full", NULL, &ts_sim_backlog_full }, { "status-json", NULL, &status_only },
	{ "verbose", NULL, &ts_sim_verbose }, { "die-with-parent", NULL, &die_with_parent },
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
		fprintf(stderr, "tsproxy-sim: no option \"%s\"; --help lists them\n", name);
	else if (o->fn && !arg)
		fprintf(stderr, "tsproxy-sim: %s needs a value\n", name);
	else if (o->fn && (err = o->fn(arg)) < 0)
		fprintf(stderr, "tsproxy-sim: %s: cannot use \"%s\"\n", name, arg);
	else if (!o->fn)
		*o->flag = true;
	return o && !o->fn ? 0 : err;
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
		/* What is kept of it is kept for good, so it is never freed. */
		err = apply(name, *arg ? strdup(arg) : NULL);
	}
	fclose(f);
	return err;
}

static int parse(char **argv)
{
	for (argv++; *argv; argv++) {
		char *name = *argv + 2, *eq = strchr(*argv, '=');
		const struct option *o;
		int err;

		if (strcmp(*argv, "--help") == 0) {
			fputs(usage, stdout);
			exit(0);
		}
		if (strncmp(*argv, "--", 2) != 0) {
			fprintf(stderr, "tsproxy-sim: \"%s\" is no option; --help lists them\n", *argv);
			return -EINVAL;
		}
		if (eq)
			*eq = '\0';
		o = find_option(name);
		err = apply(name, eq ? eq + 1 : o && o->fn && argv[1] ? *++argv : NULL);
		if (err)
			return err;
	}
	return 0;
}

static void on_signal(struct ts_sim_event *ev, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	if (read(ev->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1)
		ts_sim_stats_write();
	else if (info.ssi_signo == SIGUSR2)
		ts_sim_backlog_release();
	else
		ts_sim_loop_stop();
}

static int watch_signals(struct ts_sim_event *ev)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ev->fn = on_signal;
	ev->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (ev->fd < 0)
		return -errno;
	ts_sim_watch(ev, EPOLLIN);
	return 0;
}

static int listen_all(void)
{
	static const char *const names[] = { "", "socks5", "http", "proxy", "inbound" };
	char text[TS_ADDR_TEXT_MAX];

	if (!spec_count) {
		opt_socks5("1080");
		opt_http("3128");
	}
	printf("ready");
	for (unsigned i = 0; i < spec_count; i++) {
		struct ts_sim_listener *l = ts_sim_listen(specs[i].kind, &specs[i].addr);

		if (!l) {
			ts_addr_format(&specs[i].addr, text);
			fprintf(stderr, "\ntsproxy-sim: cannot listen on %s: %s\n", text, strerror(errno));
			return -EADDRINUSE;
		}
		if (specs[i].kind == TS_SIM_INBOUND) {
			l->forward = specs[i].forward;
			l->peer = ts_sim_world_node_named(specs[i].peer);
			if (!l->peer) {
				fprintf(stderr, "\ntsproxy-sim: no node %s\n", specs[i].peer);
				return -EINVAL;
			}
		}
		ts_addr_format(&l->addr, text);
		printf(" %s=%s", names[specs[i].kind], text);
	}
	if (localapi_path) {
		int err = ts_sim_localapi_listen(localapi_path);

		if (err < 0) {
			fprintf(stderr, "\ntsproxy-sim: cannot listen on %s: %s\n", localapi_path, strerror(-err));
			return err;
		}
		printf(" localapi=%s", localapi_path);
	}
	printf("\n");
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	struct ts_sim_event signals = { .fd = -1 };
	struct rlimit files;
	int err;

	(void)argc;
	if (parse(argv) < 0)
		return 2;
	if (ts_sim_world.user && !ts_sim_world.pass)
		ts_sim_world.pass = "";
	ts_sim_world_finish();
	if (status_only) {
		ts_sim_status_write(stdout);
		return 0;
	}
	if (die_with_parent)
		prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	err = ts_sim_loop_init();
	if (!err)
		err = watch_signals(&signals);
	if (!err)
		err = listen_all();
	if (!err)
		err = ts_sim_loop_run();
	ts_sim_stats_write();
	ts_sim_localapi_close();
	return err ? 1 : 0;
}
