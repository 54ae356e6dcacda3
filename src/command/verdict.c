/* SPDX-License-Identifier: MIT */
/* What the launcher's verdict on a program means, in words for doctor and explain. */
#include "verdict.h"

#include "../cli/way.h"

static const char *const why[][2] = {
	[TS_PROGRAM_OK] = { "is supported", "" },
	[TS_PROGRAM_BROKEN] = { "cannot be executed by this kernel", "" },
	[TS_PROGRAM_NO_INTERPRETER] = { "is the interpreter of the script, and was not found", "install it, or correct"
					" the first line of the script" },
	[TS_PROGRAM_FOREIGN] = { "is for a different processor than libtsproxy.so", "install tsproxy for that processor as well" },
	[TS_PROGRAM_STATIC] = { "is a static program, which loads no libraries: tsproxy does not support it yet, and does"
				" not start it", "" },
	[TS_PROGRAM_GO] = { "is a Go program, which does not use the C library: tsproxy does not support it yet,"
			    " and does not start it", "" },
	[TS_PROGRAM_PRIVILEGED] = { "is set-user-ID, set-group-ID or has capabilities: the loader ignores"
				    " preloaded libraries", "start tsproxy from inside it (sudo tsproxy -- ...)" },
	[TS_PROGRAM_UNREADABLE] = { "cannot be read, so it is not known whether it is supported", "" },
};

const char *ts_verdict_text(enum ts_verdict v)
{
	return why[v][0];
}

const char *ts_verdict_remedy(enum ts_verdict v, const char *map_path)
{
	if (v == TS_PROGRAM_STATIC || v == TS_PROGRAM_GO)
		return ts_way_instead(map_path);
	return why[v][1];
}
