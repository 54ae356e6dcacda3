/* SPDX-License-Identifier: MIT */
/* Processes: fork, vfork, posix_spawn, exec and SCM_RIGHTS with a connect pending or done. */
#include "../case.h"

#include <dirent.h>
#include <spawn.h>
#include <sys/prctl.h>

extern char **environ;

static pid_t child(void (*fn)(int), int fd)
{
	pid_t pid = fork();

	if (pid)
		return (pid_t)MUST(pid);
	fn(fd);
	_exit(0);
}

static void complete(int fd)
{
	show_poll(fd, POLLIN | POLLOUT, 0);
	show_poll(fd, POLLIN | POLLOUT, LONG);
	show_so_error(fd);
	show_peer(fd);
	show_name(fd);
}

static void complete_echo(int fd) { complete(fd); show_echo(fd); }
static void complete_refused(int fd) { show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, LONG); show_so_error(fd); show_so_error(fd); }
static void close_it(int fd) { say("child closes"); T(close(fd)); }
static void just_exit(int fd) { show_poll(fd, POLLOUT, 0); }
static void connect_it(int fd) { T(connect(fd, TO(PEER, ECHO))); }

CASE(child_completes) { int fd = pending(PEER, ECHO); expect_exit(child(complete_echo, fd)); show_poll(fd, POLLIN | POLLOUT, 0); show_peer(fd); show_so_error(fd); show_echo(fd); }
CASE(child_completes_6) { case_family = AF_INET6; int fd = pending(PEER, ECHO); expect_exit(child(complete_echo, fd)); show_peer(fd); show_name(fd); show_echo(fd); }
CASE(parent_completes) { int fd = pending(PEER, ECHO); expect_exit(child(just_exit, fd)); complete_echo(fd); }
CASE(child_closes) { int fd = pending(PEER, ECHO); expect_exit(child(close_it, fd)); complete_echo(fd); }
CASE(parent_closes) { int fd = pending(PEER, ECHO); pid_t p = child(complete_echo, fd); close(fd); expect_exit(p); }
CASE(child_sees_refusal) { int fd = pending(PEER, REFUSED); expect_exit(child(complete_refused, fd)); show_poll(fd, POLLIN | POLLOUT, 0); show_so_error(fd); T(send(fd, "x", 1, MSG_NOSIGNAL)); }
CASE(parent_sees_refusal) { int fd = pending(PEER, REFUSED); expect_exit(child(just_exit, fd)); complete_refused(fd); T(connect(fd, TO(PEER, ECHO))); }
CASE(child_connects) { int fd = sock(SOCK_NONBLOCK); expect_exit(child(connect_it, fd)); complete_echo(fd); }
CASE(child_connects_blocking) { int fd = sock(0); expect_exit(child(connect_it, fd)); show_peer(fd); show_name(fd); show_echo(fd); }
CASE(fork_connected) { int fd = connected(0, PEER, ECHO); expect_exit(child(show_echo, fd)); show_echo(fd); expect_exit(child(show_peer, fd)); }

CASE(both_wait)
{
	int fd = pending(PEER, ECHO), p[2];
	pid_t pid;
	char word[4];

	MUST(pipe(p));
	pid = fork();
	if (!pid) {
		wait_connected(fd);
		MUST(write(p[1], "ok", 2));
		_exit(0);
	}
	show_poll(fd, POLLOUT, LONG);
	T(read(p[0], word, 2));
	expect_exit(pid);
	show_echo(fd);
}

CASE(both_wait_refused)
{
	int fd = pending(PEER, REFUSED);
	pid_t pid = fork();

	if (!pid) {
		struct pollfd p = { fd, POLLOUT, 0 };

		_exit(poll(&p, 1, LONG) == 1 && p.revents & POLLHUP ? 7 : 8);
	}
	show_poll(fd, POLLOUT, LONG);
	expect_exit(pid);
	show_so_error(fd);
}

CASE(many_children)
{
	int fd = pending(PEER, ECHO);
	pid_t pids[8];

	for (int i = 0; i < 8; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			wait_connected(fd);
			_exit(send(fd, "x", 1, 0) == 1 ? 0 : 1);
		}
	}
	for (int i = 0; i < 8; i++)
		expect_exit(pids[i]);
	show_poll(fd, POLLIN, LONG);
}

CASE(child_epoll)
{
	int ep = epoll_create1(0), fd = pending(PEER, ECHO);
	pid_t pid;

	T(add_epoll(ep, fd, EPOLLOUT | EPOLLET, 9));
	pid = fork();
	if (!pid) {
		show_epoll(ep, 0);
		show_epoll(ep, LONG);
		show_echo(fd);
		_exit(0);
	}
	expect_exit(pid);
	show_poll(fd, POLLIN | POLLOUT, 0);
}

CASE(parent_epoll_child_closed)
{
	int ep = epoll_create1(0), fd = pending(PEER, ECHO);

	T(add_epoll(ep, fd, EPOLLOUT, 9));
	expect_exit(child(close_it, fd));
	show_epoll(ep, 0);
	show_epoll(ep, LONG);
	show_echo(fd);
}

CASE(child_dels_registration)
{
	int ep = epoll_create1(0), fd = pending(PEER, ECHO);
	pid_t pid;

	T(add_epoll(ep, fd, EPOLLOUT, 9));
	pid = fork();
	if (!pid) {
		T(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL));
		_exit(0);
	}
	expect_exit(pid);
	show_epoll(ep, quarters(8));
	show_echo(fd);
}

CASE(vfork_close)
{
	int fd = pending(PEER, ECHO);
	pid_t pid = vfork();

	if (!pid) {
		close(fd);
		_exit(3);
	}
	expect_exit(pid);
	complete_echo(fd);
}

CASE(vfork_exec)
{
	int fd = pending(PEER, ECHO);
	pid_t pid = vfork();

	if (!pid) {
		dup2(fd, 40);
		close(fd);
		execl("/bin/true", "true", NULL);
		_exit(127);
	}
	expect_exit(pid);
	complete_echo(fd);
}

CASE(vfork_epoll)
{
	int ep = epoll_create1(0), fd = pending(PEER, ECHO);
	pid_t pid;

	T(add_epoll(ep, fd, EPOLLOUT, 4));
	pid = vfork();
	if (!pid) {
		close(fd);
		close(ep);
		_exit(0);
	}
	expect_exit(pid);
	show_epoll(ep, LONG);
	show_echo(fd);
}

CASE(system_and_popen)
{
	int fd = pending(PEER, ECHO);
	char word[16] = "";
	FILE *f;

	T(system("exit 3"));
	f = popen("echo hi", "r");
	say("%s", fgets(word, sizeof(word), f) ? "hi" : "nothing");
	T(pclose(f));
	complete_echo(fd);
}

static char *again(char *mode, int fd, char *argv[4])
{
	static char number[16];

	snprintf(number, sizeof(number), "%d", fd);
	argv[0] = (char *)case_self;
	argv[1] = mode;
	argv[2] = number;
	argv[3] = NULL;
	return argv[0];
}

/* What the executed program does; not a case to compare by itself, so without a descriptor it says nothing. */
static int given(void) { return case_args[0] ? atoi(case_args[0]) : -1; }
CASE_ATTR(sub_complete, "sub") { if (given() >= 0) complete_echo(given()); }
CASE_ATTR(sub_complete_6, "sub") { case_family = AF_INET6; if (given() >= 0) complete_echo(given()); }
CASE_ATTR(sub_refused, "sub") { if (given() >= 0) complete_refused(given()); }
CASE_ATTR(sub_look, "sub") { if (given() >= 0) { show_peer(given()); show_name(given()); show_so_error(given()); show_echo(given()); } }
CASE_ATTR(sub_bad, "sub") { if (given() >= 0) show_poll(given(), POLLOUT, 0); }
CASE_ATTR(sub_epoll, "sub") { if (given() >= 0) { show_epoll(given(), 0); show_epoll(given(), LONG); } }
CASE_ATTR(sub_ops, "sub") { char c; if (given() >= 0) { T(recv(given(), &c, 1, MSG_DONTWAIT)); T(send(given(), "x", 1, MSG_DONTWAIT)); show_so_error(given()); show_peer(given()); T(connect(given(), TO(PEER, ECHO))); complete_echo(given()); } }

static void spawn(char *mode, int fd)
{
	char *argv[4], *path = again(mode, fd, argv);
	pid_t pid;
	int err = posix_spawn(&pid, path, NULL, NULL, argv, environ);

	expect_exit(pid);
	say("posix_spawn %d", err);
}

static void exec(char *mode, int fd)
{
	char *argv[4], *path = again(mode, fd, argv);

	execv(path, argv);
	fail("execv");
}

CASE(spawn_pending) { int fd = pending(PEER, ECHO); spawn("sub_complete", fd); show_peer(fd); show_echo(fd); }
CASE(spawn_refused) { int fd = pending(PEER, REFUSED); spawn("sub_refused", fd); show_so_error(fd); }
CASE(spawn_connected) { int fd = connected(0, PEER, ECHO); spawn("sub_look", fd); show_echo(fd); }
CASE(spawn_cloexec) { int fd = pending(PEER, ECHO); fcntl(fd, F_SETFD, FD_CLOEXEC); spawn("sub_bad", fd); complete_echo(fd); }
CASE(exec_pending) { exec("sub_complete", pending(PEER, ECHO)); }
CASE(exec_pending_6) { case_family = AF_INET6; exec("sub_complete_6", pending(PEER, ECHO)); }
CASE(exec_pending_ops) { exec("sub_ops", pending(PEER, ECHO)); }
CASE(exec_refused) { exec("sub_refused", pending(PEER, REFUSED)); }
CASE(exec_connected) { exec("sub_look", connected(0, PEER, ECHO)); }
CASE(exec_completed) { int fd = pending(PEER, ECHO); wait_connected(fd); exec("sub_look", fd); }
CASE(exec_ripe) { int fd = pending(PEER, ECHO); nap(6); exec("sub_look", fd); }
CASE(exec_cloexec) { int fd = pending(PEER, ECHO); fcntl(fd, F_SETFD, FD_CLOEXEC); exec("sub_bad", fd); }
CASE(exec_epoll) { int ep = epoll_create1(0), fd = pending(PEER, ECHO); T(add_epoll(ep, fd, EPOLLOUT | EPOLLET, 6)); exec("sub_epoll", ep); }
CASE(exec_epoll_only_set) { int ep = epoll_create1(0), fd = pending(PEER, ECHO); T(add_epoll(ep, fd, EPOLLOUT, 6)); fcntl(fd, F_SETFD, FD_CLOEXEC); exec("sub_epoll", ep); }
CASE(exec_dup_stdin) { int fd = connected(0, PEER, ECHO); dup2(fd, 0); close(fd); exec("sub_look", 0); }

CASE(vfork_exec_pending)
{
	int fd = pending(PEER, ECHO);
	char *argv[4], *path = again("sub_complete", 40, argv);
	pid_t pid = vfork();

	if (!pid) {
		dup2(fd, 40);
		close(fd);
		execv(path, argv);
		_exit(127);
	}
	expect_exit(pid);
	show_peer(fd);
	show_echo(fd);
}

/* By the shell that libc starts: its command has the socket. */
static void shell(int fd, bool piped)
{
	char *argv[4], *path = again("sub_complete", 40, argv), command[400], line[200];
	FILE *f;

	dup2(fd, 40);
	snprintf(command, sizeof(command), "%s %s %s", path, argv[1], argv[2] ? argv[2] : "");
	if (!piped) {
		T(system(command));
	} else {
		f = popen(command, "r");
		while (fgets(line, sizeof(line), f))
			say("%.*s", (int)strcspn(line, "\n"), line);
		T(pclose(f));
	}
	show_peer(fd);
}

CASE(system_pending) { shell(pending(PEER, ECHO), false); }
CASE(popen_pending) { shell(pending(PEER, ECHO), true); }

CASE(exec_fails)
{
	int ep = epoll_create1(0), fd = pending(PEER, ECHO);

	T(add_epoll(ep, fd, EPOLLOUT | EPOLLET, 6));
	T(execl("/nonexistent", "nonexistent", NULL));
	T(execlp("no-such-program", "no-such-program", NULL));
	show_epoll(ep, 0);
	show_epoll(ep, LONG);
	complete_echo(fd);
}

CASE(spawn_dup2)
{
	int fd = pending(PEER, ECHO), err;
	char *argv[4], *path = again("sub_complete", 41, argv);
	posix_spawn_file_actions_t actions;
	pid_t pid;

	fcntl(fd, F_SETFD, FD_CLOEXEC);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, 41);
	posix_spawn_file_actions_addclose(&actions, fd);
	err = posix_spawnp(&pid, path, &actions, NULL, argv, environ);
	expect_exit(pid);
	say("posix_spawnp %d", err);
	show_peer(fd);
	show_echo(fd);
}

static void *poll_it(void *arg) { struct pollfd p = { *(int *)arg, POLLOUT, 0 }; poll(&p, 1, -1); return NULL; }
CASE(exec_while_other_polls) { int fd = pending(PEER, ECHO); thread(poll_it, &fd); nap(1); exec("sub_complete", fd); }

CASE(shell_redirect)
{
	int fd = connected(0, PEER, ECHO);
	pid_t pid = fork();

	if (!pid) {
		dup2(fd, 5);
		execl("/bin/sh", "sh", "-c", "echo hello >&5; read line <&5; echo $line", NULL);
		_exit(127);
	}
	expect_exit(pid);
	show_echo(fd);
}

/* --- SCM_RIGHTS --- */

static int through_socket(int fd)
{
	int sv[2], got;

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	send_fd(sv[0], fd);
	close(fd);
	got = recv_fd(sv[1]);
	close(sv[0]);
	close(sv[1]);
	return got;
}

CASE(rights_pending_to_self) { complete_echo(through_socket(pending(PEER, ECHO))); }
CASE(rights_pending_to_self_other_number) { int a = pending(PEER, ECHO); int b = dup(1); int fd = through_socket(a); say("moved %d", fd != a || b < 0); complete_echo(fd); }
CASE(rights_refused_to_self) { complete_refused(through_socket(pending(PEER, REFUSED))); }
CASE(rights_connected_to_self) { int fd = through_socket(connected(0, PEER, ECHO)); show_peer(fd); show_name(fd); show_echo(fd); }

static void across(int port, bool wait, void (*look)(int))
{
	int sv[2], fd;
	pid_t pid;

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	pid = fork();
	if (!pid) {
		close(sv[0]);
		look(recv_fd(sv[1]));
		_exit(0);
	}
	close(sv[1]);
	fd = pending(PEER, port);
	if (wait)
		wait_connected(fd);
	send_fd(sv[0], fd);
	close(fd);
	expect_exit(pid);
}

static void look_connected(int fd) { show_peer(fd); show_name(fd); show_so_error(fd); show_echo(fd); }

CASE(rights_pending_to_child) { across(ECHO, false, complete_echo); }
CASE(rights_refused_to_child) { across(REFUSED, false, complete_refused); }
CASE(rights_connected_to_child) { across(ECHO, true, look_connected); }

CASE(no_stray_child)
{
	int fd = connected(0, PEER, ECHO), status;

	on_signal(SIGCHLD, 0);
	show_echo(fd);
	T(waitpid(-1, &status, WNOHANG));
	say("SIGCHLD %d", signals_seen);
}

CASE(exit_while_pending)
{
	pid_t pid = fork();

	if (!pid) {
		pending(PEER, ECHO);
		exit(5);
	}
	expect_exit(pid);
}

/* Killed in the middle of a drive, whatever it held must not stay held. */
CASE(child_killed_driving)
{
	for (int i = 0; i < 10; i++) {
		int fd = pending(PEER, ECHO);
		pid_t pid = fork();

		if (!pid) {
			char c;

			for (;;)
				recv(fd, &c, 1, MSG_DONTWAIT);
		}
		usleep(3000 + 500 * i);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		wait_connected(fd);
		show_echo(fd);
	}
}

static int count_entries(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;	/* "." and ".." */
}

CASE(no_extra_thread_or_fd)
{
	static const char tasks[] = "/proc/self/task", fds[] = "/proc/self/fd";
	int before = count_entries(fds), fd;

	fd = pending(PEER, ECHO);
	say("threads %d, descriptors %+d", count_entries(tasks), count_entries(fds) - before);
	wait_connected(fd);
	say("threads %d, descriptors %+d", count_entries(tasks), count_entries(fds) - before);
	show_echo(fd);
	close(fd);
	say("threads %d, descriptors %+d", count_entries(tasks), count_entries(fds) - before);
}
