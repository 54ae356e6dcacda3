/* SPDX-License-Identifier: MIT */
/* tsproxy doctor: what the checks are told and where they write what they find. */
#ifndef TSPROXY_COMMAND_DOCTOR_H
#define TSPROXY_COMMAND_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tsproxy/tool.h"

enum ts_level { TS_OK, TS_NOTE, TS_WARN, TS_FAIL };

#define TS_FINDINGS_MAX 64

struct ts_finding {
	enum ts_level level;
	const char *check; /* one word */
	char *text;
	char *fix; /* what to do about it, or null */
};

struct ts_doctor {
	struct ts_conf conf;
	struct ts_map_settings set;
	struct ts_map map;
	bool have_map;
	bool proxy_dead; /* nothing can be carried: what a connect comes to says nothing of the node */
	bool reachable; /* running, and the kernel does not do it all: programs need us */
	uint32_t daemon_user; /* trusted besides root and us, or TS_NO_USER */
	const char *object; /* libtsproxy.so, or null */
	bool object_loads;
	char node[TS_NAME_MAX + 3]; /* the node to connect to that was named, or "" */
	uint16_t port; /* and its port, or 0 */
	char api_node[256]; /* an online peer's address, and the port that its daemon answers at, where that is told */
	uint16_t api_port;
	struct ts_finding findings[TS_FINDINGS_MAX];
	unsigned count;
};

/* doctor.c: `fmt`, then what to do about it ("" for nothing) after "\n". */
void ts_doctor_add(struct ts_doctor *d, enum ts_level level, const char *check, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The most serious level among the findings. */
enum ts_level ts_doctor_worst(const struct ts_doctor *d);
/* A line each, or one JSON object, on standard output. */
void ts_doctor_print(const struct ts_doctor *d, bool json);
void ts_doctor_free(struct ts_doctor *d);

/* doctor_machine.c: versions, the library, what the kernel allows. */
void ts_doctor_machine(struct ts_doctor *d);
void ts_doctor_supervisor(struct ts_doctor *d);
/* doctor_daemon.c: the daemon and its state, the ports, the proxies, the map. */
void ts_doctor_daemon(struct ts_doctor *d);
void ts_doctor_proxies(struct ts_doctor *d);
void ts_doctor_map(struct ts_doctor *d);
/* doctor_dns.c: which name servers are asked, and whether they can be. */
void ts_doctor_dns(struct ts_doctor *d);
/* "NODE", "NODE:PORT", "[ADDRESS]:PORT"; false where it is none of these. */
bool ts_doctor_take_node(struct ts_doctor *d, const char *text);
/* doctor_try.c: programs with the library loaded, that is, this one again. */
void ts_doctor_load(struct ts_doctor *d);
void ts_doctor_reach(struct ts_doctor *d);
/* What such a child does; its exit status. argv[1] is TS_DOCTOR_TRY. */
#define TS_DOCTOR_TRY "--try"
int ts_doctor_try(int argc, char **argv);
/* doctor_shell.c: what else in this environment takes part; whether a program is supported; what people type first. */
void ts_doctor_shell(struct ts_doctor *d);
void ts_doctor_program(struct ts_doctor *d, const char *name);
void ts_doctor_answers(struct ts_doctor *d);

#endif
