/* SPDX-License-Identifier: MIT */
/* What the launcher's verdict on a program means, in words for doctor and explain. */
#include "verdict.h"

#include "../cli/way.h"

static const char *const why[][2] = {
	[TS_PROGRAM_OK] = { "is supported", "" },
	[TS_PROGRAM_BROKEN] = { "cannot be executed by this kernel", "" },
	[TS_PROGRAM_NO_INTERPRETER] = { "is the interpreter that the script names, and is not there", "install it, or correct"
					" the first line of the script" },
	[TS_PROGRAM_FOREIGN] = { "is for another kind of processor than libtsproxy.so", "install tsproxy for it too" },
	[TS_PROGRAM_STATIC] = { "is a static program, which loads no library: tsproxy cannot reach it yet, and does"
				" not start it", "" },
	[TS_PROGRAM_GO] = { "is a Go program, whose system calls pass by every library: tsproxy cannot reach it yet,"
			    " and does not start it", "" },
	[TS_PROGRAM_PRIVILEGED] = { "is set-user-ID, set-group-ID or has capabilities: the loader leaves every"
				    " preloaded library out", "start tsproxy from inside it (sudo tsproxy -- ...)" },
	[TS_PROGRAM_UNREADABLE] = { "cannot be read, so whether it is supported is not known", "" },
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
