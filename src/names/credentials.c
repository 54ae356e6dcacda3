/* SPDX-License-Identifier: MIT */
/* Reading a proxy's user and password: see credentials.h. They are read when a proxy asks for them, and kept nowhere. */
#include "tsproxy/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "tsproxy/buf.h"
#include "tsproxy/conf.h"
#include "tsproxy/hash.h"
#include "tsproxy/sys.h"

_Static_assert(offsetof(struct ts_credentials, sum) % 8 == 0, "what is summed is whole words");

static int open_file(const char *map_path)
{
	char path[TS_CONF_PATH_MAX + sizeof(TS_CREDENTIALS_SUFFIX)];
	struct ts_wr w = ts_wr_over(path, sizeof(path));
	struct stat st;
	int fd, ret;

	ts_wr_str(&w, map_path);
	ts_wr_str(&w, TS_CREDENTIALS_SUFFIX);
	if (!ts_wr_end(&w))
		return -ENAMETOOLONG;
	fd = (int)ts_sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd == -ELOOP ? -EPERM : fd;
	ret = (int)ts_sys(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH);
	if (ret == 0 && (!S_ISREG(st.st_mode) || (st.st_mode & (S_IRWXG | S_IRWXO)) != 0 ||
			 (st.st_uid != 0 && st.st_uid != (uid_t)ts_sys(SYS_geteuid))))
		ret = -EPERM;
	if (ret == 0)
		return fd;
	ts_sys(SYS_close, fd);
	return ret;
}

static bool is_intact(const struct ts_credentials *c)
{
	return c->magic == TS_CREDENTIALS_MAGIC && ts_sum64(c, offsetof(struct ts_credentials, sum)) == c->sum &&
	       !c->user[sizeof(c->user) - 1] && !c->pass[sizeof(c->pass) - 1];
}

int ts_credentials_find(const char *map_path, struct ts_endpoint *e)
{
	struct ts_credentials c;
	int fd = open_file(map_path), found = 0;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	for (off_t at = 0; !found && ts_sys(SYS_pread64, fd, &c, sizeof(c), at) == sizeof(c); at += sizeof(c)) {
		if (!is_intact(&c) || c.kind != e->kind || c.port != e->addr.port || memcmp(c.ip, e->addr.ip, sizeof(c.ip)) != 0)
			continue;
		memcpy(e->user, c.user, sizeof(e->user));
		memcpy(e->pass, c.pass, sizeof(e->pass));
		found = 1;
	}
	ts_sys(SYS_close, fd);
	return found;
}
