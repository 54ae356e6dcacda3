/* SPDX-License-Identifier: MIT */
/*
 * MAP.refresh, the file beside a map by which processes agree on who makes it anew. All of it is a hint: a lost or
 * spoilt file costs one refresh more.
 *
 *   its time      when a refresh was last begun;
 *   its one byte  TS_REFRESH_BEGUN, then TS_REFRESH_DONE once a map was made. An empty file says nothing yet;
 *   its locks     open file description locks (fcntl(2)) on single bytes, because those can be looked at without being
 *                 taken, and end with their holder.
 */
#ifndef TSPROXY_REFRESH_H
#define TSPROXY_REFRESH_H

#define TS_REFRESH_SUFFIX ".refresh"

#define TS_REFRESH_BEGUN '\n'
#define TS_REFRESH_DONE 'k'

enum ts_refresh_byte {
	TS_REFRESH_BEGINNING,	/* a process is beginning a refresh */
	TS_REFRESH_RUNNING,	/* one is running: held by tsproxy-sync through its standard input (spawn.h) */
	TS_REFRESH_CURRENT,	/* a watch follows the daemon and the map is what that says, however old it is */
	TS_REFRESH_WATCH,	/* there is a watch: a second one is refused */
};

#endif
