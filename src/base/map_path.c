/* SPDX-License-Identifier: MIT */
/*
 * Where a process' map is: see conf.h.
 *
 * Root's lies where everybody can read it, because a program that gives up root goes on with it, and so do the programs that such a
 * one starts. XDG_RUNTIME_DIR is closed to others (/run/user/0); one of root's own making, as in a test or a container's script, still
 * means another map.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "tsproxy/buf.h"
#include "tsproxy/conf.h"
#include "tsproxy/hash.h"
#include "tsproxy/log.h"
#include "tsproxy/sys.h"

/* What of the settings makes a map another one than its profile's. */
struct own_settings {
	uint64_t key;
	bool some;
	bool bad_path;	/* one is a relative path */
};

static struct own_settings own_settings(char *const envp[])
{
	static const char *const own[] = { "TSPROXY_STATUS", "TSPROXY_SOCKET", "TSPROXY_SOCKS5", "TSPROXY_HTTP_PROXY",
					 "TSPROXY_REMOTE_NAME" };
	struct own_settings o = { .key = TS_FNV64_INIT };

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
		const char *s = ts_env_get(envp, own[i]);

		if (!s)
			s = "";
		if (*s)
			o.some = true;
		/* The two paths. The launcher has made them absolute; what else starts may do so anywhere. */
		if (i < 2 && *s && *s != '/' && ts_conf_stream(s) < 0)
			o.bad_path = true;
		o.key = ts_fnv64(o.key, s, strlen(s) + 1);
	}
	return o;
}

static const char *absolute(char *const envp[], const char *variable)
{
	const char *s = ts_env_get(envp, variable);

	return s && s[0] == '/' ? s : NULL;
}

/* The last component of TSPROXY_PLACE where that is "@HOST", else its end. */
static const char *place_tail(const char *place)
{
	const char *tail = place;

	for (const char *p = place; *p; p++)
		if (*p == '/')
			tail = p + 1;
	return *tail == '@' ? tail : tail + strlen(tail);
}

static bool is_root(void)
{
	return getauxval(AT_EUID) == 0;
}

unsigned ts_conf_folder_mode(const char *path)
{
	static const char *const places[] = { TS_CONF_ROOT_PLACE, "/dev/shm/tsproxy-0", "/tmp/tsproxy-0" };

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		size_t len = 0;

		while (places[i][len] && path[len] == places[i][len])
			len++;
		if (!places[i][len] && (path[len] == '\0' || path[len] == '/'))
			return 0755;
	}
	return 0700;
}

static void write_root_place(struct ts_wr *w, char *const envp[])
{
	const char *run = absolute(envp, "XDG_RUNTIME_DIR");

	ts_wr_str(w, TS_CONF_ROOT_PLACE "/");
	if (!run || strcmp(run, "/run/user/0") == 0)
		return;
	ts_wr_hex64(w, ts_fnv64(TS_FNV64_INIT, run, strlen(run)));
	ts_wr_u8(w, '/');
}

static void write_name(struct ts_wr *w, char *const envp[], const struct own_settings *o)
{
	const char *profile = ts_env_get(envp, "TSPROXY_PROFILE");

	ts_wr_str(w, profile && ts_conf_profile_ok(profile) ? profile : "default");
	if (!o->some)
		return;
	ts_wr_u8(w, '-');
	ts_wr_hex64(w, o->key);
}

/* The map in root's place, or in the user's. False where there is none. */
static bool write_path(struct ts_wr *w, char *const envp[], const struct own_settings *o, bool root)
{
	const char *run = root ? NULL : absolute(envp, "XDG_RUNTIME_DIR"), *home = root || run ? NULL : absolute(envp, "HOME");
	struct utsname u;

	if (root)
		write_root_place(w, envp);
	else if (run || home)
		ts_wr_str(w, run ? run : home);
	else
		return false;
	if (!root)
		ts_wr_str(w, run ? "/tsproxy/" : "/.cache/tsproxy/");
	write_name(w, envp, o);
	if (home) {
		ts_wr_u8(w, '@');
		if (ts_sys(SYS_uname, &u) == 0)
			ts_wr_str(w, u.nodename);
	}
	ts_wr_str(w, ".map");
	return true;
}

/* Where the variables name the file or the place itself. True where they do. */
static bool write_named(struct ts_wr *w, char *const envp[], const struct own_settings *o)
{
	const char *s = absolute(envp, "TSPROXY_MAP"), *tail;

	if (s) {
		ts_wr_str(w, s);
		return true;
	}
	s = absolute(envp, "TSPROXY_PLACE");
	if (!s || o->bad_path)
		return false;
	tail = place_tail(s);
	ts_wr_bytes(w, s, (size_t)(tail - s));
	if (!*tail)
		ts_wr_u8(w, '/');
	write_name(w, envp, o);
	ts_wr_str(w, tail);
	ts_wr_str(w, ".map");
	return true;
}

void ts_conf_map_path(struct ts_conf *conf, char *const envp[])
{
	struct own_settings o = own_settings(envp);
	struct ts_wr w = ts_wr_over(conf->map_path, sizeof(conf->map_path));
	bool known;

	conf->overridden = o.some;
	conf->bad_path = o.bad_path;
	known = write_named(&w, envp, &o);
	if (!known && o.bad_path)
		ts_warn("TSPROXY_STATUS or TSPROXY_SOCKET is not an absolute path: no map is used");
	else if (!known)
		known = write_path(&w, envp, &o, is_root());
	if (!ts_wr_end(&w) || !known)
		conf->map_path[0] = '\0';
}

int ts_conf_spare_place(unsigned i, unsigned uid, char *out, size_t cap)
{
	static const char *const shared[] = { "/dev/shm", "/tmp" };
	struct ts_wr w = ts_wr_over(out, cap);
	struct stat st;

	if (i >= sizeof(shared) / sizeof(*shared))
		return -1;
	if (ts_sys(SYS_newfstatat, AT_FDCWD, shared[i], &st, 0) != 0 || (st.st_uid != 0 && st.st_uid != uid) ||
	    ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_mode & S_ISVTX)))
		return 0;
	ts_wr_str(&w, shared[i]);
	ts_wr_str(&w, "/tsproxy-");
	ts_wr_dec(&w, uid);
	return ts_wr_end(&w);
}

bool ts_conf_spare_map(char *const envp[], const char *place, char *out, size_t cap)
{
	struct own_settings o = own_settings(envp);
	struct ts_wr w = ts_wr_over(out, cap);

	if (o.bad_path || absolute(envp, "TSPROXY_MAP"))
		return false;
	ts_wr_str(&w, place);
	ts_wr_u8(&w, '/');
	write_name(&w, envp, &o);
	ts_wr_str(&w, ".map");
	return ts_wr_end(&w);
}

bool ts_conf_other_map(char *const envp[], char *out, size_t cap)
{
	struct own_settings o = own_settings(envp);
	struct ts_wr w = ts_wr_over(out, cap);

	return !o.bad_path && !absolute(envp, "TSPROXY_MAP") && !absolute(envp, "TSPROXY_PLACE") &&
	       write_path(&w, envp, &o, !is_root()) && ts_wr_end(&w);
}
