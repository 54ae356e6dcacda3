/* SPDX-License-Identifier: MIT */
/*
 * names parse FILE | table MAP N | program N | ask NAME: what names cost, for a tailnet of nodes n2, n3... (bench/names.py).
 * parse: jansson alone, in ms. table: one look-up of a name, of an address, and of neither, in ns. program: the first getaddrinfo of
 * a process, then one of a node, and one of a number, in ns. ask: one of NAME, in ns, the median.
 */
#include <jansson.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "tsproxy/map.h"

#define ROUNDS 200000

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "names: %s\n", what);
	exit(1);
}

/* Numbers that lie all over 0 to n-1, made before the clock runs. */
static char (*make_names(unsigned n, unsigned count))[24]
{
	char (*names)[24] = malloc(sizeof(*names) * count);

	for (unsigned i = 0; names && i < count; i++)
		snprintf(names[i], sizeof(*names), "n%u", 2 + (unsigned)((uint64_t)i * 2654435761u % n));
	return names ? names : (fail("out of memory"), NULL);
}

static void parse(const char *path)
{
	double begun = now_ns();
	json_t *j = json_load_file(path, 0, NULL);

	if (!j)
		fail("no JSON");
	json_decref(j);
	printf("%.3f\n", (now_ns() - begun) / 1e6);
}

static void table(const char *path, unsigned n)
{
	char (*names)[24] = make_names(n, 4096);
	struct ts_map_answer a;
	struct ts_map m;
	uint8_t (*ip)[16] = malloc(4096 * 16);
	double at;

	if (!ip || ts_map_load(path, &m) != 0)
		fail("no map");
	for (int i = 0; i < 4096; i++) {
		if (ts_map_find_name(&m, names[i], strlen(names[i]), &a) != 1)
			fail("a name is missing");
		memcpy(ip[i], a.ip[0], 16);
	}
	at = now_ns();
	for (int i = 0; i < ROUNDS; i++)
		ts_map_find_name(&m, names[i & 4095], strlen(names[i & 4095]), &a);
	printf("%.1f ", (now_ns() - at) / ROUNDS);
	at = now_ns();
	for (int i = 0; i < ROUNDS; i++)
		ts_map_find_addr(&m, ip[i & 4095], &a);
	printf("%.1f ", (now_ns() - at) / ROUNDS);
	at = now_ns();
	for (int i = 0; i < ROUNDS; i++)
		ts_map_find_name(&m, "www.example.com", 15, &a);
	printf("%.1f\n", (now_ns() - at) / ROUNDS);
}

static double look_up(const char *name)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *res;
	double begun = now_ns();

	if (getaddrinfo(name, "80", &hints, &res) != 0)
		fail(name);
	freeaddrinfo(res);
	return now_ns() - begun;
}

static void program(unsigned n)
{
	char (*names)[24] = make_names(n, 4096);
	double first = look_up("n2"), node = 0, number = 0;

	for (int i = 0; i < 4096; i++)
		node += look_up(names[i]);
	for (int i = 0; i < 4096; i++)
		number += look_up("192.0.2.1");
	printf("%.0f %.0f %.0f\n", first, node / 4096, number / 4096);
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void ask(const char *name)
{
	enum { N = 2001 };
	static double took[N];

	for (int i = 0; i < N; i++)
		took[i] = look_up(name);
	qsort(took, N, sizeof(*took), order);
	printf("%.0f\n", took[N / 2]);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "parse") == 0)
		parse(argv[2]);
	else if (argc == 4 && strcmp(argv[1], "table") == 0)
		table(argv[2], (unsigned)atoi(argv[3]));
	else if (argc == 3 && strcmp(argv[1], "program") == 0)
		program((unsigned)atoi(argv[2]));
	else if (argc == 3 && strcmp(argv[1], "ask") == 0)
		ask(argv[2]);
	else
		fail("wrong arguments");
	return 0;
}
