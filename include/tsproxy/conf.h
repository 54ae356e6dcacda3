/* SPDX-License-Identifier: MIT */
/*
 * Settings, as the environment states them: TSPROXY_* (tsproxy(7)). The launcher turns its options
 * into these variables, so that options, environment and every process below see the same.
 *
 * The preloaded object reads them once, at load time, and copies what it keeps: programs such as
 * sshd and postgres overwrite the memory that held their first environment. No allocation.
 */
#ifndef TSPROXY_CONF_H
#define TSPROXY_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tsproxy/addr.h"

#define TS_CONF_PREFIXES_MAX 32	/* TSPROXY_ROUTE and TSPROXY_EXCLUDE, each; more belong in the config file */
#define TS_CONF_SUFFIXES_MAX 512
#define TS_CONF_DNS_ROUTES_MAX 1024
#define TS_CONF_PATH_MAX 512
#define TS_CONF_CRED_MAX 128	/* RFC 1929 allows 255; longer credentials are used from the map only */

/* A proxy as configured: what it can do is not known from here (struct ts_endpoint in map.h says that). */
struct ts_conf_proxy {
	bool set;
	bool bad;	/* given, but no HOST:PORT: connects that need it fail, they never leave in the clear */
	bool named;	/* HOST is a name: tsproxy-sync looks it up, and the map has the address; `addr` means nothing */
	struct ts_addr addr;
	char user[TS_CONF_CRED_MAX];	/* both empty: no authentication */
	char pass[TS_CONF_CRED_MAX];
};

struct ts_conf {
	bool disable;		/* TSPROXY_DISABLE=1: the object does nothing at all */
	bool short_names;	/* TSPROXY_SHORT_NAMES, default on */
	bool exit_node;		/* TSPROXY_EXIT_NODE=1: the selected exit node's default route is carried */
	bool meant;		/* some setting says that a tailnet is meant, even where nothing is known of one */
	bool overridden;	/* a setting below differs from the profile's own: the map has its own file */
	bool bad_list;		/* a prefix could not be parsed: the launcher refuses, the object warns */
	bool bad_dns_route;	/* likewise a dns-route */
	bool bad_path;		/* TSPROXY_STATUS or TSPROXY_SOCKET is relative: nobody knows to what; there is no map then */
	char map_path[TS_CONF_PATH_MAX];	/* where this process finds its map; empty: it has none */
	struct ts_conf_proxy socks5;	/* TSPROXY_SOCKS5=[USER:PASS@]HOST:PORT */
	struct ts_conf_proxy http;	/* TSPROXY_HTTP_PROXY=[USER:PASS@]HOST:PORT */
	char remote_name[TS_CONF_SUFFIXES_MAX];	/* TSPROXY_REMOTE_NAME=SUFFIX,SUFFIX... as it stands there */
	char dns_route[TS_CONF_DNS_ROUTES_MAX];	/* TSPROXY_DNS_ROUTE=SUFFIX=SERVER,... as it stands there */
	unsigned route_count, exclude_count;
	struct ts_prefix route[TS_CONF_PREFIXES_MAX];	/* TSPROXY_ROUTE=CIDR,CIDR... */
	struct ts_prefix exclude[TS_CONF_PREFIXES_MAX];	/* TSPROXY_EXCLUDE=CIDR,CIDR... */
	char host_aliases[TS_CONF_PATH_MAX];	/* HOSTALIASES of hostname(7) */
};

/*
 * Fills `conf` from `envp`. Never fails: what is wrong is marked `bad` and reported through ts_log. Also sets the log level.
 *
 * map_path is TSPROXY_MAP where that is set (an absolute path; what `--status -` uses), else
 *   $TSPROXY_PLACE/NAME.map (set by the launcher for all that runs under it; DIR/@HOST means DIR/NAME@HOST.map), else
 *   for root (effective user at the program's start) TS_CONF_ROOT_PLACE/NAME.map, or in a directory there of 16 hex digits (FNV-1a
 *   over it) where XDG_RUNTIME_DIR is not /run/user/0, else
 *   $XDG_RUNTIME_DIR/tsproxy/NAME.map, else $HOME/.cache/tsproxy/NAME@HOST.map
 * NAME is the profile (TSPROXY_PROFILE, "default"), followed by "-" and 16 hex digits where
 * TSPROXY_STATUS, _SOCKET, _SOCKS5, _HTTP_PROXY or _REMOTE_NAME say something of their own: FNV-1a over
 * those five values, each ended by a NUL. HOST is the host name, because a home may be shared.
 */
void ts_conf_load(struct ts_conf *conf, char *const envp[]);
/* The same for one that is all zero still, whose pages need not be touched then. */
void ts_conf_fill(struct ts_conf *conf, char *const envp[]);
/* The part of it that sets map_path, overridden and bad_path. (map_path.c, as the next) */
void ts_conf_map_path(struct ts_conf *conf, char *const envp[]);
/*
 * The map of the machine, which is root's, for who is not root, and the other way round. False where TSPROXY_MAP or TSPROXY_PLACE
 * names the place: there is no other then.
 */
bool ts_conf_other_map(char *const envp[], char *out, size_t cap);

#define TS_CONF_ROOT_PLACE "/run/tsproxy"
/*
 * The directory number `i` for the maps of `uid` where no other can be had: tsproxy-UID in /dev/shm, in /tmp. Who else may write there could
 * have made it first: it must be found to be this user's alone. 1; 0 where somebody else could exchange it; -1 behind the last.
 */
int ts_conf_spare_place(unsigned i, unsigned uid, char *out, size_t cap);
/* The map there. False where TSPROXY_MAP names one. */
bool ts_conf_spare_map(char *const envp[], const char *place, char *out, size_t cap);
/* The mode of a folder for maps at `path`: 0755 in root's places, the launcher's replacements included, else 0700. */
unsigned ts_conf_folder_mode(const char *path);

#define TS_CONF_SYSTEM_FILE "/etc/tsproxy.conf"

/* The user's config file; false where there is no place for one. (places.c, as the next two) */
bool ts_conf_user_file(char *const envp[], char *out, size_t cap);
/* A file of the daemon that `tsproxy up` starts for this user and profile; `file` empty: their folder. False where there is no home. */
bool ts_conf_own_path(char *const envp[], const char *file, char *out, size_t cap);
/*
 * The place number `i` where a daemon's socket is looked for: that of `tsproxy up`, the system's daemon, one that the user runs.
 * "" where this user has no such place, null behind the last. It may lie in `buf`.
 */
const char *ts_conf_usual_socket(char *const envp[], unsigned i, char *buf, size_t cap);
/* (conf_files.c) Whether what a map is made from (the status file that is set, the config files) has changed since: it is an old one then. */
bool ts_conf_files_newer(char *const envp[], int64_t since_ns);

/* The value of `name` in `envp`, or null. */
const char *ts_env_get(char *const envp[], const char *name);
/* Parses a comma-separated list of prefixes. Returns false where one is wrong or there are more than `max`. */
bool ts_conf_parse_prefixes(const char *s, struct ts_prefix *out, unsigned max, unsigned *count);

/* A name server for the names under a suffix, and for the suffix itself. */
struct ts_conf_dns_route {
	const char *suffix;	/* in the text that was read; without dots around it */
	size_t suffix_len;
	struct ts_addr server;	/* its port is 53 where none was named */
};

/* A name server: an address, or one with a port, which for IPv6 is in brackets then. Without, it is 53. */
bool ts_conf_parse_server(const char *s, size_t len, struct ts_addr *out);
/* "SUFFIX=SERVER" or "SUFFIX=SERVER:PORT"; an IPv6 address with a port is in brackets. */
bool ts_conf_parse_dns_route(const char *s, size_t len, struct ts_conf_dns_route *out);
/* The next of a list with commas or blanks between; *list moves on. Those that cannot be read are passed over, and set *bad. */
bool ts_conf_next_dns_route(const char **list, struct ts_conf_dns_route *out, bool *bad);

/* Parses "[USER:PASS@]HOST:PORT". Always sets `set`; sets `bad` where it is wrong. */
void ts_conf_parse_proxy(const char *s, struct ts_conf_proxy *out);
/*
 * Whether TSPROXY_STATUS names what is open already: "-", /dev/stdin, /dev/fd/N, /proc/self/fd/N. It can be read once, and
 * by this process only. The descriptor, or -1.
 */
int ts_conf_stream(const char *status);
/* True where `s` may be a profile's name. In TSPROXY_PROFILE any other counts as unset. */
bool ts_conf_profile_ok(const char *s);

#endif
