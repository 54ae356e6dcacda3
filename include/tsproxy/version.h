/* SPDX-License-Identifier: MIT */
#ifndef TSPROXY_VERSION_H
#define TSPROXY_VERSION_H

/* What was built, for people: "0.1.0 (0123456789ab)", the commit in parentheses where it is known. */
extern const char ts_version[];
/* The same as a JSON object, with a line break. */
extern const char ts_version_json[];

#endif
