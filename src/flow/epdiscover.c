/* SPDX-License-Identifier: MIT */
/*
 * Finds the epoll registrations of a descriptor that came to us unseen, from /proc/self/fdinfo (proc(5); data since Linux 2.6.30,
 * "tfd: %8d events: %8x data: %16llx"). Files are read a piece at a time: a set may hold more lines than any buffer.
 */
#include "tsproxy/epreg.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "tsproxy/buf.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/sys.h"

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

static void parse_line(int epfd, int fd, const char *line)
{
	uint64_t tfd, events, data;
	struct epoll_event ev;
	const char *p;

	if (!(p = skip_label(line, "tfd:")))
		return;
	p = parse_number(p, 10, &tfd);
	if ((int)tfd != fd || !(p = skip_label(p, "events:")))
		return;
	p = parse_number(p, 16, &events);
	if (!(p = skip_label(p, "data:")))
		return;
	parse_number(p, 16, &data);
	ev.events = (uint32_t)events;
	ev.data.u64 = data;
	ts_epreg_adopt(epfd, fd, &ev);
}

static void read_set(int epfd, int fd)
{
	char path[64], buf[1024];
	struct ts_wr w = ts_wr_over(path, sizeof(path));
	size_t have = 0;
	long file, n;

	ts_wr_str(&w, "/proc/self/fdinfo/");
	ts_wr_dec(&w, (uint64_t)epfd);
	ts_wr_end(&w);
	file = ts_sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return;
	while ((n = ts_sys(SYS_read, file, buf + have, sizeof(buf) - 1 - have)) > 0) {
		char *line = buf, *end;

		have += (size_t)n;
		while ((end = memchr(line, '\n', have - (size_t)(line - buf)))) {
			*end = '\0';
			parse_line(epfd, fd, line);
			line = end + 1;
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
		if (have == sizeof(buf) - 1)
			have = 0;	/* no line of the kernel's is that long */
	}
	ts_sys(SYS_close, file);
}

static bool is_epoll(int dir, const char *name)
{
	static const char want[] = "anon_inode:[eventpoll]";
	char target[sizeof(want)];
	long n = ts_sys(SYS_readlinkat, dir, name, target, sizeof(target));

	return n == sizeof(want) - 1 && memcmp(target, want, sizeof(want) - 1) == 0;
}

void ts_epreg_discover(int fd)
{
	char buf[2048] __attribute__((aligned(8)));
	long dir, n;

	if ((unsigned)fd >= TS_FD_MAX)
		return;
	dir = ts_sys(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return;
	while ((n = ts_sys(SYS_getdents64, dir, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n;) {
			struct linux_dirent64 *d = (struct linux_dirent64 *)(buf + at);
			uint64_t epfd;

			at += d->d_reclen;
			if (d->d_name[0] == '.' || !is_epoll((int)dir, d->d_name))
				continue;
			parse_number(d->d_name, 10, &epfd);
			read_set((int)epfd, fd);
		}
	}
	ts_sys(SYS_close, dir);
}
