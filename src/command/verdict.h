/* SPDX-License-Identifier: MIT */
/* A verdict on a program in words: "is a static program, ..."; and what to do about it ("" for nothing). */
#ifndef TSPROXY_COMMAND_VERDICT_H
#define TSPROXY_COMMAND_VERDICT_H

#include "../cli/program.h"

const char *ts_verdict_text(enum ts_verdict v);
const char *ts_verdict_remedy(enum ts_verdict v, const char *map_path);

#endif
