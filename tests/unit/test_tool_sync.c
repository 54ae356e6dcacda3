/* SPDX-License-Identifier: MIT */
/*
 * Making the map from end to end: proxies of every kind are found for what they are, failures leave the old map and are
 * told in one line each, each line another. The proxies are small servers of our own; runs in a private network
 * namespace.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "tsproxy/credentials.h"
#include "tsproxy/tool.h"
#include "unit.h"

extern char **environ;

enum trait {
	SOCKS = 1,
	HTTP = 2,
	PIPELINE = 4,
	BND = 8,
	UDP = 16,
	AUTH = 32,
	SILENT = 64,
	REFUSES = 128,
	GARBAGE = 256,
	WEB = 512,
	SLOW = 1024,
	CLOSES = 2048,
};

static pid_t servers[8];
static unsigned server_count;

static bool read_n(int c, uint8_t *p, size_t n)
{
	for (size_t have = 0; have < n;) {
		ssize_t r = read(c, p + have, n - have);

		if (r <= 0)
			return false;
		have += (size_t)r;
	}
	return true;
}

static void put(int c, const void *p, size_t n)
{
	if (write(c, p, n) != (ssize_t)n)
		_exit(1);
}

static int dial4(const uint8_t ip[4], const uint8_t port[2], struct sockaddr_in *local)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(*local);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	memcpy(&in.sin_addr, ip, 4);
	memcpy(&in.sin_port, port, 2);
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) != 0)
		return -1;
	getsockname(fd, (struct sockaddr *)local, &len);
	return fd;
}

static void wait_for_end(int c)
{
	char byte;

	while (read(c, &byte, 1) > 0)
		;
	_exit(0);
}

static void serve_socks(int c, unsigned traits)
{
	uint8_t in[600], reply[10] = { 5, 0, 0, 1 };
	struct sockaddr_in local = { 0 };

	if (traits & PIPELINE) {
		if (!read_n(c, in, 2) || !read_n(c, in + 2, in[1]))
			_exit(0);
	} else if (read(c, in, sizeof(in)) < 3) {
		/* As microsocks: whatever came with the greeting is thrown away. */
		_exit(0);
	}
	if (in[0] != 5)
		_exit(0);
	if (!memchr(in + 2, traits & AUTH ? 2 : 0, in[1])) {
		put(c, "\5\xff", 2);
		_exit(0);
	}
	put(c, traits & AUTH ? "\5\2" : "\5\0", 2);
	if (traits & AUTH) {
		bool good = read_n(c, in, 2) && read_n(c, in + 2, in[1] + 1u) &&
			    read_n(c, in + 3 + in[1], in[2 + in[1]]) && memcmp(in, "\1\4user\2pw", 9) == 0;

		put(c, good ? "\1\0" : "\1\1", 2);
		if (!good)
			_exit(0);
	}
	if (!read_n(c, in, 10))
		_exit(0);
	if (traits & SLOW)
		wait_for_end(c);
	if (in[1] == 3)
		reply[1] = traits & UDP ? 0 : 7;
	else if (traits & REFUSES || dial4(in + 4, in + 8, &local) < 0)
		reply[1] = 1;
	if (traits & BND) {
		memcpy(reply + 4, &local.sin_addr, 4);
		memcpy(reply + 8, &local.sin_port, 2);
	}
	put(c, reply, 10);
	wait_for_end(c);
}

static void serve_http(int c, unsigned traits, char first)
{
	char in[2000] = { first };
	struct sockaddr_in local;
	unsigned port;
	size_t have = 1;
	uint8_t be[2];

	while (have < 4 || memcmp(in + have - 4, "\r\n\r\n", 4) != 0)
		if (read(c, in + have, 1) != 1 || ++have == sizeof(in))
			_exit(0);
	in[have - 1] = '\0';
	if (traits & AUTH && !strstr(in, "\r\nProxy-Authorization: Basic dXNlcjpwdw==\r\n")) {
		put(c, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", 46);
		_exit(0);
	}
	if (traits & WEB || sscanf(in, "CONNECT 127.0.0.1:%u HTTP/1.1\r\n", &port) != 1) {
		put(c, "HTTP/1.1 405 Method Not Allowed\r\n\r\n", 35);
		_exit(0);
	}
	if (traits & REFUSES) {
		put(c, "HTTP/1.1 500 x\r\nTailscale-Connect-Error: connection was refused\r\n\r\n", 67);
		_exit(0);
	}
	be[0] = (uint8_t)(port >> 8);
	be[1] = (uint8_t)port;
	if (dial4((const uint8_t[]){ 127, 0, 0, 1 }, be, &local) < 0)
		_exit(1);
	put(c, "HTTP/1.1 200 OK\r\n\r\n", 19);
	wait_for_end(c);
}

static void serve(int c, unsigned traits)
{
	uint8_t first = 0;

	if (traits & CLOSES)
		_exit(0);
	if (traits & GARBAGE) {
		put(c, "SSH-2.0-OpenSSH_9.2\r\n", 21);
		wait_for_end(c);
	}
	if (traits & SILENT || recv(c, &first, 1, MSG_PEEK) != 1)
		wait_for_end(c);
	if (first == 5 && traits & SOCKS)
		serve_socks(c, traits);
	if (first != 5 && traits & (HTTP | WEB) && read(c, &first, 1) == 1)
		serve_http(c, traits, (char)first);
	/* A Go HTTP server waits for the end of a line, a SOCKS server hangs up. */
	if (first == 5)
		wait_for_end(c);
	_exit(0);
}

static int listen_on(unsigned port, unsigned *got)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	socklen_t len = sizeof(in);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	ck_assert_msg(bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0, "port %u: %s", port, strerror(errno));
	ck_assert_int_eq(listen(fd, 16), 0);
	getsockname(fd, (struct sockaddr *)&in, &len);
	*got = ntohs(in.sin_port);
	return fd;
}

static unsigned start(unsigned port, unsigned traits)
{
	int fd = listen_on(port, &port);
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		signal(SIGCHLD, SIG_IGN);
		for (;;) {
			int c = accept(fd, NULL, NULL);

			if (c >= 0 && fork() == 0)
				serve(c, traits);
			close(c);
		}
	}
	setpgid(pid, pid);
	close(fd);
	servers[server_count++] = pid;
	return port;
}

static void stop_servers(void)
{
	while (server_count) {
		kill(-servers[--server_count], SIGKILL);
		/* Those that serve a connection hold the port too. */
		while (waitpid(-servers[server_count], NULL, 0) > 0)
			;
	}
}

static const char *const variables[] = {
	"TSPROXY_STATUS",    "TSPROXY_SOCKET",  "TSPROXY_PROFILE", "TSPROXY_SOCKS5",      "TSPROXY_HTTP_PROXY",
	"TSPROXY_MAP",       "TSPROXY_ROUTE",   "TSPROXY_EXCLUDE", "TSPROXY_REMOTE_NAME", "TSPROXY_DNS_ROUTE",
	"TSPROXY_EXIT_NODE", "XDG_CONFIG_HOME", "TS_SOCKET",       "ALL_PROXY",           "all_proxy",
	"http_proxy",        "TSPROXY_DISABLE",
};

static const char status[] =
	"{\"BackendState\":\"Running\",\"MagicDNSSuffix\":\"t.ts.net\",\"Peer\":{\"a\":{\"DNSName\":\"a.t.ts.net.\","
	"\"TailscaleIPs\":[\"100.64.0.2\"]}}}";

static void setup(void)
{
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		unsetenv(variables[i]);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	unit_dir_make();
	setenv("HOME", unit_dir, 1);
	setenv("PATH", unit_dir, 1);
	setenv("TSPROXY_PLACE", unit_path("tsproxy"), 1);
	setenv("TSPROXY_STATUS", unit_file("status.json", status, sizeof(status) - 1), 1);
}

static void teardown(void)
{
	stop_servers();
	unit_dir_remove();
}

static struct ts_conf conf;

static int sync_now(const char **said)
{
	int ret;

	ts_conf_load(&conf, environ);
	unit_err_begin();
	ret = ts_sync(&conf);
	*said = unit_err_end();
	return ret;
}

static bool endpoint(unsigned i, struct ts_endpoint *e)
{
	struct ts_map m;
	bool ok;

	ck_assert_int_eq(ts_map_load(conf.map_path, &m), 0);
	ok = ts_map_endpoint(&m, i, e) == 1;
	ts_map_unload(&m);
	return ok;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

static const struct {
	unsigned traits;
	const char *user;
	uint8_t kind;
	enum ts_probe_result result;
	uint8_t flags;
} probes[] = {
	{ SOCKS | PIPELINE | BND | UDP, "", TS_PROXY_SOCKS5, TS_PROBE_OK,
	  TS_PROXY_PIPELINE | TS_PROXY_BND_TRUE | TS_PROXY_UDP },
	{ SOCKS | PIPELINE | UDP, "", TS_PROXY_SOCKS5, TS_PROBE_OK, TS_PROXY_PIPELINE | TS_PROXY_UDP },
	{ SOCKS, "", TS_PROXY_SOCKS5, TS_PROBE_OK, 0 },
	{ SOCKS | BND, "", TS_PROXY_SOCKS5, TS_PROBE_OK, TS_PROXY_BND_TRUE },
	{ SOCKS | REFUSES, "", TS_PROXY_SOCKS5, TS_PROBE_OK, 0 },
	{ SOCKS | REFUSES | PIPELINE, "", TS_PROXY_SOCKS5, TS_PROBE_OK, TS_PROXY_PIPELINE },
	{ SOCKS | SLOW, "", TS_PROXY_SOCKS5, TS_PROBE_OK, 0 },
	{ SOCKS | AUTH, "", TS_PROXY_SOCKS5, TS_PROBE_AUTH, 0 },
	{ SOCKS | AUTH, "wrong", TS_PROXY_SOCKS5, TS_PROBE_AUTH, 0 },
	{ SOCKS | AUTH | BND | UDP, "user", TS_PROXY_SOCKS5, TS_PROBE_OK, TS_PROXY_BND_TRUE | TS_PROXY_UDP },
	{ SILENT, "", TS_PROXY_SOCKS5, TS_PROBE_TIMEOUT, 0 },
	{ SILENT, "", TS_PROXY_HTTP, TS_PROBE_TIMEOUT, 0 },
	{ GARBAGE, "", TS_PROXY_SOCKS5, TS_PROBE_OTHER, 0 },
	{ GARBAGE, "", TS_PROXY_HTTP, TS_PROBE_OTHER, 0 },
	{ CLOSES, "", TS_PROXY_SOCKS5, TS_PROBE_OTHER, 0 },
	{ CLOSES, "", TS_PROXY_HTTP, TS_PROBE_OTHER, 0 },
	{ HTTP, "", TS_PROXY_SOCKS5, TS_PROBE_TIMEOUT, 0 },
	{ HTTP, "", TS_PROXY_HTTP, TS_PROBE_OK, 0 },
	{ HTTP | REFUSES, "", TS_PROXY_HTTP, TS_PROBE_OK, 0 },
	{ HTTP | AUTH, "", TS_PROXY_HTTP, TS_PROBE_AUTH, 0 },
	{ HTTP | AUTH, "user", TS_PROXY_HTTP, TS_PROBE_OK, 0 },
	{ WEB, "", TS_PROXY_HTTP, TS_PROBE_OTHER, 0 },
	{ SOCKS | HTTP | PIPELINE, "", TS_PROXY_HTTP, TS_PROBE_OK, 0 },
	{ SOCKS | HTTP | PIPELINE, "", TS_PROXY_SOCKS5, TS_PROBE_OK, TS_PROXY_PIPELINE },
};

START_TEST(probing)
{
	struct ts_endpoint e = { .kind = probes[_i].kind };
	unsigned port = start(0, probes[_i].traits);
	char at[30];
	int64_t began;

	snprintf(at, sizeof(at), "127.0.0.1:%u", port);
	ck_assert(ts_addr_parse_hostport(at, strlen(at), &e.addr));
	strcpy(e.user, probes[_i].user);
	strcpy(e.pass, probes[_i].user[0] ? "pw" : "");
	began = now_ms();
	ck_assert_int_eq(ts_probe(&e), probes[_i].result);
	ck_assert_int_le(now_ms() - began, TS_PROBE_MS + 100);
	ck_assert_uint_eq(e.flags, probes[_i].flags);
}
END_TEST

START_TEST(probing_nobody)
{
	struct ts_endpoint e = { .kind = TS_PROXY_SOCKS5 };

	ck_assert(ts_addr_parse_hostport("127.0.0.1:9", 11, &e.addr));
	ck_assert_int_eq(ts_probe(&e), TS_PROBE_NOBODY);
}
END_TEST

static const struct {
	unsigned on[3]; /* traits at 1055, 1080, 3128 */
	unsigned port;  /* what is found; 0: nothing */
	uint8_t kind;
	const char *says;
} usual[] = {
	{ { SOCKS | PIPELINE, 0, 0 }, 1055, TS_PROXY_SOCKS5, "" },
	{ { 0, SOCKS | PIPELINE, HTTP }, 1080, TS_PROXY_SOCKS5, "" }, /* the guide's daemon */
	{ { SOCKS, SOCKS, SOCKS }, 1055, TS_PROXY_SOCKS5, "" },
	{ { HTTP, SOCKS, 0 }, 1080, TS_PROXY_SOCKS5, "" },
	{ { 0, 0, HTTP }, 3128, TS_PROXY_HTTP, "" },
	{ { HTTP, 0, 0 }, 1055, TS_PROXY_HTTP, "" },
	{ { GARBAGE, WEB, HTTP }, 3128, TS_PROXY_HTTP, "" },
	{ { 0, 0, 0 }, 0, 0, "no SOCKS5 port found" },
	{ { 0, GARBAGE, 0 }, 0, 0, "the program at 127.0.0.1:1080 is neither a SOCKS5 nor an HTTP proxy" },
	{ { 0, SOCKS | AUTH, 0 }, 0, 0, "the proxy at 127.0.0.1:1080 requires a user and a password" },
};

START_TEST(usual_ports)
{
	static const unsigned ports[] = { 1055, 1080, 3128 };
	struct ts_endpoint e;
	const char *said;
	int ret;

	for (int i = 0; i < 3; i++)
		if (usual[_i].on[i])
			start(ports[i], usual[_i].on[i]);
	ret = sync_now(&said);
	ck_assert_msg(strstr(said, usual[_i].says) != NULL, "%s", said);
	if (!usual[_i].port) {
		/* Names resolve all the same: there is a map, without a proxy. */
		ck_assert_int_eq(ret, 1);
		ck_assert_uint_eq(unit_lines(said), 1);
		ck_assert(!endpoint(0, &e));
		return;
	}
	ck_assert_str_eq(said, "");
	ck_assert_int_eq(ret, 0);
	ck_assert(endpoint(0, &e));
	ck_assert_uint_eq(e.addr.port, usual[_i].port);
	ck_assert_uint_eq(e.kind, usual[_i].kind);
	ck_assert(!(e.flags & TS_PROXY_CONFIGURED));
}
END_TEST

static void set_proxy(const char *variable, const char *format, unsigned port)
{
	char text[100];

	snprintf(text, sizeof(text), format, port);
	setenv(variable, text, 1);
}

START_TEST(configured_wins)
{
	unsigned port = start(0, SOCKS | PIPELINE);
	struct ts_endpoint e;
	const char *said;

	start(1055, SOCKS);
	set_proxy("TSPROXY_SOCKS5", "localhost:%u", port);
	setenv("ALL_PROXY", "socks5://127.0.0.1:1055", 1);
	ck_assert_int_eq(sync_now(&said), 0);
	ck_assert(endpoint(0, &e));
	ck_assert_uint_eq(e.addr.port, port);
	ck_assert_uint_eq(e.flags, TS_PROXY_CONFIGURED | TS_PROXY_PIPELINE);
	ck_assert(!endpoint(1, &e));
}
END_TEST

START_TEST(proxies_of_the_environment)
{
	unsigned socks = start(0, SOCKS | AUTH), http = start(0, HTTP);
	char path[TS_CONF_PATH_MAX + sizeof(TS_CREDENTIALS_SUFFIX)];
	struct ts_endpoint e;
	struct stat st;
	const char *said;

	start(1055, SOCKS);
	set_proxy("ALL_PROXY", "socks5h://user:pw@localhost:%u", socks);
	set_proxy("http_proxy", "http://localhost:%u", http);
	ck_assert_int_eq(sync_now(&said), 0);
	ck_assert(endpoint(0, &e));
	ck_assert_uint_eq(e.addr.port, socks);
	ck_assert_int_eq(ts_credentials_find(conf.map_path, &e.addr, e.kind, e.user, e.pass), 1);
	ck_assert(strcmp(e.user, "user") == 0 && strcmp(e.pass, "pw") == 0);
	ck_assert_int_eq(stat(strcat(strcpy(path, conf.map_path), TS_CREDENTIALS_SUFFIX), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	/* What the last map recorded is tried again, though the environment no longer names it. */
	stop_servers();
	unsetenv("ALL_PROXY");
	start(socks, SOCKS | AUTH);
	ck_assert_int_eq(sync_now(&said), 0);
	ck_assert(endpoint(0, &e));
	ck_assert_uint_eq(e.addr.port, socks);
	stop_servers();
	start(http, HTTP);
	ck_assert_int_eq(sync_now(&said), 0);
	ck_assert(endpoint(0, &e));
	ck_assert_uint_eq(e.addr.port, http);
	ck_assert_uint_eq(e.kind, TS_PROXY_HTTP);
	/* Nor is what nobody needs any more kept. */
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(proxies_on_another_host)
{
	struct ts_endpoint e;
	const char *said;
	int64_t began = now_ms();

	/* Named: it stays in the map, also where it takes no connections, which is told. */
	setenv("TSPROXY_SOCKS5", "192.0.2.1:1055", 1);
	ck_assert_int_eq(sync_now(&said), 0);
	ck_assert(strstr(said, "no proxy listens at 192.0.2.1:1055") != NULL);
	ck_assert(endpoint(0, &e));
	ck_assert_uint_eq(e.flags, TS_PROXY_CONFIGURED);
	unsetenv("TSPROXY_SOCKS5");
	/* A company's proxy for the web is no way into the tailnet. */
	setenv("http_proxy", "http://192.0.2.9:3128", 1);
	ck_assert_int_eq(sync_now(&said), 1);
	ck_assert(strstr(said, "no SOCKS5 port found") != NULL);
	setenv("ALL_PROXY", "socks5://192.0.2.1:1055", 1);
	ck_assert_int_eq(sync_now(&said), 0);
	ck_assert(endpoint(0, &e));
	ck_assert_uint_eq(e.flags, 0);
	ck_assert_int_lt(now_ms() - began, 500);
	/* A proxy that answers here comes first. */
	start(1080, SOCKS);
	ck_assert_int_eq(sync_now(&said), 0);
	ck_assert(endpoint(0, &e));
	ck_assert_uint_eq(e.addr.port, 1080);
}
END_TEST

static const struct {
	const char *variable;
	const char *format;
	unsigned traits;
	int ret;
	const char *says;
} misconfigured[] = {
	{ "TSPROXY_SOCKS5", "127.0.0.1:9", 0, 1,
	  "no proxy listens at 127.0.0.1:9: start tailscaled with --socks5-server" },
	{ "TSPROXY_HTTP_PROXY", "127.0.0.1:9", 0, 1, "start tailscaled with --outbound-http-proxy-listen=127.0.0.1:9" },
	{ "TSPROXY_SOCKS5", "127.0.0.1:%u", HTTP, 1, "speaks HTTP, not SOCKS5: use --http-proxy" },
	{ "TSPROXY_HTTP_PROXY", "127.0.0.1:%u", SOCKS, 1, "speaks SOCKS5, not HTTP: use --socks5" },
	{ "TSPROXY_SOCKS5", "127.0.0.1:%u", GARBAGE, 1, "is not a proxy of type SOCKS5" },
	{ "TSPROXY_HTTP_PROXY", "127.0.0.1:%u", WEB, 1, "is not a proxy of type HTTP" },
	{ "TSPROXY_SOCKS5", "127.0.0.1:%u", SILENT, 1, "did not answer within 200 ms" },
	{ "TSPROXY_SOCKS5", "127.0.0.1:%u", SOCKS | AUTH, 1, "requires a user and a password" },
	{ "TSPROXY_SOCKS5", "user:bad@127.0.0.1:%u", SOCKS | AUTH, 1, "refuses that user and password" },
	{ "TSPROXY_SOCKS5", "/run/proxy.sock", 0, 2, "proxies on unix sockets are not supported" },
	{ "TSPROXY_SOCKS5", "127.0.0.1", 0, 2, "not of the form" },
};

START_TEST(configured_wrongly)
{
	unsigned port = misconfigured[_i].traits ? start(0, misconfigured[_i].traits) : 0;
	struct ts_endpoint e;
	const char *said;

	set_proxy(misconfigured[_i].variable, misconfigured[_i].format, port);
	ck_assert_int_eq(sync_now(&said), misconfigured[_i].ret);
	ck_assert_msg(strstr(said, misconfigured[_i].says) != NULL, "%s", said);
	ck_assert_uint_eq(unit_lines(said), 1);
	if (misconfigured[_i].ret == 2) {
		ck_assert_int_ne(access(conf.map_path, F_OK), 0);
		return;
	}
	ck_assert(endpoint(0, &e));
	ck_assert_uint_eq(e.flags, TS_PROXY_CONFIGURED | (strchr(misconfigured[_i].format, '@') ? TS_PROXY_AUTH : 0));
}
END_TEST

START_TEST(slow_proxy_keeps_what_is_known)
{
	unsigned port = start(0, SOCKS | PIPELINE | UDP);
	struct ts_endpoint e;
	const char *said;

	set_proxy("TSPROXY_SOCKS5", "127.0.0.1:%u", port);
	ck_assert_int_eq(sync_now(&said), 0);
	stop_servers();
	start(port, SILENT);
	ck_assert_int_eq(sync_now(&said), 0);
	ck_assert(endpoint(0, &e));
	ck_assert_uint_eq(e.flags, TS_PROXY_CONFIGURED | TS_PROXY_PIPELINE | TS_PROXY_UDP);
}
END_TEST

static uint64_t generation(void)
{
	struct ts_map m;
	uint64_t g;

	ck_assert_int_eq(ts_map_load(conf.map_path, &m), 0);
	g = ts_map_header(&m).generation;
	ts_map_unload(&m);
	return g;
}

START_TEST(failing_source_keeps_the_old_map)
{
	const char *path = getenv("TSPROXY_STATUS"), *said;
	uint64_t before;

	start(1055, SOCKS);
	ck_assert_int_eq(sync_now(&said), 0);
	before = generation();
	unit_file("status.json", status, sizeof(status) - 10);
	ck_assert_int_eq(sync_now(&said), 1);
	ck_assert(strstr(said, "status.json is invalid: line 1") != NULL);
	ck_assert_uint_eq(generation(), before);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(sync_now(&said), 1);
	ck_assert(strstr(said, "cannot read the status") != NULL);
	ck_assert_uint_eq(generation(), before);
	unit_file("status.json", status, sizeof(status) - 1);
	ck_assert_int_eq(sync_now(&said), 0);
	ck_assert_uint_ne(generation(), before);
}
END_TEST

static const struct {
	const char *text;
	uint32_t state, flags;
	const char *says;
} daemons[] = {
	{ "{\"BackendState\":\"Stopped\"}", TS_STATE_STOPPED, 0,
	  "tailscaled is stopped; to start it: tsproxy up" },
	{ "{\"BackendState\":\"NeedsLogin\"}", TS_STATE_NEEDS_LOGIN, 0,
	  "logged out or waiting for approval; to log in: tsproxy up" },
	{ "Logged out.\n", TS_STATE_NEEDS_LOGIN, 0, "logged out" },
	{ "{\"BackendState\":\"Running\",\"TUN\":true}", TS_STATE_RUNNING, TS_MAP_TUN,
	  "has a kernel network interface (TUN)" },
};

START_TEST(daemon_states)
{
	struct ts_map m;
	const char *said;

	unit_file("status.json", daemons[_i].text, strlen(daemons[_i].text));
	ck_assert_int_eq(sync_now(&said), 0);
	ck_assert_msg(strstr(said, "warning: ") && strstr(said, daemons[_i].says), "%s", said);
	ck_assert_uint_eq(unit_lines(said), 1);
	ck_assert_int_eq(ts_map_load(conf.map_path, &m), 0);
	ck_assert_uint_eq(ts_map_header(&m).state, daemons[_i].state);
	ck_assert_uint_eq(ts_map_header(&m).flags, daemons[_i].flags);
	ts_map_unload(&m);
	ts_tool_quiet();
	ck_assert_int_eq(sync_now(&said), 0);
	ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(places_that_are_refused)
{
	const char *said;

	start(1055, SOCKS);
	ck_assert_int_eq(mkdir(unit_path("tsproxy"), 0700), 0);
	ck_assert_int_eq(chmod(unit_path("tsproxy"), 0777), 0);
	ck_assert_int_eq(sync_now(&said), 1);
	ck_assert_msg(strstr(said, "is not a private directory") != NULL, "%s", said);
	ck_assert_uint_eq(unit_lines(said), 1);
	ck_assert_int_eq(rmdir(unit_path("tsproxy")), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(mkdir(unit_path("tsproxy"), 0700), 0);
		ck_assert_int_eq(chown(unit_path("tsproxy"), 65534, 65534), 0);
		ck_assert_int_eq(sync_now(&said), 1);
		ck_assert(strstr(said, "is not a private directory") != NULL);
		ck_assert_int_eq(rmdir(unit_path("tsproxy")), 0);
	}
	ck_assert_int_eq(symlink("/tmp", unit_path("tsproxy")), 0);
	ck_assert_int_eq(sync_now(&said), 1);
	ck_assert(strstr(said, "is not a private directory") != NULL);
	unsetenv("TSPROXY_PLACE");
	setenv("TSPROXY_STATUS", "relative", 1);
	ck_assert_int_eq(sync_now(&said), 1);
	ck_assert_msg(strstr(said, "no directory for the map") != NULL, "%s", said);
}
END_TEST

START_TEST(foreign_or_damaged_maps_are_replaced)
{
	const char *said;
	struct ts_map m;

	start(1055, SOCKS);
	ck_assert_int_eq(sync_now(&said), 0);
	ck_assert_int_eq(chmod(conf.map_path, 0666), 0);
	ck_assert_int_eq(sync_now(&said), 0);
	ck_assert_msg(strstr(said, "has another owner, others can write to it") != NULL, "%s", said);
	ck_assert_int_eq(truncate(conf.map_path, 300), 0);
	ck_assert_int_eq(sync_now(&said), 0);
	ck_assert_msg(strstr(said, "truncated") != NULL, "%s", said);
	ck_assert_int_eq(truncate(conf.map_path, 0), 0);
	ck_assert_int_eq(truncate(conf.map_path, 64 << 10), 0);
	ck_assert_int_eq(sync_now(&said), 0);
	ck_assert_msg(strstr(said, "damaged") != NULL, "%s", said);
	ck_assert_int_eq(ts_map_load(conf.map_path, &m), 0);
	ts_map_unload(&m);
}
END_TEST

START_TEST(many_at_once)
{
	pid_t pids[12];
	const char *said;
	int code;

	start(1055, SOCKS | PIPELINE);
	for (size_t i = 0; i < 12; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(sync_now(&said));
	}
	for (size_t i = 0; i < 12; i++) {
		ck_assert_int_eq(waitpid(pids[i], &code, 0), pids[i]);
		ck_assert_int_eq(code, 0);
	}
	ts_conf_load(&conf, environ);
	generation();
}
END_TEST

START_TEST(loading_makes_what_is_missing_or_old)
{
	struct ts_map_settings old = { .made_ns = 1000 };
	struct ts_tailnet tn = { 0 };
	struct ts_map m;
	uint8_t *data;
	size_t len;

	start(1055, SOCKS);
	ts_conf_load(&conf, environ);
	ck_assert_int_eq(ts_sync_load(&conf, &m), 0);
	ts_map_unload(&m);
	/* Fresh: not made again. */
	ck_assert_int_eq(unlink(getenv("TSPROXY_STATUS")), 0);
	ck_assert_int_eq(ts_sync_load(&conf, &m), 0);
	ts_map_unload(&m);
	/* Old, and no newer one can be had: it serves, and that is told. */
	ck_assert_int_eq(ts_map_build(&tn, &old, &data, &len), 0);
	ck_assert_int_eq(ts_map_install(conf.map_path, data, len), 0);
	unit_err_begin();
	ck_assert_int_eq(ts_sync_load(&conf, &m), 0);
	ck_assert(strstr(unit_err_end(), "using a map that is") != NULL);
	ts_map_unload(&m);
	free(data);
	ck_assert_int_eq(unlink(conf.map_path), 0);
	unit_err_begin();
	ck_assert_int_eq(ts_sync_load(&conf, &m), 1);
	unit_err_end();
}
END_TEST

static const struct {
	const char *what;
	enum ts_why why;
	bool ours;
} explained[] = {
	{ "self", TS_WHY_MAP, true },
	{ "PEER.t.ts.net.", TS_WHY_MAP, true },
	{ "nobody.t.ts.net", TS_WHY_NO_SUCH_NAME, true },
	{ "localhost", TS_WHY_HOSTS, false },
	{ "x.localhost.", TS_WHY_HOSTS, false },
	{ "example.org", TS_WHY_NOT_OURS, false },
	{ "db.corp.example", TS_WHY_REMOTE, true },
	{ "100.64.0.2", TS_WHY_MAP, true },
	{ "::ffff:100.64.0.2", TS_WHY_MAP, true },
	{ "100.64.0.99", TS_WHY_NOT_OURS, false },
	{ "10.1.1.1", TS_WHY_ROUTE, true },
	{ "10.2.1.1", TS_WHY_EXCLUDED, false },
	{ "10.3.1.1", TS_WHY_ROUTE, true },
	{ "127.0.0.1", TS_WHY_LOCAL, false },
	{ "fe80::1", TS_WHY_LOCAL, false },
	{ "100.100.100.100", TS_WHY_SERVICE, true },
	{ "192.0.2.1", TS_WHY_NOT_OURS, false },
};

START_TEST(explaining)
{
	static const char text[] = "{\"BackendState\":\"Running\",\"MagicDNSSuffix\":\"t.ts.net\",\"Self\":{"
				   "\"DNSName\":\"self.t.ts.net.\",\"TailscaleIPs\":"
				   "[\"100.64.0.1\"]},\"Peer\":{\"a\":{\"DNSName\":\"peer.t.ts.net.\",\"TailscaleIPs\":"
				   "[\"100.64.0.2\"],\"PrimaryRoutes\":"
				   "[\"10.1.0.0/16\"]}}}";
	struct ts_explained e;
	const char *said;
	struct ts_map m;
	char why[300];

	unit_file("status.json", text, sizeof(text) - 1);
	setenv("TSPROXY_EXCLUDE", "10.2.0.0/16", 1);
	setenv("TSPROXY_ROUTE", "10.2.0.0/15", 1);
	setenv("TSPROXY_REMOTE_NAME", "corp.example", 1);
	start(1055, SOCKS);
	ck_assert_int_eq(sync_now(&said), 0);
	ck_assert_int_eq(ts_map_load(conf.map_path, &m), 0);
	for (size_t i = 0; i < sizeof(explained) / sizeof(*explained); i++) {
		ts_explain(&conf, &m, explained[i].what, &e);
		ck_assert_msg(e.why == explained[i].why && e.ours == explained[i].ours, "%s: %s", explained[i].what,
			      ts_explain_text(&m, &e, why, sizeof(why)));
		ck_assert(ts_explain_text(&m, &e, why, sizeof(why))[0] != '\0');
	}
	ts_map_unload(&m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tool_sync");
	TCase *t = tcase_create("sync");
	const char *private = getenv("TSPROXY_TEST_PRIVATE");

	if (!private || strcmp(private, "yes") != 0) {
		printf("skip: opens the usual proxy ports, so it runs in tests/lib/private only\n");
		return 77;
	}
	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, probing, 0, sizeof(probes) / sizeof(*probes));
	tcase_add_test(t, probing_nobody);
	tcase_add_loop_test(t, usual_ports, 0, sizeof(usual) / sizeof(*usual));
	tcase_add_test(t, configured_wins);
	tcase_add_test(t, proxies_of_the_environment);
	tcase_add_test(t, proxies_on_another_host);
	tcase_add_loop_test(t, configured_wrongly, 0, sizeof(misconfigured) / sizeof(*misconfigured));
	tcase_add_test(t, slow_proxy_keeps_what_is_known);
	tcase_add_test(t, failing_source_keeps_the_old_map);
	tcase_add_loop_test(t, daemon_states, 0, sizeof(daemons) / sizeof(*daemons));
	tcase_add_test(t, places_that_are_refused);
	tcase_add_test(t, foreign_or_damaged_maps_are_replaced);
	tcase_add_test(t, many_at_once);
	tcase_add_test(t, loading_makes_what_is_missing_or_old);
	tcase_add_test(t, explaining);
	return unit_run(s);
}
