/* SPDX-License-Identifier: MIT */
/*
 * tsproxy-up: a daemon for this user where none runs, logged in, and the map made. Each step looks first whether it is
 * done already, so it is safe to run repeatedly. What the daemon remembers, its login and settings, is asked of it each time
 * and changed only where the flags say so. A daemon that runs already is used and never started anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "../command/others.h"
#include "../command/up.h"

static const char usage[] =
	"usage: tsproxy up [options] [--] [flags of tailscale up]\n"
	"Starts a tailscaled without root if none runs, logs in, and makes the map.\n"
	"Safe to run repeatedly: a node that is up stays as it is.\n"
	"  --authkey KEY|file:FILE   log in with this key (or TS_AUTHKEY)\n"
	"  --hostname, --login-server etc., and all after --, are passed to tailscale\n"
	"  --own                 start a separate daemon, even if another runs\n"
	"  --ephemeral           store no state: the node disappears with the daemon\n"
	"  --systemd             run the daemon as a unit of systemd's user manager\n"
	"  --foreground          do not return, for a container's entry point\n"
	"  --timeout TIME        give up a login after this time (90s, 2m)\n"
	"  --install             fetch a missing tailscaled;  --no-login  log in later\n";

struct words {
	bool own, systemd, foreground, no_login, install;
};

/* Another daemon that answers: then that is the one to use. */
static bool find_other(struct ts_up *up, const struct ts_map_settings *set)
{
	char why[TS_WHY_MAX], *text;
	const char *from;
	size_t len;

	if (ts_source_text(set, &text, &len, &from, why) != 0)
		return false;
	free(text);
	if (from[0] != '/' || strcmp(from, up->socket) == 0)
		return false;
	snprintf(up->socket, sizeof(up->socket), "%s", from);
	up->own = false;
	up->named = (set->socket && *set->socket) || getenv("TS_SOCKET");
	return true;
}

static void say_log(const struct ts_up *up)
{
	char how[64];

	if (ts_up_has_ended(up, how))
		ts_tool_error("tailscaled did not start: it exited with %s; see its log: %s/tailscaled.log", how, up->dir);
	else
		ts_tool_error("tailscaled did not start; see its log: %s/tailscaled.log", up->dir);
}

/* Tailscale's archive of static programs needs no root. Always 1. */
static int say_not_installed(void)
{
	ts_tool_error("no tailscaled is installed (PATH, /usr/sbin, ~/.local/bin); to install tailscale without root: tsproxy up"
		      " --install, or by hand:");
	fprintf(stderr, "\n\tmkdir -p ~/.local/bin\n"
			"\tcurl -fsSL https://pkgs.tailscale.com/stable/tailscale_latest_%s.tgz | tar -xz -C ~/.local/bin"
			" --strip-components=1 --exclude=systemd\n\n", TS_UP_MACHINE);
	return 1;
}

/* The site that the archive comes from, without a slash at its end; null where TSPROXY_MIRROR names none (said). */
static const char *find_site(void)
{
	static char site[512];
	const char *mirror = getenv("TSPROXY_MIRROR");
	size_t len;

	if (!mirror || !*mirror)
		return "https://pkgs.tailscale.com/stable";
	len = strlen(mirror);
	if (strncmp(mirror, "https://", 8) != 0 || !mirror[8] || mirror[8] == '/' || len >= sizeof(site) || strpbrk(mirror, " \t\n?#")) {
		ts_tool_error("up: TSPROXY_MIRROR=%s: must be a URL that begins with https://", mirror);
		return NULL;
	}
	snprintf(site, sizeof(site), "%s", mirror);
	while (site[len - 1] == '/')
		site[--len] = '\0';
	return site;
}

static int start_own(struct ts_up *up, const struct words *w, struct ts_up_state *state)
{
	struct ts_own_ports ports;

	if (!ts_up_supervisor(up)) {
		if (!up->tailscaled[0])
			return say_not_installed();
		up->began = true;
		ts_up_step("starting %s", up->tailscaled);
		if (w->systemd ? ts_up_unit_start(up) : ts_up_start(up)) {
			ts_up_end("failed");
			say_log(up);
			return 1;
		}
	} else if (up->ephemeral && ts_own_ports(&ports) && !ports.ephemeral) {
		ts_tool_error("up: --ephemeral: a daemon that stores its state already runs; stop it first: tsproxy down");
		return 1;
	}
	if (ts_up_wait_answer(up, state)) {
		if (up->began)
			ts_up_end("done");
		return 0;
	}
	ts_up_end("failed");
	say_log(up);
	if (up->began)
		w->systemd ? ts_up_unit_stop() : ts_up_stop(up);
	return 1;
}

/* tailscaled does not bear two logins at once. Held until this process ends; a second one finds the first one's done. */
static void one_at_a_time(const struct ts_up *up, struct ts_up_state *state)
{
	char path[TS_UP_PATH_MAX + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/login.lock", up->dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return;
	ts_up_step("waiting for another tsproxy up to log in");
	while (flock(fd, LOCK_EX) != 0 && errno == EINTR)
		;
	ts_up_end(ts_up_ask(up, state) ? "done" : "failed");
}

static int say_refused(const struct ts_up *up, int ret)
{
	if (ret && !up->own && up->tailscale[0])
		ts_tool_error("the daemon at %s was not started by tsproxy: run sudo tailscale up, or tsproxy up --own to start a separate one",
			      up->socket);
	return ret;
}

static int wait_running(const struct ts_up *up, struct ts_up_state *state)
{
	if (ts_up_wait_state(up, true, state)) {
		ts_up_end("done");
		return 0;
	}
	ts_up_end("%s", strcmp(state->backend, "NeedsMachineAuth") == 0 ? "an admin must approve this node" :
			strcmp(state->backend, "NeedsLogin") == 0 ? "failed" :
			"the login server does not answer; to try again: tsproxy up");
	return 1;
}

/* By `tailscale set`: one by one, so that nothing else changes. */
static int change_settings(const struct ts_up *up, char **flags)
{
	int ret;

	if (!flags[0])
		return 0;
	ts_up_step("changing settings");
	ret = ts_up_set(up, flags);
	ts_up_end(ret ? "failed" : "done");
	return say_refused(up, ret);
}

static int log_in(struct ts_up *up, char **flags, const json_t *prefs, char **out, struct ts_up_state *state)
{
	size_t n;
	int ret;

	if (!ts_up_flags_all(flags, prefs, out))
		return 1;
	if (strcmp(state->backend, "NeedsLogin") != 0 && ts_up_flags_move(flags, prefs)) {
		n = ts_up_flags_count(out);
		out[n] = (char *)"--force-reauth";
		out[n + 1] = NULL;
	}
	ts_up_step("logging in");
	ret = ts_up_login(up, out);
	if (ret) {
		ts_up_end("failed");
		return say_refused(up, ret);
	}
	ret = wait_running(up, state);
	if (ret)
		return ret;
	ts_up_flags_set(flags, prefs, true, out);
	return change_settings(up, out);
}

static int resume(const struct ts_up *up, struct ts_up_state *state)
{
	int ret;

	if (strcmp(state->backend, "Running") == 0)
		return 0;
	if (strcmp(state->backend, "Stopped") == 0) {
		ts_up_step("it is stopped; bringing it up with its settings");
		ret = ts_up_resume(up);
		if (ret) {
			ts_up_end("failed");
			return say_refused(up, ret);
		}
	} else {
		ts_up_step("connecting");
	}
	return wait_running(up, state);
}

/* What the node needs to be up as the flags say; what is so already is left alone. */
static int settle(struct ts_up *up, char **flags, struct ts_up_state *state)
{
	char **out = calloc(ts_up_flags_room(flags), sizeof(*out));
	json_t *prefs = NULL;
	int ret = 1;

	if (!out)
		return 1;
	if (!ts_up_wait_state(up, false, state)) {
		ts_tool_error("the login server does not answer; to try again: tsproxy up");
		goto out;
	}
	prefs = ts_up_prefs(up);
	if (strcmp(state->backend, "Running") != 0 || ts_up_flags_want_login(flags, prefs) ||
	    ts_up_flags_set(flags, prefs, false, out)) {
		one_at_a_time(up, state);
		json_decref(prefs);
		prefs = ts_up_prefs(up);
	}
	if (strcmp(state->backend, "NeedsLogin") == 0 || ts_up_flags_want_login(flags, prefs)) {
		ret = log_in(up, flags, prefs, out, state);
	} else {
		ts_up_flags_set(flags, prefs, false, out);
		ret = change_settings(up, out);
		if (ret == 0)
			ret = resume(up, state);
	}
out:
	json_decref(prefs);
	free(out);
	return ret;
}

static void say_what_next(const struct ts_up *up, const struct ts_conf *conf, const struct ts_up_state *state)
{
	struct ts_map map;
	struct ts_endpoint e;
	char text[TS_ADDR_TEXT_MAX + 16], names[256];

	printf("Connected as %s (%s)%s%s.\n", *state->name ? state->name : "a node without a name", state->ip,
	       up->own ? "" : " through the tailscaled at ", up->own ? "" : up->socket);
	if (state->tun) {
		printf("The kernel routes the tailnet (TUN): programs need no tsproxy.\n");
		return;
	}
	if (ts_map_load(conf->map_path, &map) == 0) {
		if (ts_map_endpoint(&map, 0, &e) == 1)
			printf("Proxy: %s; %u nodes.\n", ts_walk_endpoint(&e, text, sizeof(text)),
			       ts_map_header(&map).nodes.count);
		ts_map_unload(&map);
	}
	if (ts_others(names, sizeof(names)))
		printf("Other users of this machine (%s) can reach the tailnet as this node, too: see tsproxy doctor.\n", names);
	printf("Next: tsproxy -- ssh NODE; eval \"$(tsproxy env)\" for a whole shell%s\n",
	       up->own ? "; tsproxy down to stop" : "");
}

/* All but the daemon itself. An exit status. */
static int bring_up(struct ts_up *up, const struct ts_conf *conf, const struct words *w, char **flags)
{
	struct ts_up_state state = { .backend = "" };
	int ret = 0;

	if (up->own)
		ret = start_own(up, w, &state);
	else if (!ts_up_wait_answer(up, &state))
		ret = 1;
	if (ret || w->no_login)
		return ret;
	ret = settle(up, flags, &state);
	if (ret)
		return ret;
	ret = ts_sync(conf);
	if (ret && !state.tun) {
		if (!up->own)
			ts_tool_error("to start a daemon with proxies: tsproxy up --own");
		return ret;
	}
	say_what_next(up, conf, &state);
	return ts_tool_flush();
}

static int stay(struct ts_up *up, const struct ts_conf *conf, const struct words *w, char **flags)
{
	int ready[2];
	char c;

	if (!up->tailscaled[0])
		return say_not_installed();
	if (ts_up_supervisor(up)) {
		ts_tool_error("a daemon already runs in the background; to stop it: tsproxy down");
		return 1;
	}
	if (w->no_login)
		return ts_up_supervise(up, -1);
	if (pipe(ready) != 0)
		return 1;
	fflush(NULL);
	if (fork() == 0) {
		close(ready[1]);
		/* Until the lock is held, or nobody is left to hold it. */
		if (read(ready[0], &c, 1) == 0 && ts_up_supervisor(up))
			_exit(bring_up(up, conf, w, flags));
		_exit(1);
	}
	close(ready[0]);
	return ts_up_supervise(up, ready[1]);
}

/* What is left are flags of `tailscale up`, behind "--" or not. */
static char **take_flags(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--") == 0) {
			memmove(&argv[i], &argv[i + 1], (size_t)(argc - i) * sizeof(*argv));
			break;
		}
	return argv + 1;
}

/* Seconds, or what `tailscale up` takes: 90s, 2m, 1m30s. */
static bool read_timeout(const char *s, int *out)
{
	long total = 0;
	char *end;

	if (!s)
		return true;
	for (const char *p = s; *p; p = end) {
		long n = strtol(p, &end, 10);
		long unit = *end == 'h' ? 3600 : *end == 'm' ? 60 : 1;

		if (end == p || n < 0 || n > 100000 || (*end && !strchr("hms", *end))) {
			ts_tool_error("up: --timeout %s: must be a number of seconds, or a time such as 90s or 2m", s);
			return false;
		}
		total += n * unit;
		end += *end != '\0';
	}
	*out = (int)total;
	return true;
}

/* The programs, and the daemon to use. An exit status. */
static int choose(struct ts_up *up, const struct ts_map_settings *set, const struct words *w, const char *site)
{
	const char *profile = getenv("TSPROXY_PROFILE");
	int ret = 0;

	ts_up_find_programs(up);
	/* Another profile is another tailnet: what runs for this one is of no use there. */
	if (!w->own && (!profile || !*profile || strcmp(profile, "default") == 0 || set->socket) && !ts_up_supervisor(up))
		find_other(up, set);
	if (w->install && (!up->tailscale[0] || (up->own && !up->tailscaled[0]))) {
		ret = ts_up_install(site);
		ts_up_find_programs(up);
	}
	return ret;
}

int main(int argc, char **argv)
{
	struct ts_map_settings set = { 0 };
	struct ts_up up = { .own = true, .limit_s = -1 };
	const char *timeout = NULL, *site;
	struct ts_conf conf;
	struct words w;
	char **flags;
	int ret;

	ret = ts_options_begin(&argc, argv, usage, NULL, &conf);
	if (ret)
		return ret < 0 ? 0 : ret;
	w.own = ts_options_flag(&argc, argv, "--own");
	w.systemd = ts_options_flag(&argc, argv, "--systemd");
	w.foreground = ts_options_flag(&argc, argv, "--foreground");
	w.no_login = ts_options_flag(&argc, argv, "--no-login");
	w.install = ts_options_flag(&argc, argv, "--install");
	up.ephemeral = ts_options_flag(&argc, argv, "--ephemeral");
	if (ts_options_value(&argc, argv, "--timeout", &timeout) || !read_timeout(timeout, &up.limit_s))
		return 2;
	site = w.install ? find_site() : "";
	if (!site)
		return 2;
	flags = take_flags(argc, argv);
	if (ts_up_hide_secrets(flags))
		return 1;
	ret = ts_up_flags_join(flags);
	if (ret)
		return ret;
	if (ts_settings_load(&set, NULL))
		return 2;
	if (set.status && *set.status) {
		ts_tool_error("up: with --status %s no daemon is asked, so none can be started", set.status);
		ret = 2;
	} else if (w.systemd && w.foreground) {
		ts_tool_error("up: --systemd and --foreground exclude each other");
		ret = 2;
	} else {
		ret = ts_up_prepare(&up) ? 1 : 0;
	}
	if (ret == 0)
		ret = choose(&up, &set, &w, site);
	if (ret == 0)
		ret = w.foreground && up.own ? stay(&up, &conf, &w, flags) : bring_up(&up, &conf, &w, flags);
	ts_settings_free(&set);
	return ret;
}
