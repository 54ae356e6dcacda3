/* SPDX-License-Identifier: MIT */
/*
 * Threads that look up names and addresses while the map is replaced: each finds the old one or the new one, whole. Under
 * ThreadSanitizer (make tsan) what is read without a lock is read by whole words, too.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>

#include "engine.h"
#include "tsproxy/names.h"

#define THREADS 3
#define MAPS 4	/* so many are taken in while the threads ask */

/* --- what is asked --- */

static bool is_peer(const struct sockaddr *sa)
{
	return memcmp(&((const struct sockaddr_in *)sa)->sin_addr, &((const struct sockaddr_in *)engine_peer(ENGINE_ECHO))->sin_addr, 4) == 0;
}

static bool by_getaddrinfo(const char *name)
{
	const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	bool found = getaddrinfo(name, "80", &hints, &list) == 0;
	bool same = found && is_peer(list->ai_addr);

	if (list)
		freeaddrinfo(list);
	return same;
}

static bool finds_name(void) { return by_getaddrinfo("peer"); }
static bool finds_number(void) { return by_getaddrinfo("100.64.0.2"); }
static bool misses_name(void) { return !by_getaddrinfo("nobody.example.ts.net"); }

static bool finds_host(void)
{
	struct hostent h, *found = NULL;
	char buf[2048];
	int err;

	return gethostbyname_r("peer", &h, buf, sizeof(buf), &found, &err) == 0 && found;
}

static bool finds_address(void)
{
	char host[NI_MAXHOST];

	return getnameinfo(ENGINE_TO(ENGINE_ECHO), host, sizeof(host), NULL, 0, NI_NAMEREQD) == 0 && strncmp(host, "peer.", 5) == 0;
}

static bool asks_socket(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(ENGINE_ECHO), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && getpeername(fd, (struct sockaddr *)&sa, &len) == 0 &&
		  getsockname(fd, (struct sockaddr *)&sa, &len) == 0;

	close(fd);
	return ok;
}

static bool sends_past(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0x7f000007) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool ok = sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, sizeof(sa)) == 1;

	close(fd);
	return ok;
}

static bool (*const questions[])(void) = { finds_name, misses_name, finds_host, finds_address, asks_socket, sends_past, finds_number };
#define QUESTIONS (sizeof(questions) / sizeof(questions[0]))

/* --- what is replaced --- */

static unsigned first_version;

/* By a copy of it: another file with the same bytes. */
static void replace_map(void)
{
	static char bytes[1 << 16];
	const char *path = getenv("TSPROXY_MAP");
	char other[256];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(bytes, 1, sizeof(bytes), f) : 0;

	if (f)
		fclose(f);
	snprintf(other, sizeof(other), "%s.new", path);
	f = fopen(other, "w");
	if (!f)
		return;
	fwrite(bytes, 1, n, f);
	fchmod(fileno(f), 0600);
	fclose(f);
	rename(other, path);
}

static void *ask(void *arg)
{
	long who = (long)arg, wrong = 0;

	for (unsigned i = 0; ts_live_version() < first_version + MAPS; i++) {
		unsigned at = (unsigned)(i * (who + 1)) % QUESTIONS;

		if (!questions[at]()) {
			fprintf(stderr, "thread %ld, question %u: no right answer\n", who, at);
			wrong++;
		}
		if (who == 0)
			replace_map();
	}
	return (void *)wrong;
}

START_TEST(while_replaced)
{
	pthread_t t[THREADS];
	void *wrong;

	first_version = ts_live_version();
	for (long i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, ask, (void *)i), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], &wrong);
		ck_assert_ptr_null(wrong);
	}
	ck_assert_int_eq(engine_leaks(), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("names_threads");
	TCase *t = tcase_create("replaced");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, while_replaced);
	suite_add_tcase(s, t);
	return s;
}

int main(int argc, char **argv)
{
	(void)argc;
	return engine_main(argv, suite);
}
