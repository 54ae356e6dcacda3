/* SPDX-License-Identifier: MIT */
/* Files beside the map, in a folder that nobody else may write to: what this user's processes share. */
#ifndef TSPROXY_NAMES_BESIDE_H
#define TSPROXY_NAMES_BESIDE_H

#include <stdbool.h>

#include "tsproxy/conf.h"

#define TS_BESIDE_PATH_MAX (TS_CONF_PATH_MAX + 64)

/* The map's path with `suffix` behind it. False where there is no place for a map. */
bool ts_beside_path(char out[TS_BESIDE_PATH_MAX], const char *suffix);
/* `name` in the map's folder; on behalf of this host alone, where the folder is in a home that hosts may share. */
bool ts_beside_folder_path(char out[TS_BESIDE_PATH_MAX], const char *name, const char *suffix);
/*
 * Opens a file of ours in a folder that nobody else may write to; with O_CREAT both are made where they are missing. Only to be read,
 * both may be root's, too. `shared`: where the map is everybody's to read, so is the file; one that is locked must not be, because who
 * may read a file may lock it. A descriptor, or -errno: -EPERM where the folder or the file is not ours alone.
 */
int ts_beside_open(char path[TS_BESIDE_PATH_MAX], int flags, bool shared);

#endif
