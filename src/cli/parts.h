/* SPDX-License-Identifier: MIT */
/*
 * Where the other parts of tsproxy lie: beside this program (a build tree), else where `make install` puts them. For
 * the launcher and for the sub-commands, which lie in libexec.
 */
#ifndef TSPROXY_CLI_PARTS_H
#define TSPROXY_CLI_PARTS_H

/* The absolute name of libtsproxy.so, or null where there is none. */
const char *ts_parts_object(void);
/*
 * A name of that file for LD_PRELOAD, which takes spaces and colons for the end of a name: its own, or one through a link
 * beside the map at `map_path`. Null where neither will do.
 */
const char *ts_parts_preload(const char *object, const char *map_path);
/* The absolute name of the program tsproxy-`command`, or null where there is none. */
const char *ts_parts_command(const char *command);
/* The manual page of that sub-command, or null where it is not installed. */
const char *ts_parts_page(const char *command);
/* The absolute name of the launcher, or null where there is none. */
const char *ts_parts_launcher(void);

#endif
