/* SPDX-License-Identifier: MIT */
/* Draws that are the same in both worlds: set `state` first. */
#ifndef DRAW_H
#define DRAW_H

#include <stddef.h>
#include <stdint.h>

static uint64_t state;

static inline size_t draw(size_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(state >> 33) % n;
}

#define ONE_OF(list) (list)[draw(sizeof(list) / sizeof(*(list)))]

#endif
