/* SPDX-License-Identifier: MIT */
/*
 * The proof is a program with the library in it, so this one starts itself again that way: does the library load, what
 * does the C library answer for a name, does a connect succeed. The child prints one line.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "doctor.h"

#define CHILD_MS 8000 /* the daemon gives a connect up after 5 s */
#define DEFAULT_PORT 22

extern char **environ;

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

static int64_t now_ms(void)
{
	return now_us() / 1000;
}

/* --- in the child --- */

static int try_load(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[4400];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		found |= strstr(line, "/libtsproxy.so") != NULL;
	if (f)
		fclose(f);
	puts(found ? "loaded" : "not loaded");
	return 0;
}

static int try_name(const char *name, const char *port, struct addrinfo **list)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	int err = getaddrinfo(name, port, &hints, list);

	if (err)
		printf("%s\n", gai_strerror(err));
	return err;
}

static int try_lookup(const char *name)
{
	char host[NI_MAXHOST] = "";
	struct addrinfo *list;

	if (try_name(name, NULL, &list) != 0)
		return 1;
	getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST);
	printf("%s\n", host);
	freeaddrinfo(list);
	return 0;
}

static int try_connect(const char *name, const char *port)
{
	struct addrinfo *list;
	int64_t start;
	int fd, err;

	if (try_name(name, port, &list) != 0)
		return 1;
	start = now_us();
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	err = fd < 0 || connect(fd, list->ai_addr, list->ai_addrlen) != 0 ? errno : 0;
	printf("%d %lld\n", err, (long long)(now_us() - start));
	freeaddrinfo(list);
	return 0;
}

int ts_doctor_try(int argc, char **argv)
{
	int ret = 2;

	if (argc == 3 && strcmp(argv[2], "load") == 0)
		ret = try_load();
	else if (argc == 4 && strcmp(argv[2], "name") == 0)
		ret = try_lookup(argv[3]);
	else if (argc == 5 && strcmp(argv[2], "connect") == 0)
		ret = try_connect(argv[3], argv[4]);
	return fflush(stdout) == 0 ? ret : 2;
}

/* --- in the parent --- */

/* This environment with the library in front and nothing switched off. The caller frees it, and its first string. */
static char **child_environment(const char *object)
{
	const char *old = getenv("LD_PRELOAD");
	size_t n = 0, kept = 1;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + 2, sizeof(*env));
	if (!env)
		return NULL;
	if (asprintf(&env[0], "LD_PRELOAD=%s%s%s", object, old && *old ? ":" : "", old ? old : "") < 0) {
		free(env);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0 && strncmp(environ[i], "TSPROXY_DISABLE=", 16) != 0)
			env[kept++] = environ[i];
	return env;
}

static bool read_line(int fd, char *out, size_t cap)
{
	int64_t end = now_ms() + CHILD_MS;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t at = 0;

	while (at < cap - 1 && !memchr(out, '\n', at)) {
		int64_t left = end - now_ms();
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			return false;
		n = read(fd, out + at, cap - 1 - at);
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	out[at] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return true;
}

/* Starts this program with `words` behind --try and the library loaded. The exit status; -1 where none came in time. */
static int run_child(const char *object, const char *const words[3], char *out, size_t cap)
{
	char *argv[6] = { (char *)"tsproxy-doctor", (char *)TS_DOCTOR_TRY };
	char **env = child_environment(object);
	posix_spawn_file_actions_t actions;
	int fds[2], status = 0, ret = -1;
	bool told;
	pid_t pid;

	out[0] = '\0';
	for (int i = 0; i < 3; i++)
		argv[2 + i] = (char *)words[i];
	if (!env || pipe2(fds, O_CLOEXEC) != 0)
		goto out;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	fflush(NULL);
	told = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, env) == 0;
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	if (told) {
		told = read_line(fds[0], out, cap);
		if (!told)
			kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		ret = told && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	close(fds[0]);
out:
	if (env)
		free(env[0]);
	free(env);
	return ret;
}

void ts_doctor_load(struct ts_doctor *d)
{
	const char *const words[3] = { "load" };
	char out[64];

	if (!d->object)
		return;
	d->object_loads = run_child(d->object, words, out, sizeof(out)) == 0 && strcmp(out, "loaded") == 0;
	if (d->object_loads)
		ts_doctor_add(d, TS_OK, "library", "%s can be loaded into programs\n", d->object);
	else
		ts_doctor_add(d, TS_FAIL, "library", "%s cannot be loaded into programs\nrun LD_PRELOAD=%s true to see the"
						     " loader's message", d->object, d->object);
}

/* A node to try: the first that is online, not this one, and has a name. */
static bool pick_node(const struct ts_map *m, char name[TS_NAME_MAX + 3])
{
	struct ts_map_node n;

	for (int known = 1; known >= 0; known--)
		for (uint32_t i = 0; ts_walk_node(m, i, &n); i++) {
			bool online = n.flags & TS_NODE_ONLINE || (!known && !(n.flags & TS_NODE_ONLINE_KNOWN));

			if (online && n.fqdn.len && n.addr_count && !(n.flags & (TS_NODE_SELF | TS_NODE_EXPIRED))) {
				ts_walk_text(m, n.fqdn, name, TS_NAME_MAX + 3);
				return true;
			}
		}
	return false;
}

/* Returns whether a program resolves the name as it should. */
static bool reach_name(struct ts_doctor *d, const char *name)
{
	const char *const words[3] = { "name", name };
	struct ts_map_answer want;
	char out[256], ip[TS_ADDR_TEXT_MAX], safe[256];
	int ret = run_child(d->object, words, out, sizeof(out));

	ts_tool_printable(out, strlen(out), safe, sizeof(safe));
	if (ret != 0) {
		ts_doctor_add(d, TS_FAIL, "name", "programs cannot resolve %s: %s\nrun tsproxy resolve %s to see what the"
						  " map has", name, ret < 0 ? "no answer in time" : safe, name);
		return false;
	}
	if (ts_map_find_name(&d->map, name, strlen(name), &want) == 1) {
		bool same = false;

		for (unsigned i = 0; i < want.count; i++) {
			ts_ip_format(want.ip[i], ip);
			same |= strcmp(ip, safe) == 0;
		}
		if (!same) {
			ts_doctor_add(d, TS_WARN, "name", "programs resolve %s to %s, but its tailnet address is %s\n"
							  "look for it in /etc/hosts, which comes first", name, safe, ip);
			return true;
		}
	}
	ts_doctor_add(d, TS_OK, "name", "programs resolve %s to %s\n", name, safe);
	return true;
}

static void reach_connect(struct ts_doctor *d, const char *name, unsigned port, bool chosen)
{
	char number[8], out[256], safe[256];
	const char *const words[3] = { "connect", name, number };
	long long us = 0;
	int ret, err = 0;
	double ms;

	snprintf(number, sizeof(number), "%u", port);
	ret = run_child(d->object, words, out, sizeof(out));
	ret = ret == 0 && sscanf(out, "%d %lld", &err, &us) != 2 ? 1 : ret;
	ms = (double)us / 1000;
	if (ret != 0)
		ts_doctor_add(d, TS_FAIL, "connect", "a program's connection to %s port %u: %s\nrun it with TSPROXY_LOG=debug to see what"
						     " the library does", name, port, ret < 0 ? "no result in time" :
			      ts_tool_printable(out, strlen(out), safe, sizeof(safe)));
	else if (err == 0)
		ts_doctor_add(d, TS_OK, "connect", "programs reach %s port %u in %.1f ms\n", name, port, ms);
	else if (err == ECONNREFUSED && !chosen)
		ts_doctor_add(d, TS_OK, "connect", "%s port %u answers a program in %.1f ms: refused, because"
						   " nothing listens there\n", name, port, ms);
	else
		ts_doctor_add(d, chosen ? TS_FAIL : TS_WARN, "connect", "a program's connection to %s port %u: %s after %.1f ms"
			      "\ncheck that it is online, that a server listens there, and that the tailnet's policy allows it",
			      name, port, strerror(err), ms);
}

bool ts_doctor_take_node(struct ts_doctor *d, const char *text)
{
	const char *colon = strchr(text, ':'), *end = text + strlen(text), *port = NULL;
	struct ts_addr a;

	if (*text == '[') {
		end = strchr(++text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		port = end[1] ? end + 2 : NULL;
	} else if (colon && !strchr(colon + 1, ':')) {
		end = colon;
		port = colon + 1;
	} else if (colon && !ts_addr_parse(text, strlen(text), &a)) {
		return false;
	}
	if (port) {
		char *last;
		unsigned long n = strtoul(port, &last, 10);

		if (*port < '0' || *port > '9' || *last || n == 0 || n > 65535)
			return false;
		d->port = (uint16_t)n;
	}
	if (end == text || (size_t)(end - text) >= sizeof(d->node))
		return false;
	memcpy(d->node, text, (size_t)(end - text));
	return true;
}

void ts_doctor_reach(struct ts_doctor *d)
{
	char name[TS_NAME_MAX + 3] = "";
	struct ts_explained e;
	struct ts_addr numeric;

	if (!d->reachable || !d->have_map || !d->object_loads)
		return;
	if (d->node[0]) {
		memcpy(name, d->node, sizeof(name));
	} else if (!pick_node(&d->map, name)) {
		ts_doctor_add(d, TS_NOTE, "connect", "no other node is online, so no connection was tested\n"
						     "run tsproxy doctor NODE:PORT to test one");
		return;
	}
	if (ts_addr_parse(name, strlen(name), &numeric)) {
		ts_explain(&d->conf, &d->map, name, &e);
		if (!e.ours) {
			ts_doctor_add(d, TS_NOTE, "connect", "%s is not in the tailnet: programs connect to it directly\n"
				      "run tsproxy resolve %s to see why; --route sends it to the tailnet", name, name);
			return;
		}
	} else if (!reach_name(d, name)) {
		return;
	}
	if (d->proxy_dead)
		return;
	if (!d->node[0] && d->api_node[0])
		reach_connect(d, d->api_node, d->api_port, false);
	else
		reach_connect(d, name, d->port ? d->port : DEFAULT_PORT, d->port != 0);
}
