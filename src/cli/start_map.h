/* SPDX-License-Identifier: MIT */
/* The map before the command starts: made where it is missing, brought up to date where it is old. */
#ifndef TSPROXY_CLI_START_MAP_H
#define TSPROXY_CLI_START_MAP_H

#include "environ.h"
#include "tsproxy/conf.h"

/*
 * Starts tsproxy-sync where the map that `conf` names is missing (and waits, 1 s at most) or old (in the
 * background), in another place where that one cannot be had. Returns 0, or an exit status where a status file was
 * asked for and no map came of it.
 */
int ts_refresh_map(struct ts_conf *conf, struct ts_environ *env);

/* Whether the status that `env` names can be read once only: an open descriptor, or a FIFO. */
bool ts_refresh_is_stream(const struct ts_environ *env);
/*
 * Has tsproxy-sync read that, to its end, into a map of this process' own, and names the map in `env`.
 * Returns 0, or the exit status after one line.
 */
int ts_refresh_from_stream(struct ts_environ *env);

#endif
