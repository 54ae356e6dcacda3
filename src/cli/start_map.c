/* SPDX-License-Identifier: MIT */
/*
 * The command must not find a child that it did not make, nor wait for a daemon that hangs. So tsproxy-sync
 * is a grandchild in a session of its own, with none of our descriptors, whose parent is gone before the command
 * starts. Where it is waited for, its standard error is a pipe: its lines are passed on while we wait, its end is
 * the end of file, and after 1 s it goes on alone, unheard.
 *
 * As PID 1 or as a child subreaper (prctl(2)) we would inherit the grandchild: there it is a plain child, waited
 * for in any case, and killed after 1 s. It puts a map in place by rename, so nothing is half done then.
 *
 * A map made from a stream is a file of its own, stdin-PID.map beside the usual one: the command has our PID,
 * and so has the file for as long as it runs. Later ones remove those whose process is gone for a day.
 */
#include "start_map.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "environ.h"
#include "help.h"
#include "parts.h"
#include "place.h"
#include "way.h"
#include "tsproxy/buf.h"
#include "tsproxy/map.h"
#include "tsproxy/refresh.h"
#include "tsproxy/sys.h"

#define OLD_NS (10 * INT64_C(1000000000))
#define DOWN_OLD_NS (INT64_C(1000000000) / 4)
#define WAIT_MS 1000
#define DAY_S 86400

enum age { AGE_FRESH, AGE_OLD, AGE_MISSING };

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/*
 * When the map was made; 0 where there is none that readers would take, as far as its first bytes tell. *down: nothing
 * led to the tailnet: the daemon was stopped then, or about to start, or had no proxy, or that did not answer.
 */
static int64_t made_ns(const char *path, bool *down)
{
	struct ts_map_header h;
	struct stat st;
	int64_t made = 0;
	int fd = (int)ts_sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	*down = false;
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_uid == getauxval(AT_EUID) || st.st_uid == 0) && !(st.st_mode & 022) &&
	    pread(fd, &h, sizeof(h), 0) == sizeof(h) && memcmp(h.magic, TS_MAP_MAGIC, sizeof(h.magic)) == 0 &&
	    h.version == TS_MAP_VERSION && h.header_len == sizeof(h))
		made = h.made_ns;
	*down = made && !(h.flags & TS_MAP_TUN) &&
		(h.state == TS_STATE_STOPPED || h.state == TS_STATE_NEEDS_LOGIN || !h.endpoints.count || h.flags & TS_MAP_NO_ANSWER);
	close(fd);
	return made;
}

/* The file that the map is to be made from, where one is set. */
static const char *status_file(const struct ts_environ *env)
{
	const char *file = ts_env_get(env->v, "TSPROXY_STATUS");

	return file && *file ? file : NULL;
}

/* Whether a watch keeps the map current: then it is as good as new at any age. */
static bool is_watched(const char *path)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = TS_REFRESH_CURRENT, .l_len = 1 };
	int fd = open(ts_join(path, TS_REFRESH_SUFFIX), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	bool held;

	if (fd < 0)
		return false;
	held = fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
	close(fd);
	return held;
}

static enum age age_of(const char *path, const char *source, const struct ts_environ *env)
{
	int64_t now = clock_ns(CLOCK_REALTIME), made;
	struct ts_way way;
	bool down;

	made = made_ns(path, &down);
	/* A daemon that was down may be up a moment later, and with it the command would fail for no reason. */
	if (!made || (down && !source && now - made > DOWN_OLD_NS))
		return AGE_MISSING;
	if (ts_conf_files_newer(env->v, made))
		return AGE_MISSING;
	/* Whether a proxy that worked then has gone meanwhile would cost each start four system calls; for so long its connects tell. */
	if ((made <= now && now - made <= OLD_NS) || is_watched(path))
		return AGE_FRESH;
	/* Where the proxy has gone, the command waits to be told so, or for another to be found. */
	ts_way_find(path, &way);
	return way.kind == TS_WAY_GONE ? AGE_MISSING : AGE_OLD;
}

static void close_all(void)
{
	struct rlimit limit;
	int end = 1024;

	if (ts_sys(SYS_close_range, 3, ~0u, 0) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 65536)
		end = (int)limit.rlim_cur;
	for (int fd = 3; fd < end; fd++)
		close(fd);
}

/* In the child: becomes tsproxy-sync, with nothing of ours but the settings. `err_fd` is its standard error, or -1. */
static _Noreturn void become_sync(const char *sync, struct ts_environ env, int err_fd)
{
	char *const argv[] = { (char *)"tsproxy-sync", NULL };
	int null;

	setsid();
	null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3; fd++)
		dup2(fd == 2 && err_fd >= 0 ? err_fd : null, fd);
	close_all();
	signal(SIGPIPE, SIG_IGN);
	if (chdir("/") != 0)
		_exit(TS_EXIT_NOT_RUN);
	ts_environ_unset(&env, "LD_PRELOAD");
	execve(sync, argv, env.v);
	_exit(TS_EXIT_NOT_RUN);
}

/* A pipe whose ends are no standard descriptors, even where those are closed. */
static int high_pipe(int fds[2])
{
	int low[2], ret = 0;

	if (pipe2(low, O_CLOEXEC) != 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		fds[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 10);
		if (fds[i] < 0)
			ret = -errno;
	}
	close(low[0]);
	close(low[1]);
	return ret;
}

/* Passes on what comes from `fd` until its end, or for WAIT_MS. True where the end came. */
static bool relay(int fd)
{
	int64_t end = clock_ns(CLOCK_MONOTONIC) + WAIT_MS * INT64_C(1000000);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[512];

	for (;;) {
		int64_t left = (end - clock_ns(CLOCK_MONOTONIC)) / 1000000;
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			return false;
		n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			return true;
		if (write(2, buf, (size_t)n) != n)
			return false;
	}
}

static bool orphans_are_ours(void)
{
	int subreaper = 0;

	return getpid() == 1 || (prctl(PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0) == 0 && subreaper);
}

/* True where it was waited for and has ended. */
static bool run_sync(const char *sync, const struct ts_environ *env, bool wait)
{
	static const char *const unable = "tsproxy-sync cannot be started: ";
	bool keep = orphans_are_ours(), ended = false;
	int fds[2] = { -1, -1 };
	pid_t pid;

	errno = wait || keep ? -high_pipe(fds) : 0;
	pid = errno ? -1 : fork();
	if (pid < 0)
		ts_say(unable, strerror(errno));
	if (pid == 0) {
		if (!keep && fork() != 0)
			_exit(0);
		become_sync(sync, *env, fds[1]);
	}
	if (fds[1] >= 0)
		close(fds[1]);
	if (fds[0] >= 0) {
		ended = relay(fds[0]);
		close(fds[0]);
	}
	if (pid < 0)
		return false;
	if (keep)
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return ended;
}

int ts_refresh_map(struct ts_conf *conf, struct ts_environ *env)
{
	const char *file = status_file(env), *sync;
	int64_t before;
	enum age age;
	bool down;

	/* What came from a stream cannot be asked again. */
	if (ts_refresh_is_stream(env))
		return 0;
	age = conf->map_path[0] ? age_of(conf->map_path, file, env) : AGE_MISSING;
	/* Nobody is to be shut out by a place that tsproxy-sync would fail with; it then says why. */
	if (age != AGE_FRESH && ts_place_find(conf, env))
		age = age_of(conf->map_path, file, env);
	if (age == AGE_FRESH || !conf->map_path[0])
		return 0;
	sync = ts_parts_command("sync");
	if (!sync) {
		ts_say("tsproxy-sync is missing, so tailnet names do not resolve; install tsproxy again");
		return 0;
	}
	before = made_ns(conf->map_path, &down);
	/* Who names a file wants no other source, nor its former content; sync has said what is wrong with it. */
	if (run_sync(sync, env, age == AGE_MISSING) && file && made_ns(conf->map_path, &down) == before)
		return TS_EXIT_USAGE;
	return 0;
}

/* Removes maps of standard input whose process is gone. A day's grace: others may live in another PID namespace. */
static void sweep(const char *dir)
{
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d))) {
		char *end;
		struct stat st;
		long pid;

		if (strncmp(e->d_name, "stdin-", 6) != 0)
			continue;
		pid = strtol(e->d_name + 6, &end, 10);
		if (pid > 0 && strcmp(end, ".map") == 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH &&
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtime + DAY_S < time(NULL))
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}

bool ts_refresh_is_stream(const struct ts_environ *env)
{
	const char *status = ts_env_get(env->v, "TSPROXY_STATUS");
	struct stat st;

	return status && *status && (ts_conf_stream(status) >= 0 || (stat(status, &st) == 0 && S_ISFIFO(st.st_mode)));
}

int ts_refresh_from_stream(struct ts_environ *env)
{
	const char *source = ts_env_get(env->v, "TSPROXY_STATUS");
	struct ts_conf conf;
	const char *sync = ts_parts_command("sync");
	char *path, *slash, pid_text[24];
	struct ts_wr w = ts_wr_over(pid_text, sizeof(pid_text));
	int status = -1;
	bool down;
	pid_t pid;

	ts_conf_load(&conf, env->v);
	ts_place_find(&conf, env);
	slash = strrchr(conf.map_path, '/');
	if (!sync || !slash) {
		ts_say(sync ? ts_join("--status ", source, ": no directory for the map; set HOME or XDG_RUNTIME_DIR") :
			      "tsproxy-sync is missing; install tsproxy again");
		return TS_EXIT_USAGE;
	}
	*slash = '\0';
	sweep(conf.map_path);
	ts_wr_dec(&w, (uint64_t)getpid());
	ts_wr_end(&w);
	path = ts_join(conf.map_path, "/stdin-", pid_text, ".map");
	unlink(path);
	pid = fork();
	if (pid == 0) {
		char *const argv[] = {
			(char *)"tsproxy-sync", (char *)"--status", (char *)source, (char *)"--map", path, NULL,
		};

		ts_environ_unset(env, "LD_PRELOAD");
		execve(sync, argv, env->v);
		_exit(TS_EXIT_NOT_RUN);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	/* A map without a proxy is one, as it is from a file. */
	if (status != 0 && made_ns(path, &down) == 0)
		return TS_EXIT_USAGE;
	ts_environ_set(env, "TSPROXY_MAP", path);
	ts_environ_set(env, "TSPROXY_STATUS", "-");	/* the descriptor may be anything's further down */
	return 0;
}
