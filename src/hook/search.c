/* SPDX-License-Identifier: MIT */
/* The search list: see search.h. The order, and what is said where nothing is found, are those of libc's res_search. */
#include "search.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "hook.h"
#include "tsproxy/answer.h"
#include "tsproxy/buf.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/name_kind.h"
#include "tsproxy/names.h"
#include "tsproxy/resolv_conf.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

extern int *__h_errno_location(void) __attribute__((weak));

struct search {
	struct ts_resolv conf;
	const char *name;
	bool whole_first;	/* the name as it stands comes before the list, else after it */
	unsigned at, count;	/* of the steps: the list's domains, and the name itself */
	char text[2 * TS_NAME_MAX + 3];	/* the step's name, with a dot at its end: nobody searches further for that */
};

static bool write_step(struct search *s, unsigned i)
{
	struct ts_wr w = ts_wr_over(s->text, sizeof(s->text));
	bool whole = i == (s->whole_first ? 0 : s->conf.search_count);
	const char *domain = whole ? "" : s->conf.search[s->whole_first ? i - 1 : i];

	ts_wr_str(&w, s->name);
	ts_wr_u8(&w, '.');
	ts_wr_str(&w, domain);
	if (*domain && domain[strlen(domain) - 1] != '.')
		ts_wr_u8(&w, '.');
	return ts_wr_end(&w);
}

/* The next name to look up, or null. */
static const char *next(struct search *s)
{
	while (s->at < s->count)
		if (write_step(s, s->at++))
			return s->text;
	return NULL;
}

/* The same without those that are withheld: as if they were not there, for libc's own search would end at one that fails. */
static const char *next_asked(struct search *s)
{
	struct ts_split split;
	const char *step;

	do
		step = next(s);
	while (step && ts_split_find(step, strlen(step), &split) && split.withheld);
	return step;
}

/* Whether a search domain can be ours: a name server's of its own, the tailnet's, or without a map one under ts.net. */
static bool may_be_ours(void)
{
	uint32_t map_flags;

	return ts_conf.dns_route[0] || ts_live_flags(&map_flags) != 0 || !(map_flags & TS_MAP_TUN);
}

static void set_up(struct search *s, const char *name, size_t len)
{
	size_t dots = 0;

	ts_resolv_read(&s->conf);
	for (size_t i = 0; i < len; i++)
		dots += name[i] == '.';
	s->name = name;
	s->whole_first = dots >= s->conf.ndots;
	s->at = 0;
	s->count = s->conf.search_count + 1;
}

/* `s` is made anew. */
static bool has_step_of_ours_in(struct search *s, const char *name, size_t len)
{
	struct ts_split split;
	const char *step;

	set_up(s, name, len);
	/* musl searches for no name that has dots enough. */
	if (s->whole_first && !ts_libc_is_glibc())
		return false;
	while ((step = next(s)) != NULL)
		if (ts_split_find(step, strlen(step), &split) || ts_live_name_under_suffix(step, strlen(step)))
			return true;
	return false;
}

static bool has_step_of_ours(const char *name, size_t len)
{
	struct search *s = ts_scratch_get(sizeof(*s));
	bool has = s && has_step_of_ours_in(s, name, len);

	ts_scratch_put(s, sizeof(*s));
	return has;
}

static bool wants(const char *name, int family, bool hosts)
{
	char plain[TS_NAME_MAX + 2];
	size_t len;

	if (!ts_enabled() || !name)
		return false;
	/* A longer one fits then; its steps do not, and nothing is found. */
	if (ts_name_unescape(name, plain))
		name = plain;
	len = strlen(name);
	if (len == 0 || len > TS_NAME_MAX || name[len - 1] == '.' ||
	    (hosts && (ts_name_is_number(name) || ts_name_is_localhost(name, len))) || !may_be_ours())
		return false;
	return has_step_of_ours(name, len) && !(hosts && ts_hosts_has_name(name, family));
}

/* In pages of its own until end(); null where nothing is to be searched here. */
static struct search *begin(const char *name, int family, bool hosts)
{
	struct search *s = wants(name, family, hosts) ? ts_zero_pages(sizeof(*s), MAP_PRIVATE) : NULL;

	if (s)
		set_up(s, name, strlen(name));
	return s;
}

static void end(struct search *s)
{
	ts_sys(SYS_munmap, s, sizeof(*s));
}

bool ts_search_wants(const char *name, int family)
{
	return wants(name, family, true);
}

/* What the steps without an answer come to: the name's own, if it came first; else that there is one of another kind; else the last. */
static int failure(const struct search *s, int before, int now, int nodata)
{
	if (s->at == 1)
		return now;
	return s->whole_first || before == nodata ? before : now;
}

bool ts_search_addrinfo(const char *name, int family, const char *service, const struct addrinfo *hints, struct addrinfo **res,
			int *ret)
{
	struct search *s = begin(name, family, true);
	const char *step;
	int said = EAI_NONAME, one;

	if (!s)
		return false;
	while ((step = next_asked(s)) != NULL) {
		one = getaddrinfo(step, service, hints, res);
		said = failure(s, said, one, EAI_NODATA);
		if (one == EAI_NONAME || one == EAI_NODATA)
			continue;
		said = one;
		break;
	}
	end(s);
	*ret = said;
	return true;
}

bool ts_search_host(const char *name, int family, struct hostent *host, char *buf, size_t len, struct hostent **result, int *herr,
		    int *ret)
{
	struct search *s = family == AF_INET || family == AF_INET6 ? begin(name, family, true) : NULL;
	const char *step;
	int said = HOST_NOT_FOUND;

	if (!s)
		return false;
	while ((step = next_asked(s)) != NULL) {
		*ret = gethostbyname2_r(step, family, host, buf, len, result, herr);
		said = failure(s, said, *herr, NO_DATA);
		if (!*result && (*herr == HOST_NOT_FOUND || *herr == NO_DATA))
			continue;
		said = *herr;
		break;
	}
	end(s);
	*herr = said;
	return true;
}

bool ts_search_query(struct __res_state *state, const char *name, int class, int type, unsigned char *answer, int len, int *ret)
{
	struct search *s = __h_errno_location ? begin(name, AF_UNSPEC, false) : NULL;
	const char *step;
	int said = HOST_NOT_FOUND, why;

	if (!s)
		return false;
	while ((step = next_asked(s)) != NULL) {
		*ret = state ? res_nquery(state, step, class, type, answer, len) : res_query(step, class, type, answer, len);
		why = *__h_errno_location();
		said = failure(s, said, why, NO_DATA);
		if (*ret < 0 && (why == HOST_NOT_FOUND || why == NO_DATA))
			continue;
		said = why;
		break;
	}
	end(s);
	*__h_errno_location() = said;
	return true;
}
