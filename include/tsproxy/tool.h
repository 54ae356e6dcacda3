/* SPDX-License-Identifier: MIT */
/*
 * What the sub-commands share: settings, sources of the status, the search for a proxy, making the map. Ordinary
 * single-threaded programs with a normal libc. A function that fails has said why on standard error, in one line.
 */
#ifndef TSPROXY_TOOL_H
#define TSPROXY_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "tsproxy/conf.h"
#include "tsproxy/map.h"
#include "tsproxy/settings.h"
#include "tsproxy/split.h"
#include "tsproxy/status.h"

/* CLOCK_MONOTONIC in milliseconds. */
static inline int64_t ts_tool_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

/* --- messages (message.c) --- */

/*
 * Lines on standard error, "tsproxy: ..."; control characters in them become '?'. Warnings stay away after
 * ts_tool_quiet.
 */
void ts_tool_quiet(void);
/* For a while, no line at all. The first error since then, "" where there is none. */
void ts_tool_mute(bool on);
const char *ts_tool_muted(void);
/* Whether standard output is a terminal that shall have colours (NO_COLOR, no-color.org). */
bool ts_tool_colours(void);
/* For a program that goes on for long: from now on a line that was said is not said again before ts_tool_anew(). */
void ts_tool_anew(void);
void ts_tool_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void ts_tool_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* `s` made fit for a terminal: what is no printable UTF-8 becomes '?'. Returns `out`. */
const char *ts_tool_printable(const char *s, size_t len, char *out, size_t cap);

/*
 * Standard descriptors that the caller has closed are taken, the wrong way round: the map or a lock would be opened as one of them
 * otherwise, and written into. Using them fails as it did, and what is executed finds them closed.
 */
void ts_tool_standard_fds(void);
/* Ends standard output: 0, or 1 where it did not take everything (said). */
int ts_tool_flush(void);

/* --- settings (settings.c, settings_file.c) --- */

/*
 * Config files, then the environment over them. `files` ends with a null; null: the user's own, then /etc/tsproxy.conf.
 * What a file has wrong is a warning with file and line. 0; -EINVAL where the environment has something wrong; -ENOMEM.
 */
int ts_settings_load(struct ts_map_settings *set, const char *const files[]);
/* The same; `note` is told what the files say. */
int ts_settings_load_noting(struct ts_map_settings *set, const char *const files[], struct ts_settings_note *note);
/* Keys that count as options and variables only. */
bool ts_settings_is_launchers(const char *key);
void ts_settings_free(struct ts_map_settings *set);
/* `key` as in the config file; false where `value` cannot be read. */
bool ts_settings_put(struct ts_map_settings *set, const char *key, const char *value, bool *known);
bool ts_settings_add_endpoint(struct ts_map_settings *set, const struct ts_endpoint *e);
/*
 * A proxy is named and no source of the status is: the daemon may well be in another container, out of reach, and the proxy all there is.
 */
bool ts_settings_proxy_alone(const struct ts_map_settings *set);
/* What is the tailnet's then: Tailscale's own ranges, and names under ts.net, which the far side resolves. False: no memory. */
bool ts_settings_assume_tailnet(struct ts_map_settings *set);
/* One file, for profile `profile` ("" or null: "default"). 0, -ENOENT, -EACCES... (nothing said), or -ENOMEM. */
int ts_settings_read_file(struct ts_map_settings *set, const char *path, const char *profile);

/* --- sources (source.c, localapi.c, dns_config.c) --- */

#define TS_WHY_MAX 512

/* From what is named, else from the first LocalAPI socket in the usual places that answers. */
int ts_source_read(const struct ts_map_settings *set, struct ts_tailnet *out);
/* The same before it is parsed; *from: its place, in words. 0 (*text, malloc'd, is the caller's), or -errno with `why`. */
int ts_source_text(const struct ts_map_settings *set, char **text, size_t *len, const char **from,
		   char why[TS_WHY_MAX]);
/* Each returns 0 (and *text, malloc'd, is the caller's), or -errno with a reason in `why`. -ENOENT: no such source. */
int ts_source_file(const char *path, char **text, size_t *len, char why[TS_WHY_MAX]);
int ts_source_localapi(const char *path, bool explicitly, char **text, size_t *len, char why[TS_WHY_MAX]);
/* What the daemon at that socket was told not to take. */
void ts_source_prefs(const char *path, bool explicitly, struct ts_status_prefs *out);
/* Adds the tailnet's split DNS, where the daemon tells of it. 0 or -ENOMEM. (dns_config.c) */
int ts_source_dns(const char *path, bool explicitly, struct ts_tailnet *out);
/*
 * A stream of the daemon's changes, one JSON object a line behind an HTTP head: from the socket at `path`, or from the
 * one that ts_source_read would ask. A descriptor, or -errno with a reason.
 */
int ts_source_bus(const char *path, bool explicitly, char why[TS_WHY_MAX]);
/* The body of the answer to GET /localapi/v0/WHAT. -ENOSYS where the daemon does not know such a thing. */
int ts_source_get(const char *path, bool explicitly, const char *what, char **text, size_t *len, char why[TS_WHY_MAX]);
/* The connection on which it comes, or -errno. */
int ts_source_ask(const char *path, bool explicitly, const char *what, char why[TS_WHY_MAX]);
int ts_source_watch(const struct ts_map_settings *set, char why[TS_WHY_MAX]);
/* The socket of the daemon that the status would come from: it takes connections. 0, or -errno with a reason. */
int ts_source_socket(const struct ts_map_settings *set, char *path, size_t cap, char why[TS_WHY_MAX]);
/* Whether a daemon takes connections there. 0, or -errno with a reason. */
int ts_source_try(const char *path, bool explicitly, char why[TS_WHY_MAX]);
/* Whose the daemon is that answers at a socket; TS_NO_USER where none does. */
uint32_t ts_source_user(const char *path);
/* The same of the socket that the settings name; TS_NO_USER where they name none: then it is root's or this user's. */
uint32_t ts_source_daemon(const struct ts_map_settings *set);
/*
 * Reads `fd` to its end or to TS_STATUS_MAX (-EFBIG). idle_ms: the longest pause, total_ms: in all; 0: none.
 * -ETIMEDOUT.
 */
int ts_source_drain(int fd, int idle_ms, int total_ms, char **text, size_t *len);

/* --- proxies (proxy_text.c, probe.c, discover.c) --- */

/* "[USER:PASS@]HOST:PORT", or a URL with that in it; HOST may be a name, which is then asked of the system. */
bool ts_proxy_parse(const char *s, uint8_t kind, struct ts_endpoint *out);
/* A URL as in ALL_PROXY: kind by its scheme (none: `kind`). False also for schemes that we don't speak. */
bool ts_proxy_parse_url(const char *s, uint8_t kind, struct ts_endpoint *out);

enum ts_probe_result {
	TS_PROBE_OK,      /* kind and flags are set */
	TS_PROBE_NOBODY,  /* nothing listens there */
	TS_PROBE_TIMEOUT, /* it listens and says nothing */
	TS_PROBE_OTHER,   /* it speaks something else */
	TS_PROBE_AUTH,    /* it wants a user and password, or refused those given */
};

#define TS_PROBE_MS 200 /* the most that one endpoint takes */

/*
 * Tries e->addr as e->kind by a CONNECT to a listener of our own; sets flags but for TS_PROXY_CONFIGURED, which stays.
 */
enum ts_probe_result ts_probe(struct ts_endpoint *e);
/* Whether a proxy on another host takes connections: TS_PROBE_OK, TS_PROBE_NOBODY or TS_PROBE_TIMEOUT. */
enum ts_probe_result ts_probe_far(const struct ts_endpoint *e);
#define TS_PROBE_FAR_MS 600 /* and the most that it takes; the launcher waits for a second */
/* A listener on 127.0.0.1 that does not block, at a port that the kernel chose: its descriptor, or -errno. */
int ts_listen_loopback(struct ts_addr *at);
/*
 * Fills set->endpoints. `old` is what the last map, at `map_path`, recorded (may be empty). Warns about what is configured and does not
 * answer. 0, -ENOENT where there is no proxy at all (said), or -ENOMEM.
 */
int ts_discover(struct ts_map_settings *set, const struct ts_map *old, const char *map_path);

/* --- whose a port is (owner.c) --- */

enum ts_owner_kind {
	TS_OWNER_NOBODY,   /* nobody listens */
	TS_OWNER_TRUSTED,  /* root, this user, or the daemon's user */
	TS_OWNER_STRANGER, /* another user */
	TS_OWNER_UNKNOWN,  /* the kernel does not say, or somebody from outside of this user namespace */
};

struct ts_owner {
	enum ts_owner_kind kind;
	uint32_t uid;	/* where known */
	uint32_t inode; /* of the listening socket, 0 where not known */
};

#define TS_NO_USER UINT32_MAX

/*
 * Whose the listener is that a connection to `at`, an address of loopback, would reach. `daemon`: a user that is trusted
 * besides root and this one, or TS_NO_USER.
 */
void ts_owner_find(const struct ts_addr *at, uint32_t daemon, struct ts_owner *out);
/* In words: "root (tailscaled)", "alice, another user". Returns `out`. */
const char *ts_owner_text(const struct ts_owner *o, char *out, size_t cap);
/* The user's name, "user 1001" where there is none. Returns `out`. */
const char *ts_owner_user(uint32_t uid, char *out, size_t cap);
/* The program that listens; false where it cannot be known: only root sees other users' programs. */
bool ts_owner_program(const struct ts_owner *o, char *out, size_t cap);

/* --- the daemon of `tsproxy up` (own.c) --- */

struct ts_own_ports {
	uint16_t socks5, http;
	bool ephemeral; /* it keeps no state */
};

/* Where it keeps `file` ("": the folder itself), for this user and profile; null without a home. */
const char *ts_own_path(const char *file, char *buf, size_t cap);
/* The ports that it was given; false where none runs. */
bool ts_own_ports(struct ts_own_ports *out);
int ts_own_ports_write(const struct ts_own_ports *ports);

/* --- making the map (sync.c) --- */

/*
 * Makes the map at conf->map_path from the settings. 0: it is there; also where another process made it since this call
 * began. Else the exit status of tsproxy-sync, all said: 1; 2 where a setting is wrong.
 */
int ts_sync(const struct ts_conf *conf);
/* The daemon has just gone: the map, where there is one, counts as an old one from now on. */
void ts_sync_outdate(const struct ts_conf *conf);
/*
 * As ts_sync where the map is missing or older than 10 s; then loads it. An old map serves where a new one cannot be
 * made. 0 or an exit status.
 */
int ts_sync_load(const struct ts_conf *conf, struct ts_map *out);

/* --- keeping it current (watch.c) --- */

/*
 * Follows the daemon and makes the map whenever that tells of a change; outlives the daemon's restarts. Returns only
 * where it cannot begin: an exit status of tsproxy-sync, all said.
 */
int ts_watch(const struct ts_conf *conf);

/* --- explaining (explain.c) --- */

enum ts_why {
	TS_WHY_MAP,   /* a node's or extra record's */
	TS_WHY_HOSTS, /* /etc/hosts, or localhost: as natively */
	TS_WHY_ROUTE, /* a configured route, a subnet, the exit node: `range` */
	TS_WHY_EXCLUDED,
	TS_WHY_REMOTE,       /* the far side resolves it */
	TS_WHY_SPLIT,        /* a name server of its own knows it: `split` */
	TS_WHY_NO_SUCH_NAME, /* under the tailnet's suffix, and nobody bears it: never asked outside */
	TS_WHY_SERVICE,      /* the daemon's own address */
	TS_WHY_NO_NODE,      /* no node's, in a range that only nodes have, or that one may have once the daemon runs: refused */
	TS_WHY_LOCAL,        /* loopback, link-local, multicast */
	TS_WHY_KERNEL,       /* TUN: the kernel has the tailnet */
	TS_WHY_NOT_OURS,
};

struct ts_explained {
	enum ts_why why;
	bool ours;
	struct ts_map_answer answer; /* addresses and canonical name, where known */
	struct ts_map_range range;   /* TS_WHY_ROUTE; kind 0 where the environment names it */
	struct ts_split split;
	bool split_ours; /* the first of its servers is reached through the proxy */
};

/* What a program that runs with these settings is answered for a name or numeric address. */
void ts_explain(const struct ts_conf *conf, const struct ts_map *m, const char *what, struct ts_explained *out);
/* The reason in a few words. Returns `out`. */
const char *ts_explain_text(const struct ts_map *m, const struct ts_explained *e, char *out, size_t cap);

/* --- walking a map (walk.c): bounds-checked, for people's eyes --- */

bool ts_walk_node(const struct ts_map *m, uint32_t i, struct ts_map_node *out);
bool ts_walk_addr(const struct ts_map *m, uint32_t i, struct ts_map_addr *out);
bool ts_walk_name(const struct ts_map *m, uint32_t i, struct ts_map_name *out);
bool ts_walk_range(const struct ts_map *m, uint32_t i, struct ts_map_range *out);
bool ts_walk_dns_route(const struct ts_map *m, uint32_t i, struct ts_map_dns_route *out);
bool ts_walk_remote(const struct ts_map *m, uint32_t i, struct ts_map_str *out);
bool ts_walk_domain(const struct ts_map *m, uint32_t i, struct ts_map_str *out);
/* "Running", "Stopped", "NeedsLogin", "unknown". */
const char *ts_walk_state(uint32_t state);
const char *ts_walk_range_kind(uint32_t kind);
/* "10.0.0.0/8" where it is one prefix, else "10.0.0.0-10.0.2.255". Returns `out`. */
#define TS_RANGE_TEXT_MAX (2 * TS_ADDR_TEXT_MAX)
const char *ts_walk_range_text(const struct ts_map_range *r, char out[TS_RANGE_TEXT_MAX]);
/* "socks5 127.0.0.1:1055" */
const char *ts_walk_endpoint(const struct ts_endpoint *e, char *out, size_t cap);

/* A string of the map made printable. Returns `out`. */
const char *ts_walk_text(const struct ts_map *m, struct ts_map_str s, char *out, size_t cap);
/* A word for each flag: "online", "exit-node"... */
void ts_walk_node_flags(uint32_t flags, void (*put)(const char *word, void *arg), void *arg);
/* All of it, on standard output (print.c). */
void ts_print_map(const struct ts_map *m, const char *path);

/* --- command line (options.c) --- */

/*
 * What every sub-command does first: --help and --version, the settings' options ("--name value" or "--name=value";
 * they become the environment variables they stand for), --json where `json` is not null, then the settings of the
 * environment to `conf`. *argc and argv keep the rest. 0 go on, -1 all is done, 1 or 2 wrong (said).
 */
int ts_options_begin(int *argc, char **argv, const char *usage, bool *json, struct ts_conf *conf);
/* Whether TSPROXY_DISABLE was set, which sub-commands take no notice of but to tell. */
bool ts_options_disabled(void);
int ts_options_take(int *argc, char **argv);
/* Removes `name` from argv; true where it was there. */
bool ts_options_flag(int *argc, char **argv, const char *name);
/* Removes "--name VALUE" or "--name=VALUE"; *value is left as it is where there is none. 0, or 2 (said). */
int ts_options_value(int *argc, char **argv, const char *name, const char **value);
/* An option that is left over is wrong: says so. Takes a "--" out. 0 or 2. */
int ts_options_end(int *argc, char **argv);
/* The text for --help: what all take. */
extern const char ts_options_help[];

#endif
