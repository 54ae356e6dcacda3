/* SPDX-License-Identifier: MIT */
/*
 * Starts tsproxy-sync from inside a program that must not notice: no child to wait for, no signal, no descriptor, no
 * allocation.
 */
#ifndef TSPROXY_SPAWN_H
#define TSPROXY_SPAWN_H

#include <stdbool.h>

/*
 * Copies what the helper needs of the environment; called once, at load time. Where it does not fit, no helper is
 * ever started: with half of it the helper would make another map.
 */
void ts_spawn_save_env(char *const envp[]);
/* What was saved. */
char *const *ts_spawn_environ(void);
/* A saved variable's value, or null. */
const char *ts_spawn_env(const char *name);
/*
 * False where a helper must not be started from here: secure execution, a vfork child, a process that has put itself
 * into a sandbox (seccomp), or whose next child would found a PID namespace; under valgrind, which cannot follow the
 * clone.
 */
bool ts_spawn_allowed(void);
/* The number behind `key` in a /proc/PID/status (proc(5)), or -1. */
int ts_status_number(const char *path, const char *key);
/*
 * Starts `path` without arguments, detached, in the saved environment, where TSPROXY_MAP is `map`. From then on until it ends it holds an open
 * file description lock (fcntl(2)) on byte TS_SPAWN_LOCK_BYTE of `lock_path`, its standard input. Returns 0 once it
 * has started, or -errno. Takes about 1 ms; 1 s at most where this process would inherit the orphan (PID 1, a
 * subreaper), because then its end is awaited.
 */
#define TS_SPAWN_LOCK_BYTE 1
int ts_spawn_helper(const char *path, const char *lock_path, const char *map);

#endif
