/* SPDX-License-Identifier: MIT */
/*
 * Programs in which no helper may be started: its clone would found the PID namespace that the program is about to, or
 * a filter of its own would kill it. And a subreaper, which would inherit the helper: there it is gone before the
 * lookup returns.
 */
/*
 * libc: glibc
 * status: names.json
 * map: none
 * sync: sync_counted.sh
 * run: pidns
 * run: seccomp
 * run: reaper
 * expect: as it should be
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>

#include "names_state.h"

static int started(void)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/started", getenv("TEST_DIR"));
	return access(path, F_OK) == 0;
}

static void fail(const char *what)
{
	printf("not so: %s\n", what);
	exit(0);
}

static void prepare(const char *how)
{
	struct sock_filter allow[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog filter = { 1, allow };
	int ret;

	if (strcmp(how, "pidns") == 0)
		ret = unshare(CLONE_NEWPID);
	else if (strcmp(how, "seccomp") == 0)
		ret = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
	else
		ret = prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (ret)
		fail("prepared");
}

int main(int argc, char **argv)
{
	int reaper = argc > 1 && strcmp(argv[1], "reaper") == 0, status;

	prepare(argc > 1 ? argv[1] : "");
	if (strcmp(look_up("db"), "100.64.0.2") == 0 ? !reaper : reaper)
		fail("the name");
	if (started() != reaper)
		fail("started");
	if (wait(&status) != -1 || errno != ECHILD)
		fail("no child");
	if (argc > 1 && strcmp(argv[1], "pidns") == 0) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(getpid() == 1 ? 0 : 1);
		waitpid(pid, &status, 0);
		if (status)
			fail("the first of its PID namespace");
	}
	printf("as it should be\n");
	return 0;
}
