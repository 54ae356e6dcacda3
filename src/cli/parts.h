/* SPDX-License-Identifier: MIT */
/* Where the other parts of tsproxy lie: beside this launcher (a build tree), else where `make install` puts them. */
#ifndef TSPROXY_CLI_PARTS_H
#define TSPROXY_CLI_PARTS_H

/* The absolute name of libtsproxy.so, or null where there is none. */
const char *ts_parts_object(void);
/* The absolute name of the program tsproxy-`command`, or null where there is none. */
const char *ts_parts_command(const char *command);

#endif
