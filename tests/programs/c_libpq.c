/* SPDX-License-Identifier: MIT */
/* needs: libpq-dev pc:libpq */
/* needs: gcc gcc */
/* needs: postgresql file:/usr/lib/postgresql/??/bin/initdb */
/* build: cc -Wall -Wextra -o {out}/run {file} $(pkg-config --cflags --libs libpq) */
/* run: {out}/run "user=app password=secret dbname=postgres host={host} port={port}" */
/* server: postgres */
/* set: fast */
/* libpq's asynchronous interface: ten connections at once, each polled to its end, and one query. */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MANY 10

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void tell(PGconn *c, PostgresPollingStatusType state)
{
	PGresult *r;

	if (state != PGRES_POLLING_OK) {
		printf("%s%s\n", state == PGRES_POLLING_FAILED ? "" : "still connecting ", PQerrorMessage(c));
		return;
	}
	r = PQexec(c, "select 6 * 7");
	printf("%s %s %s\n", PQgetvalue(r, 0, 0), PQhost(c), PQhostaddr(c));
	PQclear(r);
}

int main(int argc, char *argv[])
{
	PGconn *c[MANY];
	PostgresPollingStatusType state[MANY];
	long end = now_ms() + 1500;
	int left = MANY;

	if (argc < 2)
		return 2;
	for (int i = 0; i < MANY; i++) {
		c[i] = PQconnectStart(argv[1]);
		state[i] = PGRES_POLLING_WRITING;
	}
	while (left && now_ms() < end) {
		struct pollfd p[MANY];

		for (int i = 0; i < MANY; i++) {
			p[i].fd = state[i] == PGRES_POLLING_OK || state[i] == PGRES_POLLING_FAILED ? -1 : PQsocket(c[i]);
			p[i].events = state[i] == PGRES_POLLING_READING ? POLLIN : POLLOUT;
			p[i].revents = 0;
		}
		poll(p, MANY, 100);
		for (int i = 0; i < MANY; i++) {
			if (p[i].fd < 0 || !p[i].revents)
				continue;
			state[i] = PQconnectPoll(c[i]);
			left -= state[i] == PGRES_POLLING_OK || state[i] == PGRES_POLLING_FAILED;
		}
	}
	for (int i = 0; i < MANY; i++) {
		tell(c[i], state[i]);
		PQfinish(c[i]);
	}
	return 0;
}
