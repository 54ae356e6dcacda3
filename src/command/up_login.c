/* SPDX-License-Identifier: MIT */
/*
 * Talking to the daemon: what state it is in, and `tailscale up`, whose --json tells the link to log in with. An auth
 * key reaches it through a file without a name, never through its command line, which every user can read.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "up.h"

#define ANSWER_MS 15000
#define START_MS 3000 /* systemd may take its time to start the supervisor */
#define POLL_MS 50

static bool step_open;

void ts_up_step(const char *fmt, ...)
{
	va_list ap;

	fputs("tsproxy: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs(" ...", stderr);
	step_open = true;
}

void ts_up_tick(void)
{
	if (isatty(STDERR_FILENO))
		fputc('.', stderr);
}

void ts_up_end(const char *fmt, ...)
{
	va_list ap;

	fputs(step_open ? " " : "tsproxy: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	step_open = false;
}

static void copy_text(const json_t *object, const char *key, char *out, size_t cap)
{
	const char *s = json_string_value(json_object_get(object, key));

	ts_tool_printable(s ? s : "", s ? strlen(s) : 0, out, cap);
}

bool ts_up_ask(const struct ts_up *up, struct ts_up_state *out)
{
	char why[TS_WHY_MAX], *text;
	json_t *root, *me;
	const char *ip;
	size_t len;

	memset(out, 0, sizeof(*out));
	if (ts_source_localapi(up->socket, up->named, &text, &len, why) != 0)
		return false;
	root = json_loadb(text, len, 0, NULL);
	free(text);
	me = json_object_get(root, "Self");
	copy_text(root, "BackendState", out->backend, sizeof(out->backend));
	copy_text(me, "DNSName", out->name, sizeof(out->name));
	if (out->name[0] && out->name[strlen(out->name) - 1] == '.')
		out->name[strlen(out->name) - 1] = '\0';
	ip = json_string_value(json_array_get(json_object_get(me, "TailscaleIPs"), 0));
	ts_tool_printable(ip ? ip : "", ip ? strlen(ip) : 0, out->ip, sizeof(out->ip));
	out->tun = json_is_true(json_object_get(root, "TUN"));
	json_decref(root);
	return true;
}

bool ts_up_wait_answer(const struct ts_up *up, struct ts_up_state *out)
{
	struct timespec pause = { .tv_nsec = POLL_MS * 1000000 };
	char how[64];

	for (int i = 0; i < ANSWER_MS / POLL_MS; i++) {
		/* Right after its start it answers before it has read its own state. */
		if (ts_up_ask(up, out) && strcmp(out->backend, "NoState") != 0)
			return true;
		if (up->began && ts_up_has_ended(up, how))
			return false;
		if (up->own && i * POLL_MS > START_MS && !ts_up_supervisor(up))
			return false;
		if (i % (1000 / POLL_MS) == 0)
			ts_up_tick();
		nanosleep(&pause, NULL);
	}
	return false;
}

/* The key in a file without a name that the child inherits; out: what stands for it on the command line. -1: none. */
static int hide_key(const char *key, char out[64])
{
	int fd = memfd_create("auth-key", 0);

	if (fd < 0 || write(fd, key, strlen(key)) != (ssize_t)strlen(key)) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	snprintf(out, 64, "--auth-key=file:/dev/fd/%d", fd);
	return fd;
}

/* Takes --authkey or --auth-key out of the flags; the key, TS_AUTHKEY's where there is none, or null. */
static const char *take_key(char **flags)
{
	static const char *const names[] = { "--auth-key", "--authkey", "-auth-key", "-authkey" };
	const char *key = getenv("TS_AUTHKEY");
	size_t kept = 0;

	for (size_t i = 0; flags[i]; i++) {
		bool is_key = false;

		for (size_t n = 0; n < sizeof(names) / sizeof(*names) && !is_key; n++) {
			size_t len = strlen(names[n]);

			if (strncmp(flags[i], names[n], len) != 0 || (flags[i][len] != '\0' && flags[i][len] != '='))
				continue;
			is_key = true;
			if (flags[i][len] == '=')
				key = flags[i] + len + 1;
			else if (flags[i + 1])
				key = flags[++i];
		}
		if (!is_key)
			flags[kept++] = flags[i];
	}
	flags[kept] = NULL;
	return key && *key ? key : NULL;
}

static void show_link(const char *url)
{
	fprintf(stderr, "\n\nTo log in, open\n\n\t%s\n\n", url);
	if (isatty(STDERR_FILENO) && ts_qr_print(url))
		fputc('\n', stderr);
	step_open = false;
}

/* Follows what `tailscale up --json` prints, one object after another. */
static void follow(FILE *f)
{
	char shown[512] = "", url[512];
	json_t *o;

	while ((o = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL)) != NULL) {
		copy_text(o, "AuthURL", url, sizeof(url));
		if (url[0] && strcmp(url, shown) != 0) {
			show_link(url);
			memcpy(shown, url, sizeof(shown));
			ts_up_step("waiting for the login");
		}
		json_decref(o);
	}
}

static int spawn_tailscale(const struct ts_up *up, char **argv, int out_fd, pid_t *pid)
{
	struct ts_own_ports ports;
	posix_spawn_file_actions_t actions;
	char **env;
	int err;

	ts_own_ports(&ports);
	env = ts_up_environment(&ports);
	if (!env)
		return ENOMEM;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	fflush(NULL);
	err = posix_spawn(pid, up->tailscale, &actions, NULL, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	free(env);
	return err;
}

static int run_up(const struct ts_up *up, char **argv)
{
	int fds[2], status = 0, err;
	FILE *f;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -errno;
	err = spawn_tailscale(up, argv, fds[1], &pid);
	close(fds[1]);
	f = fdopen(fds[0], "r");
	if (err || !f) {
		ts_tool_error("%s: %s", up->tailscale, strerror(err ? err : errno));
		close(fds[0]);
		return 1;
	}
	follow(f);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	fclose(f);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

int ts_up_login(const struct ts_up *up, char **flags)
{
	const char *key = take_key(flags);
	char sock[TS_UP_PATH_MAX + 16], key_flag[64];
	size_t n = 0, at = 0;
	int key_fd = -1, ret;
	char **argv;

	if (!up->tailscale[0]) {
		ts_tool_error("the tailscale command is missing, which logs in: install it");
		return 1;
	}
	if (key && (key_fd = hide_key(key, key_flag)) < 0) {
		ts_tool_error("the auth key cannot be passed on: %s", strerror(errno));
		return 1;
	}
	while (flags[n])
		n++;
	argv = calloc(n + 6, sizeof(*argv));
	if (!argv)
		return 1;
	snprintf(sock, sizeof(sock), "--socket=%s", up->socket);
	argv[at++] = (char *)"tailscale";
	argv[at++] = sock;
	argv[at++] = (char *)"up";
	argv[at++] = (char *)"--json";
	if (key)
		argv[at++] = key_flag;
	memcpy(argv + at, flags, n * sizeof(*argv));
	ret = run_up(up, argv);
	free(argv);
	if (key_fd >= 0)
		close(key_fd);
	return ret;
}

/* Any flag at all, and be it --json, would make `tailscale up` compare the settings with the flags and refuse. */
int ts_up_resume(const struct ts_up *up)
{
	char sock[TS_UP_PATH_MAX + 16];
	char *argv[] = { (char *)"tailscale", sock, (char *)"up", NULL };

	if (!up->tailscale[0]) {
		ts_tool_error("the tailscale command is missing, which brings the daemon up: install it");
		return 1;
	}
	snprintf(sock, sizeof(sock), "--socket=%s", up->socket);
	return run_up(up, argv);
}

void ts_up_logout(const struct ts_up *up)
{
	char sock[TS_UP_PATH_MAX + 16];
	char *argv[] = { (char *)"tailscale", sock, (char *)"logout", NULL };
	pid_t pid;

	snprintf(sock, sizeof(sock), "--socket=%s", up->socket);
	if (up->tailscale[0] && spawn_tailscale(up, argv, STDERR_FILENO, &pid) == 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
}
