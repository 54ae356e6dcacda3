/* SPDX-License-Identifier: MIT */
/* Which file it is, and in which state: what is kept of one holds as long as this is the same. */
#ifndef TSPROXY_NAMES_FILE_ID_H
#define TSPROXY_NAMES_FILE_ID_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "live.h"
#include "tsproxy/clock.h"
#include "tsproxy/sys.h"

struct ts_file_id {
	uint64_t dev, ino, size;
	int64_t changed, modified;	/* ns */
};

/* Time stamps may be as coarse as whole seconds: a file that was changed just now could be changed again without its stat telling. */
#define TS_FILE_SETTLED_NS (2 * TS_NS_PER_S)

/* Of an open file (`path` "") or of one by its name (`fd` AT_FDCWD). One stat(2). */
static inline bool ts_file_identify(int fd, const char *path, struct ts_file_id *out)
{
	struct stat st;

	if (ts_sys(SYS_newfstatat, fd, path, &st, *path ? 0 : AT_EMPTY_PATH) != 0)
		return false;
	*out = (struct ts_file_id){ st.st_dev, st.st_ino, (uint64_t)st.st_size,
				    st.st_ctim.tv_sec * TS_NS_PER_S + st.st_ctim.tv_nsec,
				    st.st_mtim.tv_sec * TS_NS_PER_S + st.st_mtim.tv_nsec };
	return true;
}

static inline bool ts_file_is_settled(const struct ts_file_id *id, int64_t now)
{
	return now >= id->changed && !ts_live_within(now, id->changed, TS_FILE_SETTLED_NS);
}

#endif
