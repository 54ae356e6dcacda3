/* SPDX-License-Identifier: MIT */
/* One write(2) for each line, through raw system calls, so that logging works in any state of the host program: see log.h. */
#include "tsproxy/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "tsproxy/addr.h"
#include "tsproxy/buf.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

#define LINE_BYTES 768

TS_EVERY_START enum ts_log_level ts_log_level = TS_LOG_OFF;

TS_EVERY_START bool ts_trace_on;

static char log_file[256], trace_file[256];

static const char *const level_names[] = { "off", "error", "warn", "info", "debug" };

int ts_log_set(const char *spec)
{
	size_t level_len = 0, file_len;

	while (spec[level_len] && spec[level_len] != ':')
		level_len++;
	for (int i = 0; i <= TS_LOG_DEBUG; i++) {
		if (strlen(level_names[i]) != level_len || memcmp(level_names[i], spec, level_len) != 0)
			continue;
		if (spec[level_len] == ':') {
			const char *file = spec + level_len + 1;

			file_len = strlen(file);
			if (file[0] != '/' || file_len >= sizeof(log_file))
				return -EINVAL;
			memcpy(log_file, file, file_len + 1);
		}
		ts_log_level = (enum ts_log_level)i;
		return 0;
	}
	return -EINVAL;
}

static const struct { int value; const char *name; } errno_names[] = {
	{ EACCES, "EACCES" }, { EAGAIN, "EAGAIN" }, { EBADMSG, "EBADMSG" }, { ECONNREFUSED, "ECONNREFUSED" },
	{ ECONNRESET, "ECONNRESET" }, { EHOSTUNREACH, "EHOSTUNREACH" }, { EINPROGRESS, "EINPROGRESS" },
	{ EINTR, "EINTR" }, { EINVAL, "EINVAL" }, { ENETUNREACH, "ENETUNREACH" }, { ENOENT, "ENOENT" },
	{ EPERM, "EPERM" }, { EPROTO, "EPROTO" }, { ETIMEDOUT, "ETIMEDOUT" }, { EAFNOSUPPORT, "EAFNOSUPPORT" },
	{ EOPNOTSUPP, "EOPNOTSUPP" }, { EMSGSIZE, "EMSGSIZE" }, { EADDRNOTAVAIL, "EADDRNOTAVAIL" },
};

static void write_errno(struct ts_wr *w, int err)
{
	for (size_t i = 0; i < sizeof(errno_names) / sizeof(*errno_names); i++)
		if (errno_names[i].value == err) {
			ts_wr_str(w, errno_names[i].name);
			return;
		}
	ts_wr_str(w, "errno ");
	ts_wr_dec(w, (uint64_t)err);
}

static void write_signed(struct ts_wr *w, long v)
{
	if (v < 0)
		ts_wr_u8(w, '-');
	ts_wr_dec(w, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

static void write_directive(struct ts_wr *w, char c, va_list *ap)
{
	char text[TS_ADDR_TEXT_MAX];
	const char *s;

	switch (c) {
	case 's':
		s = va_arg(*ap, const char *);
		ts_wr_str(w, s ? s : "-");
		break;
	case 'd':
		write_signed(w, va_arg(*ap, int));
		break;
	case 'l':
		write_signed(w, va_arg(*ap, long));
		break;
	case 'u':
		ts_wr_dec(w, va_arg(*ap, unsigned));
		break;
	case 'x':
		ts_wr_hex64(w, va_arg(*ap, unsigned));
		break;
	case 'e':
		write_errno(w, va_arg(*ap, int));
		break;
	case 'a':
		ts_addr_format(va_arg(*ap, const struct ts_addr *), text);
		ts_wr_str(w, text);
		break;
	case 'i':
		ts_ip_format(va_arg(*ap, const uint8_t *), text);
		ts_wr_str(w, text);
		break;
	default:
		ts_wr_u8(w, (uint8_t)c);
	}
}

static void write_line(struct ts_wr *w, const char *fmt, va_list *ap)
{
	for (; *fmt; fmt++) {
		if (*fmt != '%' || !fmt[1])
			ts_wr_u8(w, (uint8_t)*fmt);
		else
			write_directive(w, *++fmt, ap);
	}
}

/* A pipe that nobody reads and a file that may not grow are no reason to send the program a signal. */
static void put_line(long fd, const char *line, size_t len)
{
	const uint64_t theirs = 1ull << (SIGPIPE - 1) | 1ull << (SIGXFSZ - 1);
	struct timespec now = { 0, 0 };
	uint64_t saved, raised = 0;
	long r;

	ts_sys(SYS_rt_sigprocmask, SIG_BLOCK, &theirs, &saved, sizeof(saved));
	ts_sys(SYS_rt_sigpending, &raised, sizeof(raised));
	r = ts_sys(SYS_write, fd, line, len);
	raised = theirs & ~raised;
	if (r == -EPIPE || r == -EFBIG)
		ts_sys(SYS_rt_sigtimedwait, &raised, NULL, &now, sizeof(raised));
	ts_sys(SYS_rt_sigprocmask, SIG_SETMASK, &saved, NULL, sizeof(saved));
}

void ts_log_write(enum ts_log_level level, const char *fmt, ...)
{
	char *line = ts_scratch_get(LINE_BYTES);
	struct ts_wr w = ts_wr_over(line, LINE_BYTES - 1);	/* room for the newline, whatever was cut */
	va_list ap;
	long fd = 2;

	if (!line)
		return;
	ts_wr_str(&w, "tsproxy[");
	ts_wr_dec(&w, (uint64_t)ts_sys(SYS_getpid));
	ts_wr_str(&w, "] ");
	ts_wr_str(&w, level_names[level]);
	ts_wr_str(&w, ": ");
	va_start(ap, fmt);
	write_line(&w, fmt, &ap);
	va_end(ap);
	line[w.len++] = '\n';
	if (log_file[0])
		/* As for a trace: a FIFO that nobody reads is ENXIO. */
		fd = ts_sys(SYS_openat, AT_FDCWD, log_file, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd >= 0)
		put_line(fd, line, w.len);
	if (log_file[0] && fd >= 0)
		ts_sys(SYS_close, fd);
	ts_scratch_put(line, LINE_BYTES);
}

bool ts_trace_set(const char *file)
{
	size_t len = file ? strlen(file) : 0;

	ts_trace_on = len && file[0] == '/' && len < sizeof(trace_file);
	if (ts_trace_on)
		memcpy(trace_file, file, len + 1);
	return ts_trace_on;
}

void ts_trace_write(const char *fmt, ...)
{
	char *line = ts_scratch_get(LINE_BYTES);
	struct ts_wr w = ts_wr_over(line, LINE_BYTES - 1);
	va_list ap;
	long fd;

	if (!line)
		return;
	va_start(ap, fmt);
	write_line(&w, fmt, &ap);
	va_end(ap);
	line[w.len++] = '\n';
	/* A FIFO that nobody reads any more is ENXIO, a full one EAGAIN: the program never waits for who looks on. */
	fd = ts_sys(SYS_openat, AT_FDCWD, trace_file, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0);
	if (fd >= 0) {
		put_line(fd, line, w.len);
		ts_sys(SYS_close, fd);
	}
	ts_scratch_put(line, LINE_BYTES);
}
