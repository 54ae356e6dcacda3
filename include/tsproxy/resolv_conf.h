/* SPDX-License-Identifier: MIT */
/* What resolv.conf(5) says of how to ask. libc's own copy of it is not to be had in the same way everywhere. */
#ifndef TSPROXY_RESOLV_CONF_H
#define TSPROXY_RESOLV_CONF_H

#define TS_RESOLV_SEARCH_MAX 16

struct ts_resolv {
	unsigned timeout_s, attempts, ndots;
	unsigned search_count;
	const char *search[TS_RESOLV_SEARCH_MAX];	/* in `text` */
	char text[1024];	/* lines with these settings; what they hold beyond is not read */
};

/* Reads /etc/resolv.conf, and with glibc LOCALDOMAIN and RES_OPTIONS over it. Never fails: what is missing is as libc has it then. */
void ts_resolv_read(struct ts_resolv *out);

#endif
