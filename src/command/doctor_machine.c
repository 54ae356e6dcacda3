/* SPDX-License-Identifier: MIT */
/* The machine: versions, the library's file, and what the kernel lets a supervisor of static programs do. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#define LIBC_NAME "glibc "
#define LIBC_VERSION gnu_get_libc_version()
#else
#define LIBC_NAME "musl"
#define LIBC_VERSION ""
#endif

#include "../cli/parts.h"
#include "doctor.h"
#include "tsproxy/calls.h"
#include "tsproxy/version.h"

/* The first line of a small file, "" where there is none. */
static const char *first_line(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, buf, cap - 1) : 0;

	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

static void confinement(struct ts_doctor *d)
{
	char line[256];

	if (strcmp(first_line("/sys/fs/selinux/enforce", line, sizeof(line)), "1") == 0)
		ts_doctor_add(d, TS_NOTE, "selinux",
			      "SELinux enforces its policy, which may keep confined programs from loading %s\nrun restorecon on it, and look"
			      " for denials with ausearch -m avc",
			      d->object ? d->object : "libtsproxy.so");
	first_line("/proc/self/attr/current", line, sizeof(line));
	if (strstr(line, "(enforce)") || strstr(line, "(complain)"))
		ts_doctor_add(d, TS_NOTE, "apparmor",
			      "this shell is confined by the AppArmor profile %s\nif connections fail with EACCES, let the"
			      " profile read %s and the map, and use inet streams",
			      line, d->object ? d->object : "libtsproxy.so");
}

void ts_doctor_machine(struct ts_doctor *d)
{
	const char *object = ts_parts_object();
	struct utsname u = { 0 };

	uname(&u);
	ts_doctor_add(d, TS_OK, "versions", "tsproxy %s, Linux %s, %s, %s%s\n", ts_version, u.release, u.machine,
		      LIBC_NAME, LIBC_VERSION);
	d->object = object ? ts_parts_preload(object, d->conf.map_path) : NULL;
	if (!object)
		ts_doctor_add(d, TS_FAIL, "library", "libtsproxy.so was not found next to tsproxy or in ../lib\n"
						     "install tsproxy again");
	else if (!d->object)
		ts_doctor_add(d, TS_FAIL, "library", "LD_PRELOAD does not support %s: the path has a space or a colon\n"
						     "move tsproxy elsewhere", object);
	confinement(d);
}

/* In a child: takes a filter that lets everything through, tells, and waits to be ended. */
static _Noreturn void take_filter(int tell_fd, int wait_fd)
{
	struct sock_filter allow[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog prog = { .len = 1, .filter = allow };
	int err = 0;
	char c;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog) < 0)
		err = errno;
	if (write(tell_fd, &err, sizeof(err)) == sizeof(err) && read(wait_fd, &c, 1) < 0)
		_exit(1);
	_exit(0);
}

/* *notify, *getfd: 0, or the errno of what the kernel refused. */
static bool try_supervising(int *notify, int *getfd)
{
	int tell[2], wait[2], pidfd, fd;
	bool told;
	pid_t pid;

	if (pipe2(tell, O_CLOEXEC) != 0)
		return false;
	if (pipe2(wait, O_CLOEXEC) != 0) {
		close(tell[0]);
		close(tell[1]);
		return false;
	}
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(wait[1]);
		close(tell[0]);
		take_filter(tell[1], wait[0]);
	}
	close(tell[1]);
	told = pid > 0 && read(tell[0], notify, sizeof(*notify)) == sizeof(*notify);
	pidfd = told ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	fd = pidfd >= 0 ? (int)syscall(SYS_pidfd_getfd, pidfd, tell[0], 0) : -1;
	*getfd = pidfd >= 0 && (fd >= 0 || errno == EBADF) ? 0 : errno;
	if (fd >= 0)
		close(fd);
	if (pidfd >= 0)
		close(pidfd);
	close(tell[0]);
	close(wait[0]);
	close(wait[1]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return told;
}

void ts_doctor_supervisor(struct ts_doctor *d)
{
	int notify = 0, getfd = 0;

	if (!try_supervising(&notify, &getfd))
		ts_doctor_add(d, TS_NOTE, "supervisor", "no process could be started to test seccomp\n");
	else if (notify)
		ts_doctor_add(d, TS_NOTE, "supervisor",
			      "seccomp user notification is not available (%s): static programs could not be supervised\n"
			      "use Linux 5.0 or newer, and a container that allows seccomp", strerror(notify));
	else if (getfd)
		ts_doctor_add(d, TS_NOTE, "supervisor",
			      "seccomp user notification works, pidfd_getfd does not (%s): static programs could be"
			      " supervised by replacing their sockets\nuse Linux 5.6 or newer, or --cap-add SYS_PTRACE",
			      strerror(getfd));
	else
		ts_doctor_add(d, TS_OK, "supervisor", "this machine would allow a supervisor for static programs"
						      " (seccomp user notification, pidfd_getfd)\n");
}
