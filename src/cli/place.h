/* SPDX-License-Identifier: MIT */
/* Where the map is kept when its own place cannot be had. */
#ifndef TSPROXY_CLI_PLACE_H
#define TSPROXY_CLI_PLACE_H

#include <stdbool.h>

#include "environ.h"
#include "tsproxy/conf.h"

/*
 * True where a map can be kept at conf->map_path; where it cannot be kept there, another place has been put into `conf`
 * and `env`. False where there is none.
 */
bool ts_place_find(struct ts_conf *conf, struct ts_environ *env);

/* Sets TSPROXY_PLACE to where conf->map_path is, for all below; not where TSPROXY_MAP names a file. */
void ts_place_tell(const struct ts_conf *conf, struct ts_environ *env);

#endif
