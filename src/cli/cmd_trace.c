/* SPDX-License-Identifier: MIT */
/*
 * tsproxy-trace: runs a command and tells of its connections. The library in the command's processes writes a record of each to a
 * FIFO (tsproxy/trace.h); this process, the command's parent, reads them and prints lines. So no process of the command's has
 * anything open for it, and none waits for a terminal that is slow.
 *
 * What a terminal sends goes to the whole group, so the command has it already: only what somebody sent to this process is passed on.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../command/trace_line.h"
#include "help.h"
#include "parts.h"
#include "tsproxy/tool.h"

static const char usage[] =
	"usage: tsproxy trace [--json] [options] [--] COMMAND [ARGUMENT...]\n"
	"Runs a command and prints a line on standard error for each connection it\n"
	"makes, and another when it is closed. The options are those of tsproxy.\n"
	"Exit status: the command's.\n"
	"  --json                print one object for each line\n";

static char folder[4096], fifo[4200];
static struct ts_trace_style style;

static int make_fifo(void)
{
	const char *parents[] = { getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp", "/dev/shm" };
	int fd;

	for (size_t i = 0; i < sizeof(parents) / sizeof(*parents); i++) {
		/* The library has room for 255 letters. */
		if (!parents[i] || parents[i][0] != '/' || strlen(parents[i]) > 200)
			continue;
		snprintf(folder, sizeof(folder), "%s/tsproxy-trace-XXXXXX", parents[i]);
		if (!mkdtemp(folder))
			continue;
		snprintf(fifo, sizeof(fifo), "%s/records", folder);
		/* For reading and writing: it is never at its end, and needs no writer. */
		if (mkfifo(fifo, 0600) == 0 && (fd = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC)) >= 0) {
			fcntl(fd, F_SETPIPE_SZ, 1 << 20);
			return fd;
		}
		unlink(fifo);
		rmdir(folder);
	}
	ts_tool_error("trace: cannot create a directory for its FIFO: %s", strerror(errno));
	return -1;
}

static void remove_fifo(void)
{
	unlink(fifo);
	rmdir(folder);
}

/* All that is there. A record is shorter than PIPE_BUF, so it came in one piece; one may be cut at the end of what was read. */
static void drain(int fd)
{
	static char buf[65536];
	static size_t have;
	ssize_t n;

	while ((n = read(fd, buf + have, sizeof(buf) - have)) > 0) {
		char *line = buf, *end;

		have += (size_t)n;
		while ((end = memchr(line, '\n', have - (size_t)(line - buf)))) {
			*end = '\0';
			ts_trace_print(line, &style);
			line = end + 1;
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
		if (have == sizeof(buf))
			have = 0;
	}
}

static pid_t start(char **words, const sigset_t *before)
{
	const char *launcher = ts_parts_launcher();
	size_t n = 0;
	char **argv;
	pid_t pid;

	while (words[n])
		n++;
	argv = calloc(n + 3, sizeof(*argv));
	if (!launcher || !argv || setenv("TSPROXY_TRACE", fifo, 1) != 0) {
		ts_tool_error(launcher ? "trace: out of memory" : "trace: the launcher is missing; install tsproxy again");
		free(argv);
		return -1;
	}
	argv[0] = (char *)"tsproxy";
	argv[1] = (char *)"run";
	memcpy(argv + 2, words, (n + 1) * sizeof(*argv));
	pid = fork();
	if (pid < 0)
		ts_tool_error("trace: %s", strerror(errno));
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, before, NULL);
		execv(launcher, argv);
		ts_tool_error("%s: %s", launcher, strerror(errno));
		_exit(TS_EXIT_NOT_RUN);
	}
	free(argv);
	return pid;
}

/* Whether the command has ended: `*status`. A command that stops stops this process as well, and goes on with it. */
static bool has_ended(pid_t pid, int *status)
{
	if (waitpid(pid, status, WNOHANG | WUNTRACED) != pid)
		return false;
	if (!WIFSTOPPED(*status))
		return true;
	kill(getpid(), SIGSTOP);
	kill(pid, SIGCONT);
	return false;
}

static int follow(pid_t pid, int fd, int signals)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
	struct signalfd_siginfo info;
	int status = 0;

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		drain(fd);
		while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
			if (info.ssi_signo != SIGCHLD && info.ssi_code <= 0)
				kill(pid, (int)info.ssi_signo);
		if (has_ended(pid, &status))
			break;
	}
	drain(fd);
	return status;
}

/* Ends as the command did. */
static int end_like(int status)
{
	const struct rlimit no_core = { 0, 0 };
	sigset_t one;

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	setrlimit(RLIMIT_CORE, &no_core);
	signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&one);
	sigaddset(&one, WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

static int trace(char **words)
{
	int fd = make_fifo(), signals, status = 0;
	sigset_t set, before;
	pid_t pid;

	if (fd < 0)
		return TS_EXIT_NOT_RUN;
	sigemptyset(&set);
	for (const int *s = (const int[]){ SIGCHLD, SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, 0 }; *s; s++)
		sigaddset(&set, *s);
	signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	/* Who reads the lines may go: the command goes on, and what was made for it has to be taken away at its end. */
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, &before);
	pid = signals < 0 ? -1 : start(words, &before);
	if (pid > 0)
		status = follow(pid, fd, signals);
	remove_fifo();
	return pid > 0 ? end_like(status) : TS_EXIT_NOT_RUN;
}

int main(int argc, char **argv)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	int at = 1;

	ts_tool_standard_fds();
	for (; at < argc && argv[at][0] == '-'; at++) {
		if (strcmp(argv[at], "--json") == 0) {
			style.json = true;
		} else if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
			printf("%s", usage);
			return ts_tool_flush();
		} else {
			break;
		}
	}
	if (at >= argc || (strcmp(argv[at], "--") == 0 && at + 1 >= argc)) {
		ts_tool_error("trace: no command given; see --help");
		return TS_EXIT_USAGE;
	}
	style.colours = isatty(STDERR_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
	return trace(argv + at);
}
