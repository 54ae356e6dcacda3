/* SPDX-License-Identifier: MIT */
/* glibc's resolver state, kept apart: its header gives functions other names on some releases. */
#ifndef TSPROXY_RES_STATE_H
#define TSPROXY_RES_STATE_H

struct __res_state;

/* Notes a call's h_errno where glibc does: in the caller's state, or (null) the thread's. Nothing with musl. */
void ts_res_set_error(struct __res_state *state, int value);

#endif
