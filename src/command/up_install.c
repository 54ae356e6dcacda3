/* SPDX-License-Identifier: MIT */
/*
 * Tailscale's static programs, fetched into ~/.local/bin. https://pkgs.tailscale.com/stable/?mode=json names the archive for each
 * machine ("Tarballs": {"amd64": "tailscale_1.92.3_amd64.tgz", ...}); beside each lies its SHA-256, as text, under the archive's
 * name and ".sha256". A mirror (TSPROXY_MIRROR) answers the same. All of it comes over HTTPS, redirects included, so the checksum is as
 * authentic as the site. curl and GNU wget check certificates; busybox's wget does not, so it is not used.
 *
 * Everything happens in a folder beside the destination, which goes again whatever happens; the two programs are moved out of it
 * at the end. An interrupt ends the program that runs, and then us.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cli/program.h"
#include "up.h"

#define TICK_MS 1000
#define ARCHIVE_MAX 128
#define URL_MAX 1024
#define SHA256_LEN 64 /* in hexadecimal digits */

struct install {
	const char *site;
	char dir[TS_UP_PATH_MAX]; /* where the programs go */
	char tmp[TS_UP_PATH_MAX + 32];
	bool made_dir, made_parent;
	bool wget;		     /* and not curl */
	char name[ARCHIVE_MAX + 1]; /* of the archive */
	char why[1024];
	char line[512]; /* the first line of what the last program printed */
	char **env;
	sigset_t before;
	int signals, signal; /* a descriptor; the one that came */
};

static bool fail(struct install *in, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct install *in, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(in->why, sizeof(in->why), fmt, ap);
	va_end(ap);
	return false;
}

static const char *file(const struct install *in, const char *name, char out[TS_UP_PATH_MAX * 2])
{
	snprintf(out, TS_UP_PATH_MAX * 2, "%s/%s", in->tmp, name);
	return out;
}

/* Takes the first line that a program prints, to the end of all that it prints or a signal to us. */
static void listen_to(struct install *in, int fd)
{
	struct pollfd p[2] = { { fd, POLLIN, 0 }, { in->signals, POLLIN, 0 } };
	struct signalfd_siginfo info;
	char buf[sizeof(in->line)];
	size_t have = 0, len;
	ssize_t n;

	for (;;) {
		int ready = poll(p, 2, TICK_MS);

		if (ready == 0)
			ts_up_tick();
		if (ready <= 0)
			continue;
		if (p[1].revents && read(in->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
			in->signal = (int)info.ssi_signo;
			break;
		}
		if (!p[0].revents)
			continue;
		n = read(fd, buf + have, have < sizeof(buf) - 1 ? sizeof(buf) - 1 - have : 1);
		if (n <= 0)
			break;
		if (have < sizeof(buf) - 1)
			have += (size_t)n;
	}
	buf[have] = '\0';
	/* wget has lines that only lead to the next. */
	for (const char *line = buf; *line; line += line[len] ? len + 1 : len) {
		len = strcspn(line, "\n");
		ts_tool_printable(line, len, in->line, sizeof(in->line));
		if (len && line[len - 1] != ':')
			break;
	}
}

/* Runs a program of PATH with that file as standard input. Where it fails, in->line says why. */
static bool run(struct install *in, const char *input, char *const argv[])
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int out[2], err, status = 0;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) != 0) {
		snprintf(in->line, sizeof(in->line), "%s: %s", argv[0], strerror(errno));
		return false;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDERR_FILENO);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &in->before);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	err = posix_spawnp(&pid, argv[0], &actions, &attr, argv, in->env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	close(out[1]);
	in->line[0] = '\0';
	if (!err)
		listen_to(in, out[0]);
	close(out[0]);
	if (err) {
		snprintf(in->line, sizeof(in->line), "%s: %s", argv[0], err == ENOENT ? "command not found" : strerror(err));
		return false;
	}
	if (in->signal)
		kill(pid, SIGTERM);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !in->signal)
		return true;
	if (!in->line[0])
		snprintf(in->line, sizeof(in->line), "%s ended with status %d", argv[0],
			 WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return false;
}

static bool choose_tool(struct install *in)
{
	char *const version[] = { (char *)"wget", (char *)"--version", NULL };
	char path[PATH_MAX];

	if (ts_program_find("curl", getenv("PATH"), path) == 0)
		return true;
	in->wget = run(in, "/dev/null", version) && strncmp(in->line, "GNU Wget", 8) == 0;
	return in->wget || fail(in, "curl or GNU wget is needed, and neither is installed");
}

static bool fetch(struct install *in, const char *what, const char *to)
{
	char url[URL_MAX + ARCHIVE_MAX + 32], path[TS_UP_PATH_MAX * 2];
	char *const curl[] = { (char *)"curl", (char *)"-gfsSL", (char *)"--proto", (char *)"=https", (char *)"--connect-timeout", (char *)"20",
			       (char *)"--speed-limit", (char *)"1", (char *)"--speed-time", (char *)"30", (char *)"-o", path, url, NULL };
	/* It has no option against a redirect to http: a proxy for http where nobody listens is one. */
	char *const wget[] = { (char *)"wget", (char *)"-nv", (char *)"--timeout=30", (char *)"--tries=2", (char *)"-e",
			       (char *)"http_proxy=http://127.0.0.1:9", (char *)"-O", path, url, NULL };

	snprintf(url, sizeof(url), "%s/%s", in->site, what);
	file(in, to, path);
	return run(in, "/dev/null", in->wget ? wget : curl) || fail(in, "%s: %s", url, in->line);
}

/* A file's name and nothing else: it becomes part of a URL and of a path. */
static bool is_archive(const char *name)
{
	static const char head[] = "tailscale_", tail[] = "_" TS_UP_MACHINE ".tgz";
	size_t len = name ? strlen(name) : 0;

	if (len <= sizeof(head) + sizeof(tail) || len > ARCHIVE_MAX || strncmp(name, head, sizeof(head) - 1) != 0 ||
	    strcmp(name + len - (sizeof(tail) - 1), tail) != 0)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("._-", *name))
			return false;
	return true;
}

static bool find_archive(struct install *in)
{
	char path[TS_UP_PATH_MAX * 2];
	const char *name;
	json_t *root;
	bool ok;

	if (!fetch(in, "?mode=json", "index"))
		return false;
	root = json_load_file(file(in, "index", path), 0, NULL);
	name = json_string_value(json_object_get(json_object_get(root, "Tarballs"), TS_UP_MACHINE));
	ok = is_archive(name);
	if (ok)
		snprintf(in->name, sizeof(in->name), "%s", name);
	json_decref(root);
	return ok || fail(in, "%s/?mode=json has no archive for " TS_UP_MACHINE, in->site);
}

/* The digits at the start of a text, in small letters. */
static bool take_digits(const char *text, char out[SHA256_LEN + 1])
{
	size_t n = 0;

	while (n < SHA256_LEN && isxdigit((unsigned char)text[n])) {
		out[n] = (char)tolower((unsigned char)text[n]);
		n++;
	}
	out[n] = '\0';
	return n == SHA256_LEN && !isxdigit((unsigned char)text[n]);
}

static bool verify(struct install *in)
{
	char *const sha256sum[] = { (char *)"sha256sum", NULL };
	char path[TS_UP_PATH_MAX * 2], what[ARCHIVE_MAX + 16], text[256] = "", want[SHA256_LEN + 1], got[SHA256_LEN + 1];
	FILE *f;
	bool ok;

	snprintf(what, sizeof(what), "%s.sha256", in->name);
	if (!fetch(in, what, "sum"))
		return false;
	f = fopen(file(in, "sum", path), "re");
	ok = f && fgets(text, sizeof(text), f) && take_digits(text, want);
	if (f)
		fclose(f);
	if (!ok)
		return fail(in, "%s/%s is not a SHA-256 checksum", in->site, what);
	if (!run(in, file(in, "archive", path), sha256sum))
		return fail(in, "%s", in->line);
	return (take_digits(in->line, got) && strcmp(want, got) == 0) ||
	       fail(in, "the checksum of %s does not match %s", in->name, what);
}

/* Of a program in the archive: its path there, from the folder that it is unpacked in. */
static const char *member(const struct install *in, const char *program, char out[ARCHIVE_MAX * 2])
{
	snprintf(out, ARCHIVE_MAX * 2, "%.*s/%s", (int)(strlen(in->name) - strlen(".tgz")), in->name, program);
	return out;
}

static const char *const programs[] = { "tailscale", "tailscaled" };

static bool unpack(struct install *in)
{
	char archive[TS_UP_PATH_MAX * 2], path[TS_UP_PATH_MAX * 2], to[2][TS_UP_PATH_MAX + 16], inside[2][ARCHIVE_MAX * 2];
	char *const tar[] = { (char *)"tar", (char *)"-xzof", archive, (char *)"-C", in->tmp, inside[0], inside[1], NULL };
	struct stat st;

	file(in, "archive", archive);
	for (int i = 0; i < 2; i++)
		member(in, programs[i], inside[i]);
	if (!run(in, "/dev/null", tar))
		return fail(in, "%s", in->line);
	for (int i = 0; i < 2; i++)
		if (lstat(file(in, inside[i], path), &st) != 0 || !S_ISREG(st.st_mode) || chmod(path, 0755) != 0)
			return fail(in, "%s does not contain the program %s", in->name, inside[i]);
	for (int i = 0; i < 2; i++) {
		snprintf(to[i], sizeof(to[i]), "%s/%s", in->dir, programs[i]);
		if (rename(file(in, inside[i], path), to[i]) != 0) {
			fail(in, "%s: %s", to[i], strerror(errno));
			if (i)
				unlink(to[0]);
			return false;
		}
	}
	return true;
}

/* ~/.local/bin, and a folder to work in beside what it holds. */
static bool make_folders(struct install *in)
{
	const char *home = getenv("HOME");

	if (snprintf(in->dir, sizeof(in->dir), "%s/.local", home) >= (int)sizeof(in->dir) - 32)
		return fail(in, "%s: %s", home, strerror(ENAMETOOLONG));
	in->made_parent = mkdir(in->dir, 0777) == 0;
	strcat(in->dir, "/bin");
	in->made_dir = mkdir(in->dir, 0777) == 0;
	snprintf(in->tmp, sizeof(in->tmp), "%s/.tsproxy-XXXXXX", in->dir);
	if (mkdtemp(in->tmp))
		return true;
	in->tmp[0] = '\0';
	return fail(in, "%s: %s", in->dir, strerror(errno));
}

static void remove_all(const char *dir)
{
	char path[TS_UP_PATH_MAX * 2];
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) < (int)sizeof(path) && unlink(path) != 0 && errno == EISDIR)
			remove_all(path);
	if (d)
		closedir(d);
	rmdir(dir);
}

static void clean_up(struct install *in, bool done)
{
	if (in->tmp[0])
		remove_all(in->tmp);
	if (!done && in->made_dir && rmdir(in->dir) == 0 && in->made_parent) {
		*strrchr(in->dir, '/') = '\0';
		rmdir(in->dir);
	}
}

int ts_up_install(const char *site)
{
	struct ts_own_ports ports;
	struct install *in = calloc(1, sizeof(*in));
	bool done = false;
	sigset_t set;

	if (!in)
		return 1;
	in->site = site;
	ts_own_ports(&ports);
	in->env = ts_up_environment(&ports);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &in->before);
	in->signals = signalfd(-1, &set, SFD_CLOEXEC);
	ts_up_step("installing Tailscale from %s into ~/.local/bin", site);
	if (in->env && in->signals >= 0)
		done = make_folders(in) && choose_tool(in) && find_archive(in) && fetch(in, in->name, "archive") && verify(in) && unpack(in);
	else
		fail(in, "%s", strerror(errno));
	clean_up(in, done);
	if (done)
		ts_up_end("%s", in->name);
	else
		ts_up_end("failed: %s", in->signal ? "interrupted" : in->why);
	sigprocmask(SIG_SETMASK, &in->before, NULL);
	if (in->signal)
		raise(in->signal);
	close(in->signals);
	free(in->env);
	free(in);
	return done ? 0 : 1;
}
