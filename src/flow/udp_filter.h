/* SPDX-License-Identifier: MIT */
/* A socket's filter (udp_record.c), read and written whole. The functions keep to the kernel's errors. */
#ifndef TSPROXY_FLOW_UDP_FILTER_H
#define TSPROXY_FLOW_UDP_FILTER_H

#include "tsproxy/udp_bpf.h"
#include "udp.h"

#define TS_UDP_RECORD_WORDS 12

/* For what is longer than most are. */
struct ts_udp_filter_room {
	struct sock_filter whole[BPF_MAXINSNS], made[BPF_MAXINSNS];
	uint16_t places[BPF_MAXINSNS + 1];
};

struct ts_udp_filter {
	const struct sock_filter *program, *record;	/* the program's own; null: there is none of ours */
	unsigned n;
	struct ts_addr knock;	/* as in udp_bpf.h, for the next time that it is written */
	struct ts_udp_filter_room *room;
	struct sock_filter few[TS_UDP_BPF_SMALL];
};

/* Between these two no other thread changes it this way. */
void ts_udp_filter_lock(void);
void ts_udp_filter_unlock(void);
/* 0 or -errno; -EACCES: it is an eBPF program. To be followed by ts_udp_filter_done in any case. */
int ts_udp_filter_read(int fd, struct ts_udp_filter *f);
/* Null: there is none. */
struct ts_udp_filter_room *ts_udp_filter_more_room(struct ts_udp_filter *f);
void ts_udp_filter_done(struct ts_udp_filter *f);
/* What the record tells. False: of no association. */
bool ts_udp_filter_view(const struct ts_udp_filter *f, struct ts_udp_view *v);
/* Whether the program locked it (SO_LOCK_FILTER). */
bool ts_udp_filter_locked(const struct ts_udp_filter *f);
/* Gives the socket the filter that goes with `v` and the program's own. -ENOMEM: it becomes too long. */
int ts_udp_filter_write(int fd, struct ts_udp_filter *f, const struct ts_udp_view *v, bool locked);

#endif
