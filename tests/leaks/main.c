/* SPDX-License-Identifier: MIT */
/*
 * ways [-c FOLDER] [-s] [-d] [-o WAY] ADDRESS|NAME...: tries every way (or one) at each address or name, each in a process of its own, AT_ONCE at once.
 * Of a name that begins with '*' that stands for "wNNN". -d: reverse lookups ask for an address of their own each.
 * -c: in a chroot(2), which it enters itself; -s: in a seccomp(2) sandbox, whose filter forbids nothing.
 * Prints "unavailable WAY" for each that cannot be tried here, "killed WAY" for each that ended by a signal or took more than LIMIT_S,
 * and "tried N". -l lists the ways: name, families, and "silent" where natively nothing leaves.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#if __has_include(<linux/filter.h>)
#include <linux/filter.h>
#include <linux/seccomp.h>
#endif

#include "ways.h"

#define LIMIT_S 20
#define AT_ONCE 64

static const struct way *const lists[] = { tcp_ways, udp_ways, connected_ways, packet_ways, context_ways, name_ways };
static struct { pid_t pid; const char *name; } tries[AT_ONCE];
static int try_count;
static bool distinct;

static const struct way *way_number(int n)
{
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		for (const struct way *w = lists[i]; w->name; w++)
			if (n-- == 0)
				return w;
	return NULL;
}

static int number_of(const char *name)
{
	const struct way *w;

	for (int n = 0; (w = way_number(n)) != NULL; n++)
		if (strcmp(w->name, name) == 0)
			return n;
	return -1;
}

static bool set_address(struct target *t, const char *text, int number)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&t->addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&t->addr;

	memset(t, 0, sizeof(*t));
	snprintf(t->payload, sizeof(t->payload), "way-%03d", number);
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)(PORT + number));
		t->len = sizeof(*in);
	} else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)(PORT + number));
		t->len = sizeof(*in6);
	}
	return t->len != 0;
}

static bool fits(const struct way *w, const struct target *t)
{
	if (!t->len)
		return w->families == 'n';
	return w->families == 'b' || w->families == 'r' || w->families == (t->addr.ss_family == AF_INET ? '4' : '6');
}

static void give_own_address(struct target *t, int number)
{
	if (t->addr.ss_family == AF_INET)
		((uint8_t *)&((struct sockaddr_in *)&t->addr)->sin_addr)[3] = (uint8_t)number;
	else
		((struct sockaddr_in6 *)&t->addr)->sin6_addr.s6_addr[15] = (uint8_t)number;
}

/* In its own process. */
static void try_it(const char *text, int number)
{
	const struct way *w = way_number(number);
	struct target t;
	char name[256];

	if (!set_address(&t, text, number)) {
		if (*text == '*')
			snprintf(name, sizeof(name), "w%03d%s", number, text + 1);
		t.name = *text == '*' ? name : text;
	}
	if (w->families == 'r' && distinct)
		give_own_address(&t, number);
	t.type = w->type;
	alarm(LIMIT_S);
	w->run(&t);
	_exit(0);
}

/* Waits for the process in that place, if there is one, and says how it ended. */
static void finish(int place)
{
	pid_t pid = tries[place].pid;
	int status;

	tries[place].pid = 0;
	if (!pid || waitpid(pid, &status, 0) != pid)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == UNAVAILABLE)
		printf("unavailable %s\n", tries[place].name);
	else if (WIFSIGNALED(status))
		printf("killed %s\n", tries[place].name);
}

static void begin(const char *text, int number)
{
	const struct way *w = way_number(number);
	int place = try_count % AT_ONCE;
	struct target t;

	set_address(&t, text, number);
	if (!fits(w, &t))
		return;
	finish(place);
	fflush(stdout);
	tries[place].name = w->name;
	tries[place].pid = fork();
	if (tries[place].pid == 0)
		try_it(text, number);
	try_count++;
}

/* What again() left for this process, in its constructor or in main. */
static void go_on(const char *how)
{
	const char *given = getenv("WAYS"), *address = getenv("WAYS_TO");
	char want[16];
	int number, fd;
	struct target t;

	if (!given || sscanf(given, "%15s %d %d", want, &number, &fd) != 3 || strcmp(want, how) != 0 || !set_address(&t, address, number))
		return;
	alarm(LIMIT_S);
	t.type = way_number(number)->type;
	reach(fd < 0 ? new_socket(&t, t.type, 0) : fd, &t);
	_exit(0);
}

__attribute__((constructor)) static void early(void)
{
	go_on("early");
}

static void list(void)
{
	const struct way *w;

	for (int n = 0; (w = way_number(n)) != NULL; n++)
		printf("%s %c %s\n", w->name, w->families, w->silent ? "silent" : "");
}

static bool sandbox(void)
{
#ifdef SECCOMP_MODE_FILTER
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog filter = { 1, &allow };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
#else
	return false;
#endif
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	int c;

	go_on("late");
	signal(SIGPIPE, SIG_IGN);
	while ((c = getopt(argc, argv, "c:sldo:")) != -1) {
		if (c == 'l')
			return list(), 0;
		if (c == 'c' && (chroot(optarg) || chdir("/")))
			return perror("chroot"), 1;
		if (c == 's' && !sandbox())
			return perror("seccomp"), 1;
		if (c == 'd')
			distinct = true;
		else if (c == 'o')
			only = optarg;
		else if (c != 'c' && c != 's')
			return 2;
	}
	for (; optind < argc; optind++)
		for (int n = only ? number_of(only) : 0; way_number(n) && (!only || n == number_of(only)); n++)
			begin(argv[optind], n);
	for (int i = 0; i < AT_ONCE; i++)
		finish((try_count + i) % AT_ONCE);
	printf("tried %d\n", try_count);
	return 0;
}
