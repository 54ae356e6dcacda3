/* SPDX-License-Identifier: MIT */
/*
 * A daemon of one's own and its supervisor, a process that starts it again when it ends, and keeps the map fresh. Whoever holds the lock on
 * daemon.lock is the supervisor of that folder. It is a lock of fcntl's (F_SETLK): the kernel knows its PID from the moment
 * that it is held until its process has ended, and whoever only looks holds nothing. Where a folder is shared with another
 * machine or another PID namespace, the kernel gives no PID of ours for a lock from there, so none is signalled. It goes with
 * the first descriptor of the file that its process closes, so the supervisor opens it once. The daemon is told to end when
 * the supervisor does, however that happens.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../cli/parts.h"
#include "up.h"

#define LOG_MAX (1 << 20)	/* begun anew at a start, the last one kept */
#define STABLE_MS 30000		/* one that ran this long is started again at once */
#define PAUSE_MS 1000
#define PAUSE_MAX_MS 30000
#define WATCH_PAUSE_MAX_MS 600000	/* another watch may keep the map already */
#define STOP_MS 15000
#define GRACE_S 10

static int make_folders(const char *dir)
{
	char path[TS_UP_PATH_MAX];
	struct stat st;

	for (size_t i = 1; dir[i - 1]; i++) {
		if (dir[i] != '/' && dir[i] != '\0')
			continue;
		snprintf(path, sizeof(path), "%.*s", (int)i, dir);
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			return -errno;
	}
	if (lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid())
		return chmod(dir, 0700) == 0 ? 0 : -errno;
	/* A link, as to a volume: what it leads to is not ours to change, but has to be nobody else's. */
	if (stat(dir, &st) != 0)
		return -errno;
	return !S_ISDIR(st.st_mode) ? -ENOTDIR : st.st_uid != geteuid() || st.st_mode & 022 ? -EPERM : 0;
}

int ts_up_prepare(struct ts_up *up)
{
	struct sockaddr_un un;
	int err;

	if (!ts_own_path("", up->dir, sizeof(up->dir)) ||
	    !ts_own_path("tailscaled.sock", up->socket, sizeof(up->socket))) {
		ts_tool_error("no directory for the daemon's state: set HOME");
		return -ENOENT;
	}
	if (strlen(up->socket) >= sizeof(un.sun_path)) {
		ts_tool_error("%s is too long for the path of a socket (at most %zu bytes): set HOME to a shorter path",
			      up->socket, sizeof(un.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	err = make_folders(up->dir);
	if (err)
		ts_tool_error("%s: %s", up->dir, err == -EPERM ? "belongs to another user, or others can write to it" : strerror(-err));
	return err;
}

static int open_lock(const struct ts_up *up)
{
	char path[TS_UP_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/daemon.lock", up->dir);
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
}

static const struct flock whole_file = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

pid_t ts_up_supervisor(const struct ts_up *up)
{
	struct flock lock = whole_file;
	int fd = open_lock(up);
	bool held;

	if (fd < 0)
		return 0;
	held = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	close(fd);
	return held && lock.l_pid > 0 ? lock.l_pid : 0;
}

bool ts_up_has_ended(const struct ts_up *up, char how[64])
{
	pid_t pid = ts_up_supervisor(up);
	int fd = pid ? open_lock(up) : -1;
	char text[128] = "", *second;

	if (fd < 0)
		return false;
	/* What a supervisor before this one wrote is under its own number. */
	if (pread(fd, text, sizeof(text) - 1, 0) <= 0 || (pid_t)strtol(text, NULL, 10) != pid || kill(pid, 0) != 0)
		text[0] = '\0';
	close(fd);
	second = strchr(text, '\n');
	if (!second || !second[1])
		return false;
	snprintf(how, 64, "%.*s", (int)strcspn(second + 1, "\n"), second + 1);
	while (*how && how[strlen(how) - 1] == ' ')
		how[strlen(how) - 1] = '\0';
	return true;
}

/* What the supervisor waits for, blocked so that none is missed. */
static void supervisor_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGCHLD);
}

/* A process of the supervisor's. Times are of CLOCK_MONOTONIC, in ms. */
struct task {
	pid_t pid;		/* 0: it does not run */
	int64_t started, due;	/* when it is started again */
	int64_t pause, pause_max;
};

/* In a child of `parent`: becomes `path`, and ends with the supervisor. */
static _Noreturn void become(const char *path, char *const argv[], char *const env[], pid_t parent, const sigset_t *mask)
{
	sigprocmask(SIG_SETMASK, mask, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() == parent)
		execve(path, argv, env);
	fprintf(stderr, "tsproxy: %s: %s\n", path, strerror(errno));
	_exit(126);
}

static _Noreturn void become_daemon(const struct ts_up *up, const struct ts_own_ports *ports, pid_t parent, const sigset_t *mask)
{
	char state[TS_UP_PATH_MAX + 32], sock[TS_UP_PATH_MAX + 16], socks5[64], http[64];
	char *argv[] = { (char *)"tailscaled", (char *)"--tun=userspace-networking", (char *)"--port=0", state, sock,
			 socks5, http, NULL };

	if (up->ephemeral)
		snprintf(state, sizeof(state), "--state=mem:");
	else
		snprintf(state, sizeof(state), "--state=%s/tailscaled.state", up->dir);
	snprintf(sock, sizeof(sock), "--socket=%s", up->socket);
	snprintf(socks5, sizeof(socks5), "--socks5-server=localhost:%u", ports->socks5);
	snprintf(http, sizeof(http), "--outbound-http-proxy-listen=localhost:%u", ports->http);
	become(up->tailscaled, argv, ts_up_environment(ports), parent, mask);
}

/* Keeps the map fresh, so that programs need not start a refresh of their own. */
static _Noreturn void become_watch(const struct ts_own_ports *ports, pid_t parent, const sigset_t *mask)
{
	char *argv[] = { (char *)"tsproxy-sync", (char *)"--watch", NULL };
	const char *sync = ts_parts_command("sync");

	become(sync ? sync : "tsproxy-sync", argv, ts_up_environment(ports), parent, mask);
}

/* Ends a task: asked first, made to after a while. */
static void end_task(const struct task *task)
{
	struct timespec pause = { .tv_nsec = 20000000 };

	if (!task->pid)
		return;
	kill(task->pid, SIGTERM);
	for (int i = 0; i < GRACE_S * 50; i++) {
		if (waitpid(task->pid, NULL, WNOHANG) != 0)
			return;
		nanosleep(&pause, NULL);
	}
	kill(task->pid, SIGKILL);
	waitpid(task->pid, NULL, 0);
}

static void has_ended(struct task *task)
{
	int64_t now = ts_tool_now_ms();

	task->pid = 0;
	if (now - task->started >= STABLE_MS)
		task->pause = PAUSE_MS;
	task->due = now + task->pause;
	task->pause = task->pause * 2 < task->pause_max ? task->pause * 2 : task->pause_max;
}

/* Says how the daemon ended, in the log and in the lock's file. */
static void note_end(const struct ts_up *up, int lock_fd, int status)
{
	char how[32], note[64];
	int n;

	snprintf(how, sizeof(how), "%s %d", WIFSIGNALED(status) ? "signal" : "status",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	fprintf(stderr, "tsproxy: tailscaled exited (%s); starting it again\n", how);
	/* Over what is there, in one write: whoever reads it meanwhile finds our number. */
	n = snprintf(note, sizeof(note), "%d\n%-12s\n", (int)getpid(), how);
	if (pwrite(lock_fd, note, (size_t)n, 0) != n)
		fprintf(stderr, "tsproxy: %s/daemon.lock: %s\n", up->dir, strerror(errno));
}

/* Until a signal, or `until`. False where it is time to end. */
static bool wait_signal(const sigset_t *set, int64_t until)
{
	int64_t left = until - ts_tool_now_ms();
	struct timespec limit = { .tv_sec = left > 0 ? left / 1000 : 0, .tv_nsec = left > 0 ? left % 1000 * 1000000 : 0 };
	int number = until == INT64_MAX ? sigwaitinfo(set, NULL) : sigtimedwait(set, NULL, &limit);

	return number <= 0 || number == SIGCHLD;
}

static void supervise(const struct ts_up *up, const struct ts_own_ports *ports, int lock_fd)
{
	/* The watch begins when the daemon may have its socket. */
	struct task daemon = { .pause = PAUSE_MS, .pause_max = PAUSE_MAX_MS },
		    watch = { .due = ts_tool_now_ms() + PAUSE_MS, .pause = PAUSE_MS, .pause_max = WATCH_PAUSE_MAX_MS };
	pid_t self = getpid(), pid;
	sigset_t set, before;
	int64_t until;
	int status;

	supervisor_signals(&set);
	sigprocmask(SIG_BLOCK, &set, &before);
	do {
		if (!daemon.pid && ts_tool_now_ms() >= daemon.due) {
			daemon.started = ts_tool_now_ms();
			if ((daemon.pid = fork()) == 0)
				become_daemon(up, ports, self, &before);
		}
		if (!watch.pid && ts_tool_now_ms() >= watch.due) {
			watch.started = ts_tool_now_ms();
			if ((watch.pid = fork()) == 0)
				become_watch(ports, self, &before);
		}
		if (daemon.pid < 0)
			has_ended(&daemon);
		if (watch.pid < 0)
			has_ended(&watch);
		until = daemon.pid ? INT64_MAX : daemon.due;
		if (!watch.pid && watch.due < until)
			until = watch.due;
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			if (pid == daemon.pid) {
				note_end(up, lock_fd, status);
				has_ended(&daemon);
				until = 0;
			} else if (pid == watch.pid) {
				has_ended(&watch);
				until = 0;
			}
		}
	} while (wait_signal(&set, until));
	end_task(&watch);
	end_task(&daemon);
}

/* In the log, which may be what fails, and to the command that waits. */
static void say_why(int ready_fd, const char *colon, const char *what, const char *why)
{
	char text[TS_UP_PATH_MAX + 128];
	int n = snprintf(text, sizeof(text), "%s%s%s", what, colon, why);

	ts_tool_error("%s", text);
	if (ready_fd >= 0 && write(ready_fd, text, (size_t)n) < 0)
		return;
}

int ts_up_supervise(const struct ts_up *up, int ready_fd)
{
	struct ts_own_ports ports = { .ephemeral = up->ephemeral };
	char path[TS_UP_PATH_MAX + 16];
	int fd = open_lock(up), err = fd < 0 || fcntl(fd, F_SETLK, &whole_file) != 0 ? -errno : 0, ret = 1;

	ts_up_forget_secrets();
	if (err) {
		say_why(ready_fd, "/daemon.lock: ", up->dir,
			err == -EAGAIN || err == -EACCES ? "another tsproxy up is running" : strerror(-err));
		goto out;
	}
	err = ts_up_choose_ports(&ports) ? ts_own_ports_write(&ports) : -EADDRINUSE;
	if (err || ftruncate(fd, 0) != 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
		say_why(ready_fd, ": ", up->dir, strerror(err ? -err : errno));
		goto out;
	}
	if (ready_fd >= 0)
		close(ready_fd);
	supervise(up, &ports, fd);
	ret = 0;
	unlink(up->socket);
	snprintf(path, sizeof(path), "%s/ports", up->dir);
	unlink(path);
out:
	if (fd >= 0)
		close(fd);
	return ret;
}

/* The log as standard output and error; nothing of the caller's stays. */
static void leave_caller(const struct ts_up *up)
{
	char path[TS_UP_PATH_MAX + 32], old[TS_UP_PATH_MAX + 32];
	struct stat st;
	int null = open("/dev/null", O_RDWR), log;

	snprintf(path, sizeof(path), "%s/tailscaled.log", up->dir);
	snprintf(old, sizeof(old), "%s/tailscaled.log.old", up->dir);
	if (stat(path, &st) == 0 && st.st_size > LOG_MAX)
		rename(path, old);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY, 0600);
	setsid();
	if (chdir("/") != 0)
		return;
	dup2(null, 0);
	dup2(log >= 0 ? log : null, 1);
	dup2(log >= 0 ? log : null, 2);
}

int ts_up_start(const struct ts_up *up)
{
	int ready[2], status = 0;
	char why[512];
	size_t have = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) != 0)
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (fork() != 0)
			_exit(0);
		/* Only standard descriptors and this pipe: whoever waits for a pipe of the caller's must not wait for us. */
		for (int fd = 3; fd < 256; fd++)
			if (fd != ready[1])
				close(fd);
		leave_caller(up);
		_exit(ts_up_supervise(up, ready[1]));
	}
	close(ready[1]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	/* The other end closes when the supervisor holds the lock, or is gone. */
	while (have < sizeof(why) - 1 && ((n = read(ready[0], why + have, sizeof(why) - 1 - have)) > 0 || (n < 0 && errno == EINTR)))
		have += n > 0 ? (size_t)n : 0;
	close(ready[0]);
	why[have] = '\0';
	/* Two that begin at once: the other one's daemon is as good. */
	if (have && !(pid > 0 && ts_up_supervisor(up)))
		ts_up_say("%s", why);
	return pid > 0 && ts_up_supervisor(up) ? 0 : -EAGAIN;
}

int ts_up_stop(const struct ts_up *up)
{
	struct timespec pause = { .tv_nsec = 10000000 };
	pid_t pid = ts_up_supervisor(up);

	if (!pid)
		return 0;
	if (kill(pid, SIGTERM) != 0)
		return -errno;
	for (int i = 0; i < STOP_MS / 10; i++) {
		if (ts_up_supervisor(up) != pid)
			return 0;
		if (i % 100 == 99)
			ts_up_tick();
		nanosleep(&pause, NULL);
	}
	return -ETIMEDOUT;
}
