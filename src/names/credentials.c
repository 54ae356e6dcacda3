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
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

_Static_assert(offsetof(struct ts_credentials, sum) % 8 == 0, "what is summed is whole words");

struct work {
	char path[TS_CONF_PATH_MAX + sizeof(TS_CREDENTIALS_SUFFIX)];
	struct ts_credentials c;
};

static int open_file(const char *map_path, struct work *k)
{
	struct ts_wr w = ts_wr_over(k->path, sizeof(k->path));
	struct stat st;
	int fd, ret;

	ts_wr_str(&w, map_path);
	ts_wr_str(&w, TS_CREDENTIALS_SUFFIX);
	if (!ts_wr_end(&w))
		return -ENAMETOOLONG;
	fd = (int)ts_sys(SYS_openat, AT_FDCWD, k->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
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

static bool read_from(int fd, struct ts_credentials *c, const struct ts_addr *proxy, uint8_t kind)
{
	for (off_t at = 0; ts_sys(SYS_pread64, fd, c, sizeof(*c), at) == sizeof(*c); at += sizeof(*c))
		if (is_intact(c) && c->kind == kind && c->port == proxy->port && memcmp(c->ip, proxy->ip, sizeof(c->ip)) == 0)
			return true;
	return false;
}

int ts_credentials_find(const char *map_path, const struct ts_addr *proxy, uint8_t kind, char user[256], char pass[256])
{
	struct work *k = ts_scratch_get(sizeof(*k));
	int fd = k ? open_file(map_path, k) : -ENOMEM, ret = fd == -ENOENT ? 0 : fd;

	if (fd >= 0) {
		ret = read_from(fd, &k->c, proxy, kind);
		ts_sys(SYS_close, fd);
	}
	if (ret == 1) {
		memcpy(user, k->c.user, sizeof(k->c.user));
		memcpy(pass, k->c.pass, sizeof(k->c.pass));
		memset(&k->c, 0, sizeof(k->c));
	}
	ts_scratch_put(k, sizeof(*k));
	return ret;
}
