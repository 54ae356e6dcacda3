/* SPDX-License-Identifier: MIT */
/*
 * Flattens prefixes into disjoint ranges, so that a reader needs one binary search and no precedence rules.
 *
 * Two prefixes are either disjoint or nested. Sorted by start, outermost first, a sweep keeps the chain of those that
 * cover the current address on a stack, each with the best of itself and all around it: EXCLUDE, then ROUTE, then the
 * innermost. IPv4 lies inside IPv6's number space (as ::ffff:0:0/96) but ::/0 does not mean it: the families are swept
 * apart, and IPv6's ranges have that block cut out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "map_write.h"

typedef unsigned __int128 u128;

struct ts_range_in {
	u128 first, last;
	uint32_t kind, node;
	bool is4;
};

static u128 load(const uint8_t ip[16])
{
	u128 v = 0;

	for (int i = 0; i < 16; i++)
		v = v << 8 | ip[i];
	return v;
}

static void store(uint8_t ip[16], u128 v)
{
	for (int i = 15; i >= 0; i--, v >>= 8)
		ip[i] = (uint8_t)v;
}

static bool grow(void **p, size_t *cap, size_t count, size_t size)
{
	size_t want = *cap ? *cap * 2 : 64;
	void *q;

	if (count < *cap)
		return true;
	q = realloc(*p, want * size);
	if (!q)
		return false;
	*p = q;
	*cap = want;
	return true;
}

void ts_ranges_add(struct ts_ranges *r, const struct ts_prefix *p, enum ts_range_kind kind, uint32_t node)
{
	struct ts_range_in *in;

	if (!grow((void **)&r->in, &r->in_cap, r->in_count, sizeof(*r->in))) {
		r->no_memory = true;
		return;
	}
	in = &r->in[r->in_count++];
	in->first = load(p->ip);
	in->last = in->first | (p->bits == 0 ? ~(u128)0 : ((u128)1 << (128 - p->bits)) - 1);
	in->kind = kind;
	in->node = node;
	in->is4 = p->bits >= 96 && ts_ip_is4(p->ip);
}

static int order(const void *a, const void *b)
{
	const struct ts_range_in *x = a, *y = b;

	if (x->is4 != y->is4)
		return x->is4 - y->is4;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	if (x->last != y->last)
		return x->last > y->last ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return (x->node > y->node) - (x->node < y->node);
}

static void put(struct ts_ranges *r, u128 first, u128 last, const struct ts_range_in *why)
{
	struct ts_map_range *prev = r->out_count ? &r->out[r->out_count - 1] : NULL;

	if (first > last)
		return;
	if (prev && prev->kind == why->kind && prev->node == why->node && load(prev->last) + 1 == first) {
		store(prev->last, last);
		return;
	}
	if (!grow((void **)&r->out, &r->out_cap, r->out_count, sizeof(*r->out))) {
		r->no_memory = true;
		return;
	}
	prev = &r->out[r->out_count++];
	store(prev->first, first);
	store(prev->last, last);
	prev->kind = why->kind;
	prev->node = why->node;
}

static void emit(struct ts_ranges *r, u128 first, u128 last, const struct ts_range_in *why)
{
	const u128 low4 = (u128)0xffff << 32, high4 = low4 + 0xffffffffu;

	if (why->is4 || last < low4 || first > high4) {
		put(r, first, last, why);
		return;
	}
	if (first < low4)
		put(r, first, low4 - 1, why);
	if (last > high4)
		put(r, high4 + 1, last, why);
}

static const struct ts_range_in *better(const struct ts_range_in *outer, const struct ts_range_in *inner)
{
	if (!outer)
		return inner;
	if (outer->kind == TS_RANGE_EXCLUDE || inner->kind == TS_RANGE_EXCLUDE)
		return outer->kind == TS_RANGE_EXCLUDE ? outer : inner;
	if (outer->kind == TS_RANGE_ROUTE || inner->kind == TS_RANGE_ROUTE)
		return outer->kind == TS_RANGE_ROUTE ? outer : inner;
	/* The same prefix twice: the first stands. */
	return outer->first == inner->first && outer->last == inner->last ? outer : inner;
}

struct level {
	u128 last;
	const struct ts_range_in *best;
};

static void sweep(struct ts_ranges *r, const struct ts_range_in *in, size_t n, struct level *stack)
{
	size_t depth = 0;
	u128 at = 0; /* the first address not yet emitted */

	for (size_t i = 0; i <= n; i++) {
		bool end = i == n;

		while (depth && (end || stack[depth - 1].last < in[i].first)) {
			depth--;
			emit(r, at, stack[depth].last, stack[depth].best);
			at = stack[depth].last + 1;
			/* Past the last address of all: what is left on the stack ends there too. */
			if (at == 0)
				return;
		}
		if (end)
			return;
		if (depth && at < in[i].first)
			emit(r, at, in[i].first - 1, stack[depth - 1].best);
		at = in[i].first;
		stack[depth].best = better(depth ? stack[depth - 1].best : NULL, &in[i]);
		stack[depth++].last = in[i].last;
	}
}

static int out_order(const void *a, const void *b)
{
	return memcmp(((const struct ts_map_range *)a)->first, ((const struct ts_map_range *)b)->first, 16);
}

int ts_ranges_flatten(struct ts_ranges *r)
{
	struct level *stack = malloc((r->in_count + 1) * sizeof(*stack));
	size_t n6 = 0;

	if (!stack || r->no_memory) {
		free(stack);
		return -ENOMEM;
	}
	if (r->in_count)
		qsort(r->in, r->in_count, sizeof(*r->in), order);
	while (n6 < r->in_count && !r->in[n6].is4)
		n6++;
	sweep(r, r->in, n6, stack);
	if (n6 < r->in_count)
		sweep(r, r->in + n6, r->in_count - n6, stack);
	if (r->out_count)
		qsort(r->out, r->out_count, sizeof(*r->out), out_order);
	free(stack);
	return r->no_memory ? -ENOMEM : 0;
}

void ts_ranges_free(struct ts_ranges *r)
{
	free(r->in);
	free(r->out);
}
