/* SPDX-License-Identifier: MIT */
/* The records of tsproxy/trace.h as lines for people. */
#ifndef TSPROXY_COMMAND_TRACE_LINE_H
#define TSPROXY_COMMAND_TRACE_LINE_H

#include <stdbool.h>

struct ts_trace_style {
	bool json;
	bool colours;
};

/* Prints one record on standard error in one write. What is none is left out. */
void ts_trace_print(char *record, const struct ts_trace_style *style);

#endif
