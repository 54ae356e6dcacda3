/* SPDX-License-Identifier: MIT */
/*
 * What a daemon of one's own needs: the programs, free ports, and an environment that does not send the daemon to its
 * own proxy. An image may well say ALL_PROXY=socks5://localhost:1080 for all its programs: then that is the port to
 * take, and not the way for the daemon to reach its control server.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../cli/parts.h"
#include "up.h"

extern char **environ;

static bool look(const char *dir, size_t len, const char *name, char out[TS_UP_PATH_MAX])
{
	int n = snprintf(out, TS_UP_PATH_MAX, "%.*s/%s", (int)len, dir, name);

	return len && n < TS_UP_PATH_MAX && out[0] == '/' && access(out, X_OK) == 0;
}

static void find(const char *name, const char *beside, char out[TS_UP_PATH_MAX])
{
	static const char *const usual[] = { "/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin", "/app" };
	const char *path = getenv("PATH"), *home = getenv("HOME"), *slash = strrchr(beside, '/');
	char local[TS_UP_PATH_MAX];

	for (; path && *path; path += strcspn(path, ":"), path += *path == ':')
		if (look(path, strcspn(path, ":"), name, out))
			return;
	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++)
		if (look(usual[i], strlen(usual[i]), name, out))
			return;
	snprintf(local, sizeof(local), "%s/.local/bin", home ? home : "");
	if (look(local, strlen(local), name, out) || (slash && look(beside, (size_t)(slash - beside), name, out)))
		return;
	out[0] = '\0';
}

void ts_up_find_programs(struct ts_up *up)
{
	const char *launcher = ts_parts_launcher();

	find("tailscaled", launcher ? launcher : "", up->tailscaled);
	find("tailscale", up->tailscaled, up->tailscale);
}

static bool is_free(uint16_t port)
{
	static const uint8_t loopback[4] = { 127, 0, 0, 1 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	struct sockaddr_storage ss;
	struct ts_addr a;
	socklen_t len;
	bool ok;

	ts_addr_set4(&a, loopback, port);
	len = ts_addr_to_sockaddr(&a, AF_INET, &ss);
	/* As Go's listeners do: what is left of a former connection is no obstacle. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	ok = fd >= 0 && bind(fd, (struct sockaddr *)&ss, len) == 0 && listen(fd, 1) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

/* Any free port that is not `other`. */
static uint16_t any_port(uint16_t other)
{
	for (unsigned port = 41080; port < 42080; port++)
		if (port != other && is_free((uint16_t)port))
			return (uint16_t)port;
	return 0;
}

static const char *const proxy_variables[] = {
	"ALL_PROXY", "all_proxy", "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
};
#define PROXY_VARIABLES (sizeof(proxy_variables) / sizeof(*proxy_variables))

/* The port that an environment variable names on this machine, 0 where none. */
static uint16_t named_port(const char *variable, uint8_t kind)
{
	const char *value = getenv(variable);
	struct ts_endpoint e;

	if (!value || !*value || !ts_proxy_parse_url(value, kind, &e) || e.kind != kind || e.user[0] ||
	    !ts_ip_is_loopback(e.addr.ip))
		return 0;
	return e.addr.port;
}

static uint16_t choose(uint8_t kind, const uint16_t usual[2], uint16_t other)
{
	for (size_t i = 0; i < PROXY_VARIABLES; i++) {
		uint16_t port = named_port(proxy_variables[i], kind);

		if (port && port != other && is_free(port))
			return port;
	}
	for (int i = 0; i < 2; i++)
		if (usual[i] && usual[i] != other && is_free(usual[i]))
			return usual[i];
	return any_port(other);
}

bool ts_up_choose_ports(struct ts_own_ports *out)
{
	out->socks5 = choose(TS_PROXY_SOCKS5, (const uint16_t[2]){ 1055, 1080 }, 0);
	out->http = choose(TS_PROXY_HTTP, (const uint16_t[2]){ 3128, 0 }, out->socks5);
	return out->socks5 && out->http;
}

/* A proxy variable that means the daemon's own ports, or a proxy of this machine that is not there. */
static bool leads_to_itself(const char *entry, const struct ts_own_ports *ports)
{
	for (size_t i = 0; i < PROXY_VARIABLES; i++) {
		size_t len = strlen(proxy_variables[i]);
		struct ts_endpoint e;

		if (strncmp(entry, proxy_variables[i], len) != 0 || entry[len] != '=')
			continue;
		if (!ts_proxy_parse_url(entry + len + 1, TS_PROXY_HTTP, &e) || !ts_ip_is_loopback(e.addr.ip))
			return false;
		return e.addr.port == ports->socks5 || e.addr.port == ports->http || is_free(e.addr.port);
	}
	return false;
}

char **ts_up_environment(const struct ts_own_ports *ports)
{
	size_t n = 0, kept = 0;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + 1, sizeof(*env));
	for (size_t i = 0; env && i < n; i++)
		if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0 && strncmp(environ[i], "TS_SOCKET=", 10) != 0 &&
		    !leads_to_itself(environ[i], ports))
			env[kept++] = environ[i];
	return env;
}
