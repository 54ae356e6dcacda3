/* SPDX-License-Identifier: MIT */
/*
 * What a resolver call is answered with: whose name it is (ask.c, hosts.c), and the structures of netdb.h (answer.c).
 */
#ifndef TSPROXY_ANSWER_H
#define TSPROXY_ANSWER_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tsproxy/map.h"
#include "tsproxy/split.h"

#define TS_ANSWER_LIST_MAX 256

enum ts_ask {
	TS_ASK_LIBC,	/* not ours: the real call answers */
	TS_ASK_FOUND,
	TS_ASK_NONE,	/* ours, and there is no such name: fails without a DNS packet */
	TS_ASK_SPLIT,	/* a name server of its own knows: ts_split_find, dns_ask.h. Nobody else may be asked */
};

/*
 * Whose is `name`, in the order numeric, localhost, /etc/hosts, tailnet, DNS? `family` is what is asked for
 * (AF_UNSPEC: any), because /etc/hosts wins only where it has such an address. May wait 1 s for a fresher map when a
 * name misses (names.h).
 */
enum ts_ask ts_names_ask(const char *name, int family, struct ts_map_answer *out);
/* The same with conditions. */
struct ts_ask_how {
	int family;
	bool hosts;	/* what comes before DNS comes first; without, as who asks DNS directly (res_query(3)) */
	bool search;	/* short names are looked up under the tailnet's suffix */
	bool aliases;	/* those of HOSTALIASES count */
};
enum ts_ask ts_names_ask_how(const char *name, const struct ts_ask_how *how, struct ts_map_answer *out);
/* The name server for `name` among this process's settings and its map's. 1 or 0. */
int ts_split_find(const char *name, size_t len, struct ts_split *out);
/* The same as ts_names_ask for an address. `hosts`: /etc/hosts wins. */
enum ts_ask ts_names_ask_addr(const uint8_t ip[16], bool hosts, struct ts_map_answer *out);

/* Does /etc/hosts, as it is now, give `name` an address of `family`? */
bool ts_hosts_has_name(const char *name, int family);
bool ts_hosts_has_addr(const uint8_t ip[16]);

/* What else comes before DNS with glibc. Does nsswitch.conf(5) leave `name` to what names this machine? */
bool ts_native_names_machine(const char *name);
/* What stands for `name` in the file of HOSTALIASES. False: nothing. */
bool ts_native_alias(const char *name, char out[TS_NAME_MAX + 1]);

/* Which of two addresses glibc puts first: 1 the IPv6 one, -1 the other, 0 neither. */
int ts_gai_compare(const uint8_t six[16], const uint8_t four[16]);

/* Which libc the program runs on: glibc, or else one that behaves as musl. */
bool ts_libc_is_glibc(void);

/* `hints`, or what libc takes null hints for. musl: nothing; glibc: AI_ADDRCONFIG and AI_V4MAPPED. */
struct addrinfo ts_answer_hints(const struct addrinfo *hints);
/* As getaddrinfo(3) for a name that was found; `service` and `hints` as the caller gave them. */
int ts_answer_addrinfo(const struct ts_map_answer *a, const char *service, const struct addrinfo *hints,
		       struct addrinfo **res);
/* As getaddrinfo(3) for a name that does not exist: what else is wrong with the call is said first. */
int ts_answer_no_addrinfo(const char *service, const struct addrinfo *hints, int error);
/* As ts_answer_addrinfo, for these addresses in their order; families that `hints` does not want are not among them. */
int ts_answer_addrinfo_of(const uint8_t (*ip)[16], unsigned count, const char *canon, const char *service,
			  const struct addrinfo *hints, struct addrinfo **res);
/* What libc takes these hints for; `hints` may be null. */
struct addrinfo ts_answer_hints(const struct addrinfo *hints);
/* Frees a list that ts_answer_addrinfo built itself (musl). False: it is libc's. */
bool ts_answer_free(struct addrinfo *res);

/*
 * Fills `ret` and `buf` for the addresses of `family`. 0, ERANGE where `len` is too small, or -1 where there is no
 * such address. `asked` is the name that was looked up, or null for a lookup by address, which is answered in
 * `family` whichever way it is written.
 */
struct ts_answer_host {
	const char *canon;
	const uint8_t (*ip)[16];	/* those of another family are left out */
	unsigned count;
	const char (*alias)[TS_NAME_MAX + 1];
	unsigned alias_count;
};
int ts_answer_hostent_of(const struct ts_answer_host *a, int family, const char *asked, struct hostent *ret, char *buf, size_t len);
int ts_answer_hostent(const struct ts_map_answer *a, int family, const char *asked, struct hostent *ret, char *buf,
		      size_t len);

#endif
