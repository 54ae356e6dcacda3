/* SPDX-License-Identifier: MIT */
/*
 * Finds the epoll registrations of a descriptor that came to us unseen, from /proc/self/fdinfo (proc(5); data since Linux 2.6.30,
 * "tfd: %8d events: %8x data: %16llx"). Files are read a piece at a time: a set may hold more lines than any buffer.
 */
#include "tsproxy/epreg.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "tsproxy/buf.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

#define BUFFER 2048	/* for a file's bytes */

/* getdents64(2): not in any header. */
struct linux_dirent64 {
	uint64_t d_ino;
	int64_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

static const char *parse_number(const char *p, int base, uint64_t *out)
{
	*out = 0;
	while (*p == ' ')
		p++;
	for (;; p++) {
		int digit = *p >= '0' && *p <= '9' ? *p - '0' : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10 : 99;

		if (digit >= base)
			return p;
		*out = *out * (unsigned)base + (unsigned)digit;
	}
}

static const char *skip_label(const char *p, const char *label)
{
	while (*p == ' ')
		p++;
	for (; *label; p++, label++)
		if (*p != *label)
			return NULL;
	return p;
}

/* What a line of a set's fdinfo says. */
struct registration {
	int epfd, fd;
	struct epoll_event ev;
};

static bool parse_line(const char *line, struct registration *out)
{
	uint64_t fd, events, data;
	const char *p;

	if (!(p = skip_label(line, "tfd:")))
		return false;
	p = parse_number(p, 10, &fd);
	if (!(p = skip_label(p, "events:")))
		return false;
	p = parse_number(p, 16, &events);
	if (!(p = skip_label(p, "data:")))
		return false;
	parse_number(p, 16, &data);
	out->fd = (int)fd;
	out->ev.events = (uint32_t)events;
	out->ev.data.u64 = data;
	return true;
}

/* 0, or -errno where it cannot be read. */
static int read_set(int epfd, void (*each)(const struct registration *r, void *arg), void *arg)
{
	char path[64], *buf;
	struct ts_wr w = ts_wr_over(path, sizeof(path));
	struct registration r = { .epfd = epfd };
	size_t have = 0;
	long file, n;

	ts_wr_str(&w, "/proc/self/fdinfo/");
	ts_wr_dec(&w, (uint64_t)epfd);
	ts_wr_end(&w);
	file = ts_sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (file < 0)
		return (int)file;
	buf = ts_scratch_get(BUFFER);
	while (buf && (n = ts_sys(SYS_read, file, buf + have, BUFFER - 1 - have)) > 0) {
		char *line = buf, *end;

		have += (size_t)n;
		while ((end = memchr(line, '\n', have - (size_t)(line - buf)))) {
			*end = '\0';
			if (parse_line(line, &r))
				each(&r, arg);
			line = end + 1;
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
		if (have == BUFFER - 1)
			have = 0;	/* no line of the kernel's is that long */
	}
	ts_scratch_put(buf, BUFFER);
	ts_sys(SYS_close, file);
	return buf ? 0 : -ENOMEM;
}

int ts_fds_each(const char *kind, void (*each)(int fd, void *arg), void *arg)
{
	char *buf, target[64];
	long dir, n, len;

	dir = ts_sys(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return (int)dir;
	buf = ts_scratch_get(BUFFER);
	while (buf && (n = ts_sys(SYS_getdents64, dir, buf, BUFFER)) > 0) {
		for (long at = 0; at < n;) {
			struct linux_dirent64 *d = (struct linux_dirent64 *)(buf + at);
			uint64_t fd;

			at += d->d_reclen;
			if (d->d_name[0] == '.')
				continue;
			len = ts_sys(SYS_readlinkat, dir, d->d_name, target, sizeof(target) - 1);
			if (len <= 0)
				continue;
			target[len] = '\0';
			parse_number(d->d_name, 10, &fd);
			if (skip_label(target, kind))
				each((int)fd, arg);
		}
	}
	ts_scratch_put(buf, BUFFER);
	ts_sys(SYS_close, dir);
	return buf ? 0 : -ENOMEM;
}

static void adopt(const struct registration *r, void *arg)
{
	int *err = arg, ret = ts_fd_get_flags(r->fd) & TS_FD_FLOW ? ts_epreg_adopt(r->epfd, r->fd, &r->ev) : 0;

	if (ret)
		*err = ret;
}

static void search_set(int epfd, void *arg)
{
	int *err = arg, r = read_set(epfd, adopt, err);

	if (r)
		*err = r;
}

int ts_epreg_discover(int fd, void (*alias)(int fd, void *arg), void *arg)
{
	char path[64], link[64];
	struct ts_wr w = ts_wr_over(path, sizeof(path));
	int err, set_err = 0;
	long len;

	ts_wr_str(&w, "/proc/self/fd/");
	ts_wr_dec(&w, (uint64_t)fd);
	ts_wr_end(&w);
	len = ts_sys(SYS_readlinkat, AT_FDCWD, path, link, sizeof(link) - 1);
	if (len <= 0)
		return 0;
	link[len] = '\0';
	err = ts_fds_each(link, alias, arg);
	if (!err)
		err = ts_fds_each("anon_inode:[eventpoll]", search_set, &set_err);
	return err ? err : set_err;
}

struct wanted {
	int fd;
	struct epoll_event *ev;
};

static void take(const struct registration *r, void *arg)
{
	const struct wanted *want = arg;

	if (r->fd == want->fd)
		*want->ev = r->ev;
}

void ts_epreg_kernel(int epfd, int fd, struct epoll_event *ev)
{
	struct wanted want = { fd, ev };

	read_set(epfd, take, &want);
}
