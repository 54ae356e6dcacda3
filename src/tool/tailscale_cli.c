/* SPDX-License-Identifier: MIT */
/*
 * The tailscale command as a source, where no socket was found: it may know of a place that we don't. JSON first; a
 * command that has no --json gives its table. It runs with a limit in time, its messages to nowhere, and without our
 * own object.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tsproxy/tool.h"

#define IDLE_MS 3000
#define TOTAL_MS 15000

extern char **environ;

static int start(char *const argv[], int out_fd, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	size_t n = 0, kept = 0;
	char **env;
	int err;

	while (environ[n])
		n++;
	env = calloc(n + 1, sizeof(*env));
	if (!env)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0)
			env[kept++] = environ[i];
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	err = posix_spawnp(pid, argv[0], &actions, NULL, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	free(env);
	return -err;
}

/* 0 with what it printed, whatever its exit status; `*ok`: that was 0. */
static int run(char *const argv[], char **text, size_t *len, bool *ok)
{
	int pipe_fd[2], status = 0, err;
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC) != 0)
		return -errno;
	err = start(argv, pipe_fd[1], &pid);
	close(pipe_fd[1]);
	if (err) {
		close(pipe_fd[0]);
		return err;
	}
	err = ts_source_drain(pipe_fd[0], IDLE_MS, TOTAL_MS, text, len);
	close(pipe_fd[0]);
	if (err)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	*ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return err;
}

int ts_source_command(char **text, size_t *len, char why[TS_WHY_MAX])
{
	char name[] = "tailscale", status[] = "status", json[] = "--json";
	char *const as_json[] = { name, status, json, NULL }, *const as_table[] = { name, status, NULL };
	bool ok = false;
	int err = run(as_json, text, len, &ok);

	if (!err && !ok) {
		free(*text);
		err = run(as_table, text, len, &ok);
	}
	if (!err && *len == 0) {
		/* It says on standard error that there is no daemon. */
		free(*text);
		return -ENOENT;
	}
	if (err == -ETIMEDOUT)
		snprintf(why, TS_WHY_MAX, "tailscale status does not come to an end: tailscaled hangs; restart it");
	else if (err && err != -ENOENT)
		snprintf(why, TS_WHY_MAX, "tailscale status: %s", strerror(-err));
	return err;
}
