/* SPDX-License-Identifier: MIT */
/* dlopen and dlmopen: what their assembler calls. */
#ifndef TSPROXY_HOOK_DLOPEN_H
#define TSPROXY_HOOK_DLOPEN_H

/* Called with the arguments of dlopen and dlmopen, before anything is loaded. Return the function to jump to. */
const void *ts_load_open(const char *file, int mode);
const void *ts_load_mopen(long space, const char *file, int mode);

#endif
