/* SPDX-License-Identifier: MIT */
#include "tsproxy/res_state.h"

#include <netinet/in.h>
#include <resolv.h>

#include "tsproxy/answer.h"

extern struct __res_state *__res_state(void) __attribute__((weak));

void ts_res_set_error(struct __res_state *state, int value)
{
	if (!state && __res_state && ts_libc_is_glibc())
		state = __res_state();
	if (state)
		state->res_h_errno = value;
}
