/* SPDX-License-Identifier: MIT */
/*
 * Keeps the map current: follows the daemon's bus (LocalAPI, watch-ipn-bus) and makes the map at each change that it
 * could show. What the bus says is only a signal; the map is always made of the whole status, so that there is one way
 * of reading a tailnet. Once a minute it is made anyway: keys expire, and records change, without a word on the bus.
 *
 * While the map is what the daemon last said, the lock on TS_REFRESH_CURRENT tells programs that they need not ask for
 * a fresher one, however old it is (refresh.h). It is given up whenever that is not so: while the daemon is away or the
 * map cannot be made, and while this process is stopped from the keyboard.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../names/map_write.h"
#include "tsproxy/refresh.h"
#include "tsproxy/tool.h"

#define ANYWAY_MS 60000
#define SETTINGS_MS 5000 /* how soon a changed setting is seen */
#define AGAIN_MS 1000	 /* after a map that could not be made */
#define GATHER_MS 20	 /* changes come in bursts */
#define RECONNECT_MS 250
#define RECONNECT_SLOW_MS 1000
#define RECONNECT_FAST 40 /* attempts before it becomes slow */

static int lock_fd = -1;
static volatile sig_atomic_t was_stopped;

/* What a map could show. The value follows at once; null means: not changed. */
static const char *const keys[] = {
	"\"State\":", "\"Prefs\":", "\"NetMap\":", "\"SelfChange\":", "\"PeersChanged\":", "\"PeersRemoved\":",
	"\"Online\":",
};
#define KEY_MAX 16

static int lock_byte(enum ts_refresh_byte byte, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	return fcntl(lock_fd, F_OFD_SETLK, &l) == 0 ? 0 : -errno;
}

static void say_current(bool current)
{
	lock_byte(TS_REFRESH_CURRENT, current ? F_WRLCK : F_UNLCK);
}

static void on_stop(int sig)
{
	int err = errno;

	(void)sig;
	say_current(false);
	was_stopped = 1;
	raise(SIGSTOP);
	errno = err;
}

/* Opens the refresh file and claims the watch. 0 or an exit status. */
static int claim(const char *path)
{
	const char *name;
	char file[300];
	int dir_fd = ts_map_open_dir(path, &name), err = dir_fd < 0 ? dir_fd : 0;

	if (!err) {
		snprintf(file, sizeof(file), "%s" TS_REFRESH_SUFFIX, name);
		lock_fd = ts_file_open(dir_fd, file, O_RDWR | O_CREAT);
		err = lock_fd < 0 ? lock_fd : lock_byte(TS_REFRESH_WATCH, F_WRLCK);
		close(dir_fd);
	}
	if (err == -EAGAIN || err == -EACCES)
		ts_tool_error("another tsproxy sync --watch already runs for %s", path);
	else if (err)
		ts_tool_error("cannot watch %s: %s", path, strerror(-err));
	return err ? 1 : 0;
}

/* Whether `text` says that something changed. Sentences may be cut anywhere: what is left over of one is looked at again. */
static bool tells_change(const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		size_t n = strlen(keys[i]);
		const char *p = text;

		while ((p = memmem(p, len - (size_t)(p - text), keys[i], n)) != NULL) {
			p += n;
			if (p < text + len && *p != 'n')
				return true;
		}
	}
	return false;
}

struct bus {
	int fd;	/* -1: not connected */
	char text[(64 << 10) + KEY_MAX];
	size_t kept;	/* the end of what was read before */
	bool spoke;
};

static void disconnect(struct bus *b)
{
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
	b->kept = 0;
	b->spoke = false;
	say_current(false);
}

/* Reads what is there. Whether it tells of a change; the end of the stream does too. */
static bool read_bus(struct bus *b)
{
	ssize_t n = read(b->fd, b->text + b->kept, sizeof(b->text) - b->kept);
	size_t len;
	bool change;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (n <= 0) {
		disconnect(b);
		return true;
	}
	len = b->kept + (size_t)n;
	if (!b->spoke && memmem(b->text, len, "\r\n\r\n", 4) && !memmem(b->text, len, " 200 ", 5)) {
		ts_tool_error("tailscaled does not report changes (%.40s)", b->text);
		disconnect(b);
		return true;
	}
	b->spoke = true;
	change = tells_change(b->text, len);
	b->kept = len < KEY_MAX ? len : KEY_MAX;
	memmove(b->text, b->text + len - b->kept, b->kept);
	return change;
}

static int connect_bus(struct bus *b)
{
	char why[TS_WHY_MAX] = "";
	struct ts_map_settings set;
	int err = ts_settings_load(&set, NULL);

	if (!err && set.status && *set.status) {
		ts_tool_error("sync: --watch needs a daemon and cannot be used with --status");
		ts_settings_free(&set);
		return -EINVAL;
	}
	if (!err)
		b->fd = ts_source_watch(&set, why);
	ts_settings_free(&set);
	if (!err && b->fd < 0)
		ts_tool_warn("%s; waiting for it", why);
	return err;
}

/* Waits `ms` at most for a word of the daemon; true where it tells of a change. */
static bool listen_for(struct bus *b, int64_t ms)
{
	struct pollfd p = { .fd = b->fd, .events = POLLIN };

	return poll(&p, 1, ms > 0 ? (int)ms : 0) > 0 && read_bus(b);
}

/* Makes the map; when it is to be made again without a word of the daemon. */
static int64_t make(const struct ts_conf *conf, const struct bus *b)
{
	int64_t began = ts_tool_now_ms(), end;
	bool good;

	was_stopped = 0;
	good = ts_sync(conf) == 0;
	end = ts_tool_now_ms();
	if (good)
		ts_tool_anew();
	say_current(good && b->fd >= 0 && !was_stopped);
	if (!good)
		return end + AGAIN_MS;
	/* A tailnet whose map takes long is not made all the time. */
	while (ts_tool_now_ms() - end < end - began)
		poll(NULL, 0, (int)(end - began));
	return end + ANYWAY_MS;
}

static int64_t wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* Until the daemon goes, or the settings change: they may name another. */
static void follow(const struct ts_conf *conf, struct bus *b)
{
	extern char **environ;
	int64_t due = 0, made_ns = wall_ns();

	while (b->fd >= 0) {
		int64_t left = due - ts_tool_now_ms();
		bool change = listen_for(b, left < SETTINGS_MS ? left : SETTINGS_MS);
		int64_t until = ts_tool_now_ms() + GATHER_MS;

		if (ts_conf_files_newer(environ, made_ns) && due) {
			disconnect(b);
			return;
		}
		if (!change && !was_stopped && ts_tool_now_ms() < due)
			continue;
		while (change && b->fd >= 0 && ts_tool_now_ms() < until)
			listen_for(b, until - ts_tool_now_ms());
		if (b->fd >= 0) {
			made_ns = wall_ns();
			due = make(conf, b);
		}
	}
}

int ts_watch(const struct ts_conf *conf)
{
	static struct bus b = { .fd = -1 };
	struct sigaction stop = { .sa_handler = on_stop };
	unsigned tries = 0;
	int err;

	if (!conf->map_path[0]) {
		ts_tool_error("no directory for the map: set XDG_RUNTIME_DIR or HOME, or use --map");
		return 1;
	}
	err = claim(conf->map_path);
	if (err)
		return err;
	ts_tool_anew();
	sigaction(SIGTSTP, &stop, NULL);
	for (;;) {
		err = connect_bus(&b);
		if (err)
			return err == -EINVAL ? 2 : 1;
		if (b.fd >= 0) {
			tries = 0;
			follow(conf, &b);
		}
		poll(NULL, 0, tries++ < RECONNECT_FAST ? RECONNECT_MS : RECONNECT_SLOW_MS);
	}
}
