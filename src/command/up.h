/* SPDX-License-Identifier: MIT */
/* tsproxy up and down: a daemon of the user's own, its supervisor, and the login. */
#ifndef TSPROXY_COMMAND_UP_H
#define TSPROXY_COMMAND_UP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tsproxy/tool.h"

#define TS_UP_PATH_MAX 4096

struct ts_up {
	bool ephemeral;
	char dir[TS_UP_PATH_MAX];
	char socket[TS_UP_PATH_MAX]; /* the daemon's: our own, or another that answers */
	bool own;
	bool began; /* this command started the daemon: if that ends, it never came up */
	bool named; /* the user said which */
	int limit_s; /* --timeout: how long a login may take, 0 for ever; -1 where nothing was said */
	char tailscaled[TS_UP_PATH_MAX], tailscale[TS_UP_PATH_MAX]; /* "" where not found */
};

/* up_say.c */
/* A step that takes time: "tsproxy: WHAT ...", then how it ended. On a terminal a dot for each second. */
void ts_up_step(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void ts_up_tick(void);
/* A line of its own in between. */
void ts_up_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void ts_up_end(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* up_find.c */
void ts_up_find_programs(struct ts_up *up);
/* This environment for tailscaled and tailscale: without our library, and without proxies that are to be the daemon's. */
char **ts_up_environment(const struct ts_own_ports *ports);
/* Ports for the proxies: those that the environment names and nobody has, the usual ones, or any. */
bool ts_up_choose_ports(struct ts_own_ports *out);

/* up_daemon.c. 0 or -errno; what fails has been said. */
int ts_up_prepare(struct ts_up *up);
/* The PID of the supervisor that holds the folder's lock; 0 where there is none. */
pid_t ts_up_supervisor(const struct ts_up *up);
/* Whether the daemon of the supervisor that is at work has ended before: `how`, in words. */
bool ts_up_has_ended(const struct ts_up *up, char how[64]);
/* Becomes the supervisor of a daemon that it starts; `ready_fd` is closed once that holds the lock. An exit status. */
int ts_up_supervise(const struct ts_up *up, int ready_fd);
/* The same in a process of its own, in the background. */
int ts_up_start(const struct ts_up *up);
/* Ends it and waits for it. */
int ts_up_stop(const struct ts_up *up);

/* up_state.c */
struct ts_up_state {
	char backend[32];	/* "Running", "NeedsLogin"...; "" where nobody answers */
	char name[TS_NAME_MAX + 2], ip[TS_ADDR_TEXT_MAX];
	bool tun;
};
bool ts_up_ask(const struct ts_up *up, struct ts_up_state *out);
/* Waits until it answers. */
bool ts_up_wait_answer(const struct ts_up *up, struct ts_up_state *out);
/* Waits until the node's state is (`running`) Running, or known at all; false where it does not come to that (not said). */
bool ts_up_wait_state(const struct ts_up *up, bool running, struct ts_up_state *out);
/* Says what the daemon waits for: an answer from its login server, in general. */
void ts_up_say_what_misses(const struct ts_up *up);
/* Its settings, ipn.Prefs as JSON; an empty object where it does not tell. The caller's. */
struct json_t *ts_up_prefs(const struct ts_up *up);

/* up_login.c */
/* `tailscale VERB --socket=...` with these flags, "up" for a login: shows the link, and waits for it. 0 or an exit status (said). */
int ts_up_login(const struct ts_up *up, char **flags);
int ts_up_set(const struct ts_up *up, char **flags);
/* One that was stopped and is logged in goes on as it was: no setting of its changes. */
int ts_up_resume(const struct ts_up *up);
int ts_up_logout(const struct ts_up *up);

/*
 * up_flags.c: the flags of `tailscale up` against the settings that the daemon has. Lists end with a null; what is written to `out` has
 * room for ts_up_flags_room(words) pointers.
 */
/* Makes one word of each flag and its value. 0, or an exit status (said). */
int ts_up_flags_join(char **words);
size_t ts_up_flags_count(char **words);
size_t ts_up_flags_room(char **words);
/* Whether they change what only a login can change; `move`: and be it to another login server. */
bool ts_up_flags_want_login(char **words, const struct json_t *prefs);
bool ts_up_flags_move(char **words, const struct json_t *prefs);
/* Those for `tailscale set`: that change something, or, after a login, that `tailscale up` does not have. Their number. */
size_t ts_up_flags_set(char **words, const struct json_t *prefs, bool after_login, char **out);
/* Those for a login: all that were given, and the settings that the daemon has besides. False: no memory. */
bool ts_up_flags_all(char **words, const struct json_t *prefs, char **out);

/*
 * up_secret.c: auth keys, OAuth client secrets and identity tokens among the flags of `tailscale up`, and TS_AUTHKEY's.
 * Early: takes them out of this process's command line and environment. The flags then name files. 0 or 1 (said).
 */
int ts_up_hide_secrets(char **flags);
/*
 * Reads the files that the flags name, and names those that `tailscale` can read instead; adds TS_AUTHKEY's where none is
 * named, for which there is room. False where one cannot be had (said).
 */
bool ts_up_pass_secrets(char **flags);
void ts_up_forget_secrets(void);

/*
 * up_follow.c: runs `tailscale` with these words (the first is its name), shows the link and what it says. 0, or 1 (said). With
 * `refused` not null it sets that, and does not say so, where the daemon told an error of the control server's.
 */
int ts_up_tailscale(const struct ts_up *up, char **argv, bool *refused);

/*
 * up_install.c: Tailscale's static programs from `site`, into ~/.local/bin, or nothing. 0 or 1 (said).
 */
int ts_up_install(const char *site);
/* As the archives name this machine. */
#ifdef __aarch64__
#define TS_UP_MACHINE "arm64"
#else
#define TS_UP_MACHINE "amd64"
#endif

/* up_unit.c: the same under systemd's user manager. */
const char *ts_up_unit_name(char out[128]);
int ts_up_unit_start(const struct ts_up *up);
bool ts_up_unit_is_there(void);
int ts_up_unit_stop(void);

/* qr.c: prints `text` as a QR code on standard error; false where this build cannot. */
bool ts_qr_print(const char *text);

#endif
