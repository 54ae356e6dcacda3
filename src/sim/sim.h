/* SPDX-License-Identifier: MIT */
/*
 * tsproxy-sim: a tailnet on loopback, as a userspace tailscaled shows it to the programs beside it (SOCKS5, HTTP
 * proxy, LocalAPI), with every fault and delay that a test may want to meet.
 *
 * One thread, one epoll set. Data flows
 *   conn (a client) -> socks or http (what it asks for) -> dial (world says where to, fault says how badly) -> relay
 * and whatever is written to a client passes one pipe, so that pacing and cutting are in one place (relay.c).
 */
#ifndef TSPROXY_SIM_H
#define TSPROXY_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tsproxy/addr.h"

/* --- loop.c: readiness and time --- */

struct ts_sim_event {
	void (*fn)(struct ts_sim_event *ev, uint32_t events);
	void *owner;
	int fd;			/* -1: none */
	uint32_t want;
	bool added;
};

struct ts_sim_timer {
	void (*fn)(struct ts_sim_timer *timer);
	void *owner;
	uint64_t due;		/* ns, CLOCK_MONOTONIC */
	size_t slot;		/* place in the heap counted from 1; 0: not armed */
};

int ts_sim_loop_init(void);
/* Runs until ts_sim_loop_stop(). */
int ts_sim_loop_run(void);
void ts_sim_loop_stop(void);
void ts_sim_watch(struct ts_sim_event *ev, uint32_t want);
/* Closes the descriptor; events that were already fetched for it are dropped. */
void ts_sim_event_close(struct ts_sim_event *ev);
void ts_sim_timer_set(struct ts_sim_timer *timer, unsigned ms);
void ts_sim_timer_clear(struct ts_sim_timer *timer);
/* Frees `p` once no fetched event can refer to it any more. */
void ts_sim_free_later(void *p);
void *ts_sim_alloc(size_t n);	/* zeroed; ends the program where there is no memory */

/* --- world.c: nodes, names and where they are --- */

enum ts_sim_node_flag {
	TS_SIM_SELF = 1,
	TS_SIM_OFFLINE = 2,	/* says so, and is silent */
	TS_SIM_SILENT = 4,	/* says that it is online, and is silent */
	TS_SIM_EXIT = 8,	/* the selected exit node */
	TS_SIM_EXIT_OPTION = 16,
	TS_SIM_SHAREE = 32,
	TS_SIM_EXPIRED = 64,
	TS_SIM_NO_DNS = 128,
	TS_SIM_REAL = 256,	/* its address is on an interface here: dial it as it is */
};

#define TS_SIM_ROUTES_MAX 8
#define TS_SIM_NAME_MAX 253

struct ts_sim_node {
	char name[64];		/* MagicDNS label */
	char host[128];		/* HostName, any bytes */
	char os[32];
	bool has4, has6;
	struct ts_addr ip4, ip6;
	unsigned flags;
	unsigned route_count;
	char route_text[TS_SIM_ROUTES_MAX][TS_ADDR_TEXT_MAX];
	struct ts_prefix route[TS_SIM_ROUTES_MAX];
};

struct ts_sim_world {
	struct ts_sim_node *nodes;
	unsigned node_count, node_cap;
	char suffix[TS_SIM_NAME_MAX + 1];
	char state[32];		/* BackendState */
	bool tun, no_magicdns;
	bool finished;		/* runs: a node that is added again has changed */
	bool no_accept_routes;	/* the peers' routes are listed, and not taken */
	bool old_api;		/* of a daemon before 1.98: what it says of DNS is in the network map alone */
	bool no_accept_dns;	/* nor what the tailnet says of DNS */
	bool refuse_others;	/* what is no node is refused; otherwise dialled as the host would */
	bool honest_codes;	/* reply codes say what happened; tailscaled says 1 to everything */
	bool no_udp;
	bool no_pipeline;	/* reads one message at a time and loses what came with it */
	bool one_write;		/* method reply and CONNECT reply in one write where the client pipelined */
	unsigned dial_timeout_ms;
	const char *user, *pass;	/* null: no authentication */
};

extern struct ts_sim_world ts_sim_world;

enum ts_sim_route { TS_SIM_DIAL, TS_SIM_AWAY, TS_SIM_REFUSED, TS_SIM_UNKNOWN };

/* What a client asked for: a name (then addr.port alone counts) or an address. */
struct ts_sim_dest {
	char name[TS_SIM_NAME_MAX + 3];
	struct ts_addr addr;
	bool resolved;		/* addr.ip counts */
};

int ts_sim_world_add_node(const char *spec);	/* NAME,ADDRESS...[,OS][,FLAG...]; 0 or -EINVAL */
int ts_sim_world_add_many(const char *count);
int ts_sim_world_add_map(const char *spec);	/* ADDRESS:PORT=ADDRESS:PORT */
int ts_sim_world_add_name(const char *spec);	/* NAME=ADDRESS, for the host's resolver */
int ts_sim_dns_add(const char *spec);	/* SUFFIX=SERVER; without a server, one that the tailnet answers itself */
int ts_sim_world_add_extra(const char *spec);	/* NAME=ADDRESS, an ExtraRecord */
void ts_sim_world_finish(void);			/* the guide's nodes where none were named; a self */
const struct ts_sim_node *ts_sim_world_self(void);
const struct ts_sim_node *ts_sim_world_node_at(const uint8_t ip[16]);
/* Whose subnet route covers `ip`, or null. */
const struct ts_sim_node *ts_sim_world_node_routing(const uint8_t ip[16]);
const struct ts_sim_node *ts_sim_world_node_named(const char *label);
/* Resolves `dest` where it is a name, and says in `to` what to dial. */
enum ts_sim_route ts_sim_world_route(struct ts_sim_dest *dest, struct ts_addr *to);
void ts_sim_world_each_extra(void (*fn)(void *arg, const char *name, const struct ts_addr *addr), void *arg);

/* --- fault.c: what goes wrong, by target --- */

enum ts_sim_end { TS_SIM_END_NONE, TS_SIM_END_CUT, TS_SIM_END_EOF, TS_SIM_END_RST };
enum ts_sim_bnd { TS_SIM_BND_TRUE, TS_SIM_BND_ZERO, TS_SIM_BND_IPV4, TS_SIM_BND_IPV6, TS_SIM_BND_DOMAIN };

struct ts_sim_fault {
	unsigned delay_ms;
	int reply;		/* -1: the truth */
	unsigned dribble_n, dribble_ms;	/* replies: n bytes every ms; 0: at once */
	unsigned pace_n, pace_ms;	/* data to the client, likewise */
	enum ts_sim_end end;
	uint64_t end_at;	/* bytes to the client, counted from the start of the CONNECT reply */
	enum ts_sim_bnd bnd;
	unsigned bnd_len;	/* of a domain */
	bool garbage, glue, never, no_half_close;
};

int ts_sim_fault_add(const char *spec);		/* TARGET,KEY[=VALUE]...; 0 or -EINVAL */
struct ts_sim_fault ts_sim_fault_for(const struct ts_addr *target);	/* null: before a target is known */

/* --- stats.c --- */

struct ts_sim_target {
	struct ts_addr addr;
	char name[TS_SIM_NAME_MAX + 3];	/* as asked; "" where by address */
	uint64_t connections, refused, up, down, udp_up, udp_down;
};

struct ts_sim_stats {
	uint64_t accepted, connections, http, udp_associations, bad, up, down, localapi, open, open_max, pending, pending_max;
};

extern struct ts_sim_stats ts_sim_stats;
extern const char *ts_sim_stats_file;

struct ts_sim_target *ts_sim_stats_target(const struct ts_sim_dest *dest);
void ts_sim_stats_write(void);
void ts_sim_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));	/* with --verbose, on standard error */
extern bool ts_sim_verbose;

/* --- conn.c: clients --- */

enum ts_sim_kind { TS_SIM_SOCKS = 1, TS_SIM_HTTP = 2, TS_SIM_MIXED = 3, TS_SIM_INBOUND = 4 };

struct ts_sim_listener {
	struct ts_sim_event ev;
	enum ts_sim_kind kind;
	struct ts_addr addr;
	struct ts_addr forward;			/* inbound: where to */
	const struct ts_sim_node *peer;		/* inbound: from whom */
	struct ts_sim_listener *next;
};

enum ts_sim_state {
	TS_SIM_GREETING,	/* SOCKS: methods, or HTTP where the listener takes both */
	TS_SIM_AUTH,
	TS_SIM_REQUEST,
	TS_SIM_HTTP_HEAD,
	TS_SIM_DELAY,		/* the answer is held back */
	TS_SIM_DIALLING,
	TS_SIM_GLUING,		/* dialled; waits for the server's first bytes to send them along with the reply */
	TS_SIM_RELAY,
	TS_SIM_UDP,		/* the control connection of an association */
	TS_SIM_ENDING,		/* sends what is queued, then closes */
	TS_SIM_MUTE,		/* reads and forgets, says nothing more */
};

/* One direction. `queued` and `sent` count from the start of the connection. */
struct ts_sim_pipe {
	uint8_t *buf;
	size_t off, len, cap;
	uint64_t queued, sent;
	bool src_eof, dst_shut;
};

struct ts_sim_udp;

struct ts_sim_conn {
	struct ts_sim_event client, target;
	struct ts_sim_timer timer, pace_timer;
	struct ts_sim_listener *from;
	enum ts_sim_state state;
	struct ts_sim_fault fault;
	struct ts_sim_pipe up, down;
	uint8_t *in;		/* handshake bytes, TS_SIM_IN_MAX; freed once relaying */
	size_t in_len;
	bool http;
	bool paced;		/* the next bytes to the client wait for pace_timer */
	bool pending;		/* counted in stats.pending */
	uint64_t reply_start, reply_end;	/* of the CONNECT reply in `down` */
	struct ts_sim_dest dest;
	struct ts_sim_target *stats;
	struct ts_sim_udp *udp;
	struct ts_addr source;	/* of the dialled connection, for BND and whois; port 0: none */
	char *forward_head;	/* HTTP without CONNECT: the rewritten request, sent first */
	size_t forward_len;
};

#define TS_SIM_IN_MAX 16384
#define TS_SIM_UDP_BUFFER 8192	/* tailscaled's, SOCKS header included */

enum ts_sim_greeting { TS_SIM_GREET, TS_SIM_GREET_EOF, TS_SIM_GREET_RST, TS_SIM_GREET_GARBAGE, TS_SIM_GREET_REFUSE,
	TS_SIM_GREET_NEVER };
extern enum ts_sim_greeting ts_sim_greeting;
extern unsigned ts_sim_greeting_delay_ms;
extern bool ts_sim_backlog_full;

struct ts_sim_listener *ts_sim_listen(enum ts_sim_kind kind, const struct ts_addr *addr);
void ts_sim_backlog_release(void);	/* starts to accept where ts_sim_backlog_full held it back */
void ts_sim_conn_close(struct ts_sim_conn *c);
void ts_sim_conn_reset(struct ts_sim_conn *c);	/* with RST */
/* Sets what both descriptors wait for, from the state. To be called after each change. */
void ts_sim_conn_update(struct ts_sim_conn *c);
/* Drops the first `n` handshake bytes. */
void ts_sim_conn_consume(struct ts_sim_conn *c, size_t n);

/* --- socks.c, http.c: each handles one message of c->in; false: more bytes are needed --- */

bool ts_sim_socks_greeting(struct ts_sim_conn *c);
bool ts_sim_socks_auth(struct ts_sim_conn *c);
bool ts_sim_socks_request(struct ts_sim_conn *c);
void ts_sim_socks_reply(struct ts_sim_conn *c, uint8_t code, const struct ts_addr *bnd);
bool ts_sim_http_head(struct ts_sim_conn *c);
void ts_sim_http_reply(struct ts_sim_conn *c, int err);

/* --- dial.c --- */

void ts_sim_dial_request(struct ts_sim_conn *c);	/* c->dest is known */
void ts_sim_dial_event(struct ts_sim_conn *c);		/* the target's socket has something to say */
void ts_sim_dial_fail(struct ts_sim_conn *c, uint8_t code, int err);
/* The node behind a connection that was dialled from this loopback port, or null. */
const struct ts_sim_node *ts_sim_dial_whois(uint16_t port);
void ts_sim_dial_forget(struct ts_sim_conn *c);
void ts_sim_dial_inbound(struct ts_sim_conn *c);

/* --- relay.c --- */

void ts_sim_pipe_put(struct ts_sim_pipe *p, const void *data, size_t n);
void ts_sim_pipe_free(struct ts_sim_pipe *p);
/* Each may close the connection: then it returns false and `c` must not be used any more. */
bool ts_sim_relay_flush_down(struct ts_sim_conn *c);
bool ts_sim_relay_flush_up(struct ts_sim_conn *c);
bool ts_sim_relay_up(struct ts_sim_conn *c);
bool ts_sim_relay_down(struct ts_sim_conn *c);
void ts_sim_relay_pace(struct ts_sim_timer *timer);

/* --- udp.c --- */

int ts_sim_udp_start(struct ts_sim_conn *c, struct ts_addr *bnd);	/* 0 or -errno */
void ts_sim_udp_stop(struct ts_sim_conn *c);

/* --- options.c --- */

#define TS_SIM_LISTEN_MAX 16

struct ts_sim_listen_spec {
	enum ts_sim_kind kind;
	struct ts_addr addr, forward;
	char peer[64];
};

struct ts_sim_options {
	struct ts_sim_listen_spec listen[TS_SIM_LISTEN_MAX];
	unsigned listen_count;
	const char *localapi_path;
	bool status_only, die_with_parent;
};

extern struct ts_sim_options ts_sim_options;

/* 0; 1 where that was all (--help); -errno where something is wrong and has been said. */
int ts_sim_options_parse(char **argv);
/* One option by its name, also while running (no listeners). 0 or -errno. The value is copied. */
int ts_sim_options_apply(const char *name, const char *value);

/* --- status.c, localapi.c --- */

void ts_sim_status_write(FILE *f);
void ts_sim_prefs_write(FILE *f);
void ts_sim_dns_write(FILE *f, bool one_line);
void ts_sim_whois_write(FILE *f, const struct ts_sim_node *node);
int ts_sim_localapi_listen(const char *path);	/* 0 or -errno */
void ts_sim_localapi_close(void);

#endif
