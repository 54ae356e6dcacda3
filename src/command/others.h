/* SPDX-License-Identifier: MIT */
#ifndef TSPROXY_COMMAND_OTHERS_H
#define TSPROXY_COMMAND_OTHERS_H

#include <stddef.h>

/* Other people who have a process or a session on this machine: how many, and their names: "alice, bob and 2 more". */
unsigned ts_others(char *names, size_t cap);

#endif
