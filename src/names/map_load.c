/* SPDX-License-Identifier: MIT */
/* Opening a map file and copying it into memory: see map.h. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tsproxy/map.h"
#include "tsproxy/sys.h"

#define HUGE_PAGE (2l << 20)

int ts_map_open(const char *path, struct stat *st)
{
	int fd = (int)ts_sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	int ret;

	if (fd < 0)
		return fd == -ELOOP ? -EPERM : fd;
	/* newfstatat with an empty path is fstat on every machine that we know, by one number and one layout. */
	ret = (int)ts_sys(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH);
	if (ret == 0 && (!S_ISREG(st->st_mode) || (st->st_mode & (S_IWGRP | S_IWOTH)) != 0 ||
			 (st->st_uid != 0 && st->st_uid != (uid_t)ts_sys(SYS_geteuid))))
		ret = -EPERM;
	if (ret == 0 && (uint64_t)st->st_size < sizeof(struct ts_map_header))
		ret = -EMSGSIZE;
	if (ret == 0)
		return fd;
	ts_sys(SYS_close, fd);
	return ret;
}

/* Reads `len` bytes from the start of the file. 0, -EMSGSIZE where there are fewer, or -errno. */
int ts_map_read(int fd, void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		long n = ts_sys(SYS_pread64, fd, (char *)buf + done, len - done, done);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n ? (int)n : -EMSGSIZE;
		done += (size_t)n;
	}
	return 0;
}

/*
 * Room for any map and its proof, in huge pages where most of one is used and the system gives them: a large map is then copied in a third
 * of the time, and looked up in with fewer misses. They must be aligned, so some is mapped too much first. Its address, or -errno.
 */
static long make_room(size_t used)
{
	long whole = ts_sys(SYS_mmap, 0, TS_MAP_ROOM + HUGE_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), p;

	if (whole < 0 && whole > -4096)
		return whole;
	p = (whole + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	if (p > whole)
		ts_sys(SYS_munmap, whole, p - whole);
	if (p < whole + HUGE_PAGE)
		ts_sys(SYS_munmap, p + TS_MAP_ROOM, whole + HUGE_PAGE - p);
	if (used > HUGE_PAGE / 2)
		ts_sys(SYS_madvise, p, (used + HUGE_PAGE - 1) & ~(size_t)(HUGE_PAGE - 1), MADV_HUGEPAGE);
	return p;
}

/* What the file says of its length, in `*len`. Not in ts_map_attach, for its frame. */
static __attribute__((noinline)) int read_length(int fd, const struct stat *st, size_t *len)
{
	struct ts_map_header h;
	int ret = ts_map_read(fd, &h, sizeof(h));

	*len = ret == 0 && h.data_len < st->st_size ? h.data_len : (size_t)st->st_size;
	if (ret == 0 && (*len < sizeof(h) || *len > TS_MAP_FILE_MAX))
		ret = -EBADMSG;
	return ret;
}

/*
 * Copies the file, whatever its size: the end of a mapped one can move beneath a reader (cut short, a hole on a full
 * tmpfs, a server that is gone), and then the reader's program dies of SIGBUS.
 */
int ts_map_attach(int fd, const struct stat *st, bool prove, struct ts_map *out)
{
	long p;
	int ret = read_length(fd, st, &out->len);

	if (ret)
		return ret;
	p = make_room(out->len);
	if (p < 0 && p > -4096)
		return (int)p;
	out->base = (const uint8_t *)p;
	out->proof = prove ? NULL : (struct ts_map_proof *)(p + TS_MAP_FILE_MAX);
	ret = ts_map_read(fd, (void *)p, out->len);
	if (ret == 0)
		ret = ts_map_check(out);
	if (ret)
		ts_map_unload(out);
	return ret;
}

int ts_map_load(const char *path, struct ts_map *out)
{
	struct stat st;
	int fd = ts_map_open(path, &st), ret;

	if (fd < 0)
		return fd;
	ret = ts_map_attach(fd, &st, true, out);
	ts_sys(SYS_close, fd);
	return ret;
}

void ts_map_unload(struct ts_map *m)
{
	if (m->base)
		ts_sys(SYS_munmap, m->base, TS_MAP_ROOM);
	m->base = NULL;
	m->len = 0;
}
