/* SPDX-License-Identifier: MIT */
/*
 * Running `tailscale`, whose --json tells the link to log in with. It may wait for long: for somebody to open the link, or for a
 * control server that does not answer, of which it says nothing; then the daemon is asked what it misses. An interrupt ends it with
 * us, also where it came to this process alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "up.h"

#define TICK_MS 1000
#define PATIENCE_TICKS 15
#define LOGIN_S 60
#define LINK_S 600 /* for somebody to open the link */

struct stream {
	int fd;
	char buf[16384];
	size_t have;
};

struct follow {
	const struct ts_up *up;
	bool *refused; /* null: an error of the control server's is said like all else */
	struct stream out, err;
	char shown[512]; /* the link */
	unsigned ticks;
	char said[960]; /* the first line on its standard error, in our words */
};

static void show_link(struct follow *f, const char *url)
{
	if (!url[0] || strcmp(url, f->shown) == 0)
		return;
	snprintf(f->shown, sizeof(f->shown), "%s", url);
	ts_up_say("to log in, open");
	fprintf(stderr, "\n\t%s\n\n", url);
	if (isatty(STDERR_FILENO) && ts_qr_print(url))
		fputc('\n', stderr);
	ts_up_step("waiting for the login");
}

/* Each whole object that has come. What is none is thrown away. */
static void take_objects(struct follow *f)
{
	struct stream *s = &f->out;
	json_error_t why;
	json_t *o;

	while ((o = json_loadb(s->buf, s->have, JSON_DISABLE_EOF_CHECK, &why)) != NULL) {
		const char *url = json_string_value(json_object_get(o, "AuthURL"));
		char safe[512];

		if (url)
			show_link(f, ts_tool_printable(url, strlen(url), safe, sizeof(safe)));
		json_decref(o);
		s->have -= (size_t)why.position;
		memmove(s->buf, s->buf + why.position, s->have);
	}
	if (s->have == sizeof(s->buf))
		s->have = 0;
}

/*
 * Of what it says, the first line counts: behind it comes its whole manual. It is told where `tailscale` fails; one that succeeds may well
 * have advice, which is not ours.
 */
static void take_line(struct follow *f, const char *line, size_t len)
{
	static const char refusal[] = "backend error: ";
	size_t n = sizeof(refusal) - 1;
	bool refused = len >= n && memcmp(line, refusal, n) == 0;

	if (len > 900)
		len = 900;
	if (refused && f->refused)
		*f->refused = true;
	else if (len && !f->said[0])
		snprintf(f->said, sizeof(f->said), "%s: %.*s", refused ? "the login server refuses" : "tailscale",
			 (int)(refused ? len - n : len), refused ? line + n : line);
}

static void take_lines(struct follow *f, bool all)
{
	struct stream *s = &f->err;
	char *end;

	while (s->have && ((end = memchr(s->buf, '\n', s->have)) || all || s->have == sizeof(s->buf))) {
		size_t len = end ? (size_t)(end - s->buf) : s->have, used = len + (end != NULL);

		take_line(f, s->buf, len);
		s->have -= used;
		memmove(s->buf, s->buf + used, s->have);
	}
}

/* False at its end. */
static bool fill(struct stream *s)
{
	ssize_t n = read(s->fd, s->buf + s->have, sizeof(s->buf) - s->have);

	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0) {
		close(s->fd);
		s->fd = -1;
		return false;
	}
	s->have += (size_t)n;
	return true;
}

/* How long it may take, in ticks; 0: for ever. Without a terminal nobody is there who would end it. */
static unsigned limit(const struct follow *f)
{
	if (f->up->limit_s >= 0)
		return (unsigned)f->up->limit_s;
	return isatty(STDERR_FILENO) ? 0 : f->shown[0] ? LINK_S : LOGIN_S;
}

/* Until both streams have ended: 0; or a signal came: its number; or time is up: -1. */
static int follow(struct follow *f, int signals)
{
	struct signalfd_siginfo info;

	while (f->out.fd >= 0 || f->err.fd >= 0) {
		struct pollfd p[3] = { { f->out.fd, POLLIN, 0 }, { f->err.fd, POLLIN, 0 }, { signals, POLLIN, 0 } };
		int n = poll(p, 3, TICK_MS);

		if (n < 0 && errno != EINTR)
			break;
		if (n == 0) {
			ts_up_tick();
			if (++f->ticks % PATIENCE_TICKS == 0 && !f->shown[0])
				ts_up_say_what_misses(f->up);
			if (limit(f) && f->ticks >= limit(f))
				return -1;
			continue;
		}
		if (p[2].revents && read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
			return (int)info.ssi_signo;
		if (p[0].revents && fill(&f->out))
			take_objects(f);
		if (p[1].revents)
			take_lines(f, !fill(&f->err));
	}
	return 0;
}

static int spawn(const struct ts_up *up, char **argv, int out_fd, int err_fd, const sigset_t *mask, pid_t *pid)
{
	struct ts_own_ports ports;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	char **env;
	int err;

	ts_own_ports(&ports);
	env = ts_up_environment(&ports);
	if (!env)
		return ENOMEM;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, err_fd, STDERR_FILENO);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, mask);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	fflush(NULL);
	err = posix_spawn(pid, up->tailscale, &actions, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	free(env);
	return err;
}

/* Ends by the signal that came, once it is clear how things stand. */
static void end_by(const struct ts_up *up, int number, const sigset_t *before)
{
	ts_up_say(up->own ? "not logged in; the daemon keeps running. To try again: tsproxy up. To stop it: tsproxy down" :
			    "not logged in; to try again: tsproxy up");
	signal(number, SIG_DFL);
	sigprocmask(SIG_SETMASK, before, NULL);
	raise(number);
}

static int run(struct follow *f, char **argv, int signals, const sigset_t *before)
{
	int out[2], err[2], status = 0, code, number;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) != 0)
		return 1;
	if (pipe2(err, O_CLOEXEC) != 0) {
		close(out[0]);
		close(out[1]);
		return 1;
	}
	code = spawn(f->up, argv, out[1], err[1], before, &pid);
	close(out[1]);
	close(err[1]);
	f->out.fd = out[0];
	f->err.fd = err[0];
	number = code ? 0 : follow(f, signals);
	if (f->out.fd >= 0)
		close(f->out.fd);
	if (f->err.fd >= 0)
		close(f->err.fd);
	if (code) {
		ts_up_say("%s: %s", f->up->tailscale, strerror(code));
		return 1;
	}
	if (number)
		kill(pid, SIGTERM);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (number > 0)
		end_by(f->up, number, before);
	if (number == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (f->said[0] && !(f->refused && *f->refused))
		ts_up_say("%s", f->said);
	if (number)
		ts_up_say("not logged in after %u seconds; to try again: tsproxy up", f->ticks);
	return 1;
}

int ts_up_tailscale(const struct ts_up *up, char **argv, bool *refused)
{
	struct follow *f = calloc(1, sizeof(*f));
	sigset_t set, before;
	int signals, ret = 1;

	if (!f)
		return 1;
	f->up = up;
	f->refused = refused;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &before);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals >= 0) {
		ret = run(f, argv, signals, &before);
		close(signals);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	free(f);
	return ret;
}
