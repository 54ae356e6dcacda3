/* SPDX-License-Identifier: MIT */
/*
 * Makes the map: settings, status, proxies, compile, put in place, all under the map's lock, so that of many processes
 * that want a fresh map one does the work and the others find it done.
 *
 * Where the status cannot be had, the old map stays, but for a proxy whose port is another user's by now: an old tailnet
 * is better than none. Where there is a status but no proxy, the map is made without one: names then still resolve and
 * connects fail at once, instead of both leaving in the clear. Where there is no daemon to ask, but a proxy is named, the
 * map is made of what that implies.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../names/map_write.h"
#include "tsproxy/credentials.h"
#include "tsproxy/refresh.h"
#include "tsproxy/tool.h"

#define LOCK_WAIT_MS 20000 /* longer than any one source takes */
#define FRESH_NS 10000000000ll

static int64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void say_place(const char *path, int err)
{
	int dir_len = (int)(strrchr(path, '/') ? strrchr(path, '/') - path : 0);

	if (err == -EPERM)
		ts_tool_error(
			"%.*s is not a private directory (it has another owner, is a link, or others can write to it), "
			"so the map cannot be stored there; remove it, or use --map",
			dir_len, path);
	else
		ts_tool_error("cannot store the map at %s: %s", path, strerror(-err));
}

/* The locked file's descriptor, or -errno (said). */
static int lock(const char *path)
{
	const char *name;
	int dir_fd = ts_map_open_dir(path, &name), fd, err = 0;
	int64_t until = now_ns(CLOCK_MONOTONIC) + LOCK_WAIT_MS * 1000000ll;
	const struct timespec pause = { .tv_nsec = 5000000 };
	char lock_name[300];

	if (dir_fd < 0) {
		say_place(path, dir_fd);
		return dir_fd;
	}
	snprintf(lock_name, sizeof(lock_name), "%s.lock", name);
	fd = ts_file_open(dir_fd, lock_name, O_RDWR | O_CREAT);
	close(dir_fd);
	if (fd == -EPERM) {
		ts_tool_error("%s.lock is not a file: remove it", path);
		return fd;
	}
	err = fd < 0 ? fd : 0;
	while (!err && flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			err = -errno;
		else if (now_ns(CLOCK_MONOTONIC) > until)
			err = -ETIMEDOUT;
		else
			nanosleep(&pause, NULL);
	}
	if (err) {
		if (err == -ETIMEDOUT)
			ts_tool_error("another tsproxy-sync is still working on %s; stop it", path);
		else
			say_place(path, err);
		if (fd >= 0)
			close(fd);
		return err;
	}
	return fd;
}

static int warn_about_old(const char *path, struct ts_map *old)
{
	int err = ts_map_load(path, old);

	if (err) {
		memset(old, 0, sizeof(*old));
		if (err == -EPERM)
			ts_tool_warn("the map %s is not used, because it has another owner, others can write to it, or it is not a file", path);
		else if (err == -EBADMSG || err == -EMSGSIZE)
			ts_tool_warn("the map %s is %s and is made again", path,
				     err == -EBADMSG ? "damaged" : "truncated");
	}
	return err;
}

/* Whether programs will need a proxy; says what else the daemon's state means. */
static bool wants_proxy(const struct ts_tailnet *tn)
{
	if (tn->tun) {
		ts_tool_warn(
			"tailscaled has a kernel network interface (TUN): programs reach the tailnet without tsproxy");
		return false;
	}
	if (tn->state == TS_STATE_STOPPED) {
		ts_tool_warn("tailscaled is stopped; to start it: tsproxy up");
		return false;
	}
	if (tn->state == TS_STATE_NEEDS_LOGIN) {
		ts_tool_warn("tailscaled is logged out or waiting for approval; to log in: tsproxy up");
		return false;
	}
	return true;
}

/* Tells those who wait that their refresh did not fail. Its time, when it was begun, stays. */
static void mark_done(const char *path)
{
	const char done = TS_REFRESH_DONE;
	const char *name;
	struct timespec times[2];
	char file[300];
	struct stat st;
	int dir_fd = ts_map_open_dir(path, &name), fd;

	if (dir_fd < 0)
		return;
	snprintf(file, sizeof(file), "%s" TS_REFRESH_SUFFIX, name);
	fd = ts_file_open(dir_fd, file, O_WRONLY);
	close(dir_fd);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size && pwrite(fd, &done, 1, 0) == 1) {
		times[0] = st.st_atim;
		times[1] = st.st_mtim;
		futimens(fd, times);
	}
	close(fd);
}

/* Somebody else began and ended one while we waited for the lock: that one is as good. */
static bool made_since(const struct ts_map *m, int64_t began)
{
	int64_t made = ts_map_header(m).made_ns;

	/* One from the future was made before the clock was set back. */
	return made >= began && made <= now_ns(CLOCK_REALTIME);
}

/* Whether a proxy that was found, and not named, is at a port that is another user's now. Says so. */
static bool is_taken(const struct ts_map_settings *set, const struct ts_map *m)
{
	char at[TS_ADDR_TEXT_MAX], who[160];
	struct ts_owner owner;
	struct ts_endpoint e;

	for (unsigned i = 0; m->base && ts_map_endpoint(m, i, &e) == 1; i++) {
		if (e.flags & TS_PROXY_CONFIGURED || !ts_ip_is_loopback(e.addr.ip))
			continue;
		ts_owner_find(&e.addr, ts_source_daemon(set), &owner);
		if (owner.kind != TS_OWNER_STRANGER)
			continue;
		ts_addr_format(&e.addr, at);
		ts_tool_error("%s now belongs to %s; it is not used any more", at, ts_owner_text(&owner, who, sizeof(who)));
		return true;
	}
	return false;
}

/* The old map with another header. */
static void install_with(const struct ts_conf *conf, const struct ts_map *old, struct ts_map_header *h)
{
	uint8_t *file = malloc(h->data_len);
	int err;

	if (!file)
		return;
	memcpy(file, old->base, h->data_len);
	h->generation++;
	memcpy(file, h, sizeof(*h));
	err = ts_map_seal(file, h->data_len) ? ts_map_install(conf->map_path, file, h->data_len) : -EBADMSG;
	if (err)
		say_place(conf->map_path, err);
	free(file);
}

/* Where no map can be made the old one stays, but not with a proxy that has become a stranger's. */
static void strike_taken(const struct ts_conf *conf, const struct ts_map_settings *set, const struct ts_map *old)
{
	struct ts_map_header h;

	if (!is_taken(set, old))
		return;
	h = ts_map_header(old);
	h.endpoints.count = 0;
	h.state = TS_STATE_STOPPED; /* so that it is made again as soon as the daemon is back */
	install_with(conf, old, &h);
}

void ts_sync_outdate(const struct ts_conf *conf)
{
	struct ts_map_header h;
	struct ts_map old;
	int lock_fd = conf->map_path[0] && access(conf->map_path, F_OK) == 0 ? lock(conf->map_path) : -1;

	if (lock_fd < 0)
		return;
	if (ts_map_load(conf->map_path, &old) == 0) {
		h = ts_map_header(&old);
		h.made_ns -= FRESH_NS;
		install_with(conf, &old, &h);
		ts_map_unload(&old);
	}
	close(lock_fd);
}

static int make(const struct ts_conf *conf, struct ts_map_settings *set, const struct ts_map *old)
{
	struct ts_tailnet tn;
	uint8_t *data = NULL;
	size_t len = 0;
	int err, no_proxy = 0;

	/* The map is as old as what was asked: a status file changed while we work makes it an old one. */
	set->made_ns = now_ns(CLOCK_REALTIME);
	set->former = old->base ? old : NULL;
	err = ts_source_read(set, &tn);
	if (err == -ENOENT && ts_settings_proxy_alone(set)) {
		if (old->base && ts_map_header(old).nodes.count)
			ts_tool_error("no tailscaled found; keeping the nodes that are known");
		else
			err = ts_settings_assume_tailnet(set) ? 0 : -ENOMEM;
	}
	if (err) {
		strike_taken(conf, set, old);
		goto out;
	}
	if (wants_proxy(&tn))
		no_proxy = ts_discover(set, old, conf->map_path);
	if (no_proxy == -EINVAL || no_proxy == -ENOMEM) {
		err = no_proxy;
		goto out;
	}
	err = ts_map_build(&tn, set, &data, &len);
	if (err) {
		ts_tool_error("cannot make the map: %s", err == -EFBIG ? "the tailnet is too large" : strerror(-err));
		goto out;
	}
	err = ts_credentials_install(conf->map_path, set->endpoints, (unsigned)set->endpoint_count);
	if (!err)
		err = ts_map_install(conf->map_path, data, len);
	if (err)
		say_place(conf->map_path, err);
	else
		mark_done(conf->map_path);
out:
	free(data);
	ts_tailnet_free(&tn);
	return err ? err : no_proxy;
}

int ts_sync(const struct ts_conf *conf)
{
	int64_t began = now_ns(CLOCK_REALTIME);
	struct ts_map_settings set;
	struct ts_map old = { 0 };
	int err, lock_fd;

	if (!conf->map_path[0]) {
		ts_tool_error("no directory for the map: set XDG_RUNTIME_DIR or HOME, or use --map");
		return 1;
	}
	err = ts_settings_load(&set, NULL);
	if (err) {
		ts_settings_free(&set);
		return err == -EINVAL ? 2 : 1;
	}
	lock_fd = lock(conf->map_path);
	if (lock_fd < 0) {
		ts_settings_free(&set);
		return 1;
	}
	if (warn_about_old(conf->map_path, &old) != 0 || !made_since(&old, began))
		err = make(conf, &set, &old);
	ts_map_unload(&old);
	close(lock_fd);
	ts_settings_free(&set);
	return err == -EINVAL ? 2 : err ? 1 : 0;
}

int ts_sync_load(const struct ts_conf *conf, struct ts_map *out)
{
	extern char **environ;
	int64_t now = now_ns(CLOCK_REALTIME), age = INT64_MAX;
	const char *status = getenv("TSPROXY_STATUS");
	bool stream = status && ts_conf_stream(status) >= 0;
	int ret = 0, err;

	/* What a former stream said says nothing of this one. */
	err = stream ? -ENOENT : conf->map_path[0] ? ts_map_load(conf->map_path, out) : -ENOENT;
	if (!err) {
		age = now - ts_map_header(out).made_ns;
		/* A daemon that was down may be up a moment later. */
		if (age >= 0 && age <= FRESH_NS && ts_map_header(out).state < TS_STATE_STOPPED &&
		    !ts_conf_files_newer(environ, ts_map_header(out).made_ns))
			return 0;
		ts_map_unload(out);
	}
	ret = ts_sync(conf);
	err = conf->map_path[0] ? ts_map_load(conf->map_path, out) : -ENOENT;
	if (err)
		return ret ? ret : 1;
	if (ret && ts_map_header(out).made_ns < now)
		ts_tool_warn("using a map that is %lld s old", (long long)(age / 1000000000));
	return 0;
}
