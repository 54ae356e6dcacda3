/* SPDX-License-Identifier: MIT */
/*
 * Answers are freed without loss, whole or (where libc allows it) in parts, also in a program that brings its own
 * malloc, which counts what is allocated and would notice a block that is not its own.
 */
/*
 * libc: glibc musl
 * status: names.json
 * expect: 0 of 30000 left
 * expect: in two parts 0 left
 */
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define OWN 0x6f776e206f776e20ull

static long blocks;
static char *room, *room_end;

/* Never gives memory back: what counts is that each block comes and goes here. */
static void *take(size_t size)
{
	uint64_t *p;

	size = (size + 16 + 15) & ~15ul;
	if (!room || room + size > room_end) {
		size_t more = size > 64 << 20 ? size : 64 << 20;

		room = mmap(NULL, more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		room_end = room + more;
	}
	p = (uint64_t *)room;
	room += size;
	p[0] = OWN;
	p[1] = size - 16;
	blocks++;
	return p + 2;
}

void *malloc(size_t size)
{
	return take(size);
}

void free(void *p)
{
	if (!p)
		return;
	if (((uint64_t *)p)[-2] != OWN)
		abort();
	((uint64_t *)p)[-2] = 0;
	blocks--;
}

void *calloc(size_t n, size_t size)
{
	return take(n * size);	/* fresh from the kernel, so zero */
}

void *realloc(void *p, size_t size)
{
	void *q = take(size);

	if (p) {
		size_t old = ((uint64_t *)p)[-1];

		memcpy(q, p, old < size ? old : size);
		free(p);
	}
	return q;
}

static struct addrinfo *ask(void)
{
	struct addrinfo hints = { .ai_flags = AI_CANONNAME }, *res;

	if (getaddrinfo("db", "80", &hints, &res) != 0 || strcmp(res->ai_canonname, "db.tail1.ts.net") != 0)
		abort();
	return res;
}

int main(void)
{
	struct addrinfo *res, *rest;
	char line[80];
	long before;

	freeaddrinfo(ask());	/* what libc keeps for itself it has now */
	before = blocks;
	for (int i = 0; i < 30000; i++)
		freeaddrinfo(ask());
	snprintf(line, sizeof(line), "%ld of 30000 left", blocks - before);
	puts(line);
	before = blocks;
	res = ask();
	rest = res->ai_next->ai_next;
	res->ai_next->ai_next = NULL;
	freeaddrinfo(rest);
	freeaddrinfo(res);
	printf("in two parts %ld left\n", blocks - before);
	return 0;
}
