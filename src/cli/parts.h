/* SPDX-License-Identifier: MIT */
/*
 * Where the other parts of tsproxy lie: beside this program (a build tree), else where `make install` puts them. For
 * the launcher and for the sub-commands, which lie in libexec.
 */
#ifndef TSPROXY_CLI_PARTS_H
#define TSPROXY_CLI_PARTS_H

/* The absolute name of libtsproxy.so, or null where there is none. */
const char *ts_parts_object(void);
/* The absolute name of the program tsproxy-`command`, or null where there is none. */
const char *ts_parts_command(const char *command);
/* The absolute name of the launcher, or null where there is none. */
const char *ts_parts_launcher(void);

#endif
