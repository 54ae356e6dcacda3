/* SPDX-License-Identifier: MIT */
/* What happened, for tests to count: JSON, put in place by rename so that a reader never sees half of it. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

struct ts_sim_stats ts_sim_stats;
const char *ts_sim_stats_file;
bool ts_sim_verbose;

static struct ts_sim_target **targets;
static size_t target_count, target_cap;
static unsigned sequence;

void ts_sim_say(const char *fmt, ...)
{
	va_list args;

	if (!ts_sim_verbose)
		return;
	fputs("tsproxy-sim: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

struct ts_sim_target *ts_sim_stats_target(const struct ts_sim_dest *dest)
{
	struct ts_sim_target *t;

	for (size_t i = 0; i < target_count; i++)
		if (strcmp(targets[i]->name, dest->name) == 0 && targets[i]->addr.port == dest->addr.port &&
		    (dest->name[0] || ts_addr_equal(&targets[i]->addr, &dest->addr)))
			return targets[i];
	if (target_count == target_cap) {
		struct ts_sim_target **bigger;

		target_cap = target_cap ? 2 * target_cap : 16;
		bigger = ts_sim_alloc(target_cap * sizeof(*bigger));
		if (target_count)
			memcpy(bigger, targets, target_count * sizeof(*bigger));
		free(targets);
		targets = bigger;
	}
	t = ts_sim_alloc(sizeof(*t));
	t->addr = dest->addr;
	strcpy(t->name, dest->name);
	targets[target_count++] = t;
	return t;
}

static void write_target(FILE *f, const struct ts_sim_target *t, const char *sep)
{
	char text[TS_ADDR_TEXT_MAX];

	ts_addr_format(&t->addr, text);
	/* A name is any bytes that a client sent; what is not plain shows as a question mark. */
	fprintf(f, "%s\n\"", sep);
	for (const char *s = t->name; *s; s++)
		fputc(*s > ' ' && *s < 127 && *s != '"' && *s != '\\' ? *s : '?', f);
	if (t->name[0])
		fprintf(f, ":%u", t->addr.port);
	else
		fputs(text, f);
	fprintf(f, "\": {\"connections\": %lu, \"refused\": %lu, \"up\": %lu, \"down\": %lu, "
		"\"udp_up\": %lu, \"udp_down\": %lu}",
		t->connections, t->refused, t->up, t->down, t->udp_up, t->udp_down);
}

void ts_sim_stats_write(void)
{
	const struct ts_sim_stats *s = &ts_sim_stats;
	char tmp[4096];
	FILE *f;

	if (!ts_sim_stats_file || snprintf(tmp, sizeof(tmp), "%s.new", ts_sim_stats_file) >= (int)sizeof(tmp))
		return;
	f = fopen(tmp, "w");
	if (!f) {
		perror(tmp);
		return;
	}
	fprintf(f, "{\"sequence\": %u, \"accepted\": %lu, \"connections\": %lu, \"http\": %lu, \"udp_associations\": %lu, "
		"\"bad\": %lu, \"up\": %lu, \"down\": %lu, \"localapi\": %lu, \"open\": %lu, \"open_max\": %lu, "
		"\"pending\": %lu, \"pending_max\": %lu, \"targets\": {",
		++sequence, s->accepted, s->connections, s->http, s->udp_associations, s->bad, s->up, s->down, s->localapi,
		s->open, s->open_max, s->pending, s->pending_max);
	for (size_t i = 0; i < target_count; i++)
		write_target(f, targets[i], i ? "," : "");
	fputs("}}\n", f);
	if (fclose(f) != 0 || rename(tmp, ts_sim_stats_file) != 0)
		perror(ts_sim_stats_file);
}
