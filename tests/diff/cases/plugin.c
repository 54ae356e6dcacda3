/* SPDX-License-Identifier: MIT */
/*
 * Code that comes in through dlopen: with RTLD_DEEPBIND its calls prefer its own libraries, in a namespace of its own (dlmopen)
 * it has another libc. This program loads shared objects that lie beside it (plugin*.so, made of plugin_so.c).
 */
#include "../case.h"

#include <dlfcn.h>

#define DEEP (RTLD_LAZY | RTLD_DEEPBIND)

typedef int dial_fn(int, const struct sockaddr *, socklen_t);

const char *whose(void);
const char *whose(void)
{
	return "the program's";
}

/* The object `what` of this program's own. */
static const char *beside(const char *what)
{
	static __thread char path[4096];

	snprintf(path, sizeof(path), "%s%s.so", case_self, what);
	return path;
}

static void *load(const char *what, int flags)
{
	void *h = dlopen(beside(what), flags);

	if (!h)
		say("load: failed");
	return h;
}

static void dial_by(void *h, const char *name)
{
	dial_fn *dial = h ? (dial_fn *)dlsym(h, name) : NULL;

	if (!dial)
		return;
	say("plugin: %d", dial(SOCK_STREAM, TO(PEER, ECHO)));
	say("plugin refused: %s", err_name(-dial(SOCK_STREAM, TO(PEER, REFUSED))));
	say("plugin non-blocking: %d", dial(SOCK_STREAM | SOCK_NONBLOCK, TO(PEER, ECHO)));
}

static void through(void *h)
{
	int (*with_epoll)(const struct sockaddr *, socklen_t) = h ? (int (*)(const struct sockaddr *, socklen_t))dlsym(h, "plugin_epoll") : NULL;
	int (*with_select)(const struct sockaddr *, socklen_t) = h ? (int (*)(const struct sockaddr *, socklen_t))dlsym(h, "plugin_select") : NULL;
	const char *(*its)(void) = h ? (const char *(*)(void))dlsym(h, "plugin_whose") : NULL;

	dial_by(h, "plugin_dial");
	if (!with_epoll || !with_select || !its)
		return;
	say("epoll: %d", with_epoll(TO(PEER, ECHO)));
	say("epoll refused: %s", err_name(-with_epoll(TO(PEER, REFUSED))));
	say("select: %d", with_select(TO(PEER, ECHO)));
	say("select refused: %s", err_name(-with_select(TO(PEER, REFUSED))));
	say("it calls %s function", its());
}

CASE(now) { through(load("", RTLD_NOW)); }
CASE(lazy_global) { through(load("", RTLD_LAZY | RTLD_GLOBAL)); }
CASE(deepbind) { through(load("", RTLD_NOW | RTLD_DEEPBIND)); }
CASE(deepbind_lazy) { through(load("", DEEP)); }
CASE(deepbind_global) { through(load("", DEEP | RTLD_GLOBAL)); }
CASE(deepbind_bind_now) { through(load("-now", DEEP)); }
CASE(deepbind_no_relro) { through(load("-plain", DEEP)); }
CASE(deepbind_no_plt) { through(load("-noplt", DEEP)); }
CASE(deepbind_twice) { through(load("", DEEP)); through(load("-now", DEEP)); }
CASE(deepbind_after_plain) { through(load("-now", RTLD_NOW)); through(load("", DEEP)); through(load("-now", DEEP)); }
CASE(deepbind_dependency) { dial_by(load("-needs", DEEP), "plugin_needs_dial"); }
CASE(deepbind_closed) { void *h = load("", DEEP); through(h); T(dlclose(h)); through(load("", DEEP)); }
CASE(deepbind_missing) { say("%d", dlopen(beside("-none"), DEEP) == NULL); say("%d", strstr(dlerror(), "-none.so") != NULL); through(load("", DEEP)); }

CASE(deepbind_constructor)
{
	char hex[2 * sizeof(struct sockaddr_storage) + 1];
	const unsigned char *to = (const void *)at(PEER, ECHO);
	void *h;

	for (socklen_t i = 0; i < at_len(); i++)
		snprintf(hex + 2 * i, 3, "%02x", to[i]);
	setenv("PLUGIN_TO", hex, 1);
	h = load("-early", DEEP);
	if (h)
		say("its constructor: %d", *(int *)dlsym(h, "plugin_early"));
	through(h);
}

/* Asks libc itself for the call, as interpreters do. */
CASE(libc_by_name)
{
	void *h = dlopen("libc.so.6", RTLD_NOW);
	__typeof__(&connect) its_connect = h ? (__typeof__(&connect))dlsym(h, "connect") : NULL;
	int fd = sock(0);

	T(its_connect(fd, TO(PEER, ECHO)));
	show_peer(fd);
	show_echo(fd);
	T(its_connect == connect);
}

/* The caller's own search path counts: the plugin is named without one. */
CASE(callers_path)
{
	void *opener = load("-opener", RTLD_NOW);
	void *(*open_it)(const char *, int) = opener ? (void *(*)(const char *, int))dlsym(opener, "opener_open") : NULL;
	void *(*open_in)(Lmid_t, const char *, int) = opener ? (void *(*)(Lmid_t, const char *, int))dlsym(opener, "opener_open_in") : NULL;

	if (!open_it || !open_in)
		return;
	T(dlopen("plugin-now.so", RTLD_NOW) == NULL);
	dial_by(open_it("plugin-now.so", RTLD_NOW), "plugin_dial");
	dial_by(open_it("plugin.so", DEEP), "plugin_dial");
	dial_by(open_in(LM_ID_BASE, "plugin-plain.so", DEEP), "plugin_dial");
	dial_by(open_it("plugin-needs.so", DEEP), "plugin_needs_dial");
}

CASE(own_namespace) { through(dlmopen(LM_ID_NEWLM, beside(""), RTLD_NOW)); }
CASE(no_namespace) { T(dlmopen(4711, beside(""), DEEP) == NULL); T(dlmopen(LM_ID_BASE, beside("-none"), DEEP) == NULL); }

static void *open_and_dial(void *what)
{
	long bad = 0;

	for (int i = 0; i < 8; i++) {
		void *h = dlopen(beside(what), DEEP);
		dial_fn *dial = h ? (dial_fn *)dlsym(h, "plugin_dial") : NULL;

		bad += !dial || dial(SOCK_STREAM | (i & 1 ? SOCK_NONBLOCK : 0), TO(PEER, ECHO)) != 0;
		bad += h && dlclose(h) != 0;
	}
	return (void *)bad;
}

CASE(deepbind_threads)
{
	static char *const what[] = { "", "-now", "-plain", "-noplt" };
	pthread_t t[12];
	long bad = 0;
	void *its;

	for (int i = 0; i < 12; i++)
		MUST(pthread_create(&t[i], NULL, open_and_dial, what[i % 4]));
	for (int i = 0; i < 12; i++) {
		pthread_join(t[i], &its);
		bad += (long)its;
	}
	say("%ld went wrong", bad);
}

CASE(deepbind_forked)
{
	pid_t pid;

	if (!(pid = fork())) {
		through(load("", DEEP));
		_exit(0);
	}
	expect_exit(pid);
	through(load("", DEEP));
}

/* Another preloaded object stands for some of the calls, and asks for what comes behind it at each. */
CASE_ATTR(sub_preloaded, "sub")
{
	int (*count)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "preloaded_calls");
	int fd;

	through(load("", DEEP));
	fd = connected(SOCK_NONBLOCK, PEER, ECHO);
	show_echo(fd);
	T(close(fd));
	say("it was called: %d", count && count() > 0);
}

static void preloaded(const char *how)
{
	const char *before = getenv("LD_PRELOAD");
	char list[8192];

	snprintf(list, sizeof(list), how, before ? before : "", beside("-preloaded"));
	setenv("LD_PRELOAD", list, 1);
	execl(case_self, case_self, "sub_preloaded", (char *)NULL);
}

CASE(deepbind_preloaded_behind) { preloaded("%1$s:%2$s"); }
CASE(deepbind_preloaded_in_front) { preloaded("%2$s:%1$s"); }
