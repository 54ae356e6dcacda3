/* SPDX-License-Identifier: MIT */
/* What goes wrong: each rule names a target and the settings that it changes; later ones win, setting by setting. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

struct setting {
	const char *key;
	bool (*parse)(struct ts_sim_fault *f, const char *value);
};

struct rule {
	struct rule *next;
	bool any;
	struct ts_addr target;	/* port 0: any port */
	bool any_ip;
	char *settings;
};

static struct rule *rules, **rules_end = &rules;

static bool number(const char *s, unsigned *out)
{
	char *end;
	unsigned long v = strtoul(s, &end, 0);

	*out = (unsigned)v;
	return *s && !*end && v <= 0x7fffffff;
}

/* "BYTES/MS" */
static bool pace(const char *s, unsigned *n, unsigned *ms)
{
	char *end;
	unsigned long bytes = strtoul(s, &end, 0);

	*n = (unsigned)bytes;
	return bytes > 0 && bytes < 0x7fffffff && *end == '/' && number(end + 1, ms);
}

static bool end_at(struct ts_sim_fault *f, enum ts_sim_end kind, const char *value)
{
	unsigned at;

	if (!number(value, &at))
		return false;
	f->end = kind;
	f->end_at = at;
	return true;
}

static bool set_delay(struct ts_sim_fault *f, const char *v)
{
	return number(v, &f->delay_ms);
}

static bool set_reply(struct ts_sim_fault *f, const char *v)
{
	unsigned code;

	if (!number(v, &code) || code > 255)
		return false;
	f->reply = (int)code;
	return true;
}

static bool set_dribble(struct ts_sim_fault *f, const char *v)
{
	return pace(v, &f->dribble_n, &f->dribble_ms);
}

static bool set_pace(struct ts_sim_fault *f, const char *v)
{
	return pace(v, &f->pace_n, &f->pace_ms);
}

static bool set_cut(struct ts_sim_fault *f, const char *v)
{
	return end_at(f, TS_SIM_END_CUT, v);
}

static bool set_eof(struct ts_sim_fault *f, const char *v)
{
	return end_at(f, TS_SIM_END_EOF, v);
}

static bool set_rst(struct ts_sim_fault *f, const char *v)
{
	return end_at(f, TS_SIM_END_RST, v);
}

static bool set_bnd(struct ts_sim_fault *f, const char *v)
{
	static const char *const names[] = { "true", "zero", "ipv4", "ipv6" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(v, names[i]) == 0) {
			f->bnd = (enum ts_sim_bnd)i;
			return true;
		}
	f->bnd = TS_SIM_BND_DOMAIN;
	return strncmp(v, "domain/", 7) == 0 && number(v + 7, &f->bnd_len) && f->bnd_len <= 255;
}

static bool set_garbage(struct ts_sim_fault *f, const char *v)
{
	f->garbage = true;
	return !*v;
}

static bool set_glue(struct ts_sim_fault *f, const char *v)
{
	f->glue = true;
	return !*v;
}

static bool set_never(struct ts_sim_fault *f, const char *v)
{
	f->never = true;
	return !*v;
}

static bool set_half_close(struct ts_sim_fault *f, const char *v)
{
	f->no_half_close = strcmp(v, "off") == 0;
	return f->no_half_close || strcmp(v, "on") == 0;
}

static const struct setting settings[] = {
	{ "delay", set_delay }, { "reply", set_reply }, { "dribble", set_dribble }, { "pace", set_pace },
	{ "cut", set_cut }, { "eof", set_eof }, { "rst", set_rst }, { "bnd", set_bnd }, { "garbage", set_garbage },
	{ "glue", set_glue }, { "never", set_never }, { "half-close", set_half_close },
};

/* Applies "KEY=VALUE,KEY..." */
static bool apply(struct ts_sim_fault *f, const char *text)
{
	char copy[512], *save, *item;

	if (strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);
	for (item = strtok_r(copy, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(item, '=');
		size_t i;

		if (eq)
			*eq++ = '\0';
		for (i = 0; i < sizeof(settings) / sizeof(*settings); i++)
			if (strcmp(item, settings[i].key) == 0)
				break;
		if (i == sizeof(settings) / sizeof(*settings) || !settings[i].parse(f, eq ? eq : ""))
			return false;
	}
	return true;
}

/* "*", PORT, ADDRESS or ADDRESS:PORT */
static bool parse_target(struct rule *r, const char *s, size_t len)
{
	if (len == 1 && *s == '*') {
		r->any = true;
		return true;
	}
	if (ts_addr_parse(s, len, &r->target)) {
		r->target.port = 0;
		return true;
	}
	r->any_ip = strspn(s, "0123456789") == len;
	return ts_addr_parse_hostport(s, len, &r->target);
}

int ts_sim_fault_add(const char *spec)
{
	size_t len = strcspn(spec, ",");
	struct ts_sim_fault scratch = { .reply = -1 };
	struct rule *r = ts_sim_alloc(sizeof(*r));

	r->settings = strdup(spec[len] ? spec + len + 1 : "");
	if (!r->settings || !parse_target(r, spec, len) || !apply(&scratch, r->settings)) {
		free(r->settings);
		free(r);
		return -EINVAL;
	}
	*rules_end = r;
	rules_end = &r->next;
	return 0;
}

static bool matches(const struct rule *r, const struct ts_addr *target)
{
	if (r->any)
		return true;
	return target && (!r->target.port || r->target.port == target->port) &&
		(r->any_ip || memcmp(r->target.ip, target->ip, 16) == 0);
}

struct ts_sim_fault ts_sim_fault_for(const struct ts_addr *target)
{
	struct ts_sim_fault f = { .reply = -1 };

	for (const struct rule *r = rules; r; r = r->next)
		if (matches(r, target))
			apply(&f, r->settings);
	return f;
}
