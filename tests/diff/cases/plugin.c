/* SPDX-License-Identifier: MIT */
/*
 * Code that comes in through dlopen: with RTLD_DEEPBIND its calls prefer its own libraries, in a namespace of its own (dlmopen)
 * it has another libc. This program loads itself, as a shared object beside it (plugin.so).
 */
#include "../case.h"

#include <dlfcn.h>

static void *load(bool apart, int flags)
{
	char path[4096];
	void *h;

	snprintf(path, sizeof(path), "%s.so", case_self);
	h = apart ? dlmopen(LM_ID_NEWLM, path, flags) : dlopen(path, flags);
	if (!h)
		say("load: failed");
	return h;
}

static void through(void *h)
{
	int (*dial)(int, const struct sockaddr *, socklen_t) = h ? (int (*)(int, const struct sockaddr *, socklen_t))dlsym(h, "plugin_dial") : NULL;

	if (!dial)
		return;
	say("plugin: %d", dial(SOCK_STREAM, TO(PEER, ECHO)));
	say("plugin refused: %s", err_name(-dial(SOCK_STREAM, TO(PEER, REFUSED))));
	say("plugin non-blocking: %d", dial(SOCK_STREAM | SOCK_NONBLOCK, TO(PEER, ECHO)));
}

CASE(now) { through(load(false, RTLD_NOW)); }
CASE(lazy_global) { through(load(false, RTLD_LAZY | RTLD_GLOBAL)); }
CASE(deepbind) { through(load(false, RTLD_NOW | RTLD_DEEPBIND)); }
CASE(own_namespace) { through(load(true, RTLD_NOW)); }
