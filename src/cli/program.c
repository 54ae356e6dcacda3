/* SPDX-License-Identifier: MIT */
/*
 * Where LD_PRELOAD does not reach, a program would go out in the clear without a word, so every file that will
 * run is looked at first: the program, or for a script its interpreter and, when that is env(1), what env
 * will start. Between this look and execve the file may change: that race is the user's own.
 *
 * On doubt (a missing interpreter, an unknown format) the kernel decides; its error is then reported.
 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "elf.h"
#include "tsproxy/buf.h"
#include "tsproxy/sys.h"

#define HEAD_MAX 4096
#define SCRIPT_LINE_MAX 256	/* BINPRM_BUF_SIZE: what the kernel reads of a #! line */
#define DEPTH_MAX 8		/* the kernel follows 5 */

static int usable(const char *file)
{
	struct stat st;

	if (stat(file, &st) != 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return S_ISREG(st.st_mode) && access(file, X_OK) == 0 ? 0 : -EACCES;
}

int ts_program_find(const char *name, const char *path, char out[PATH_MAX])
{
	int seen = -ENOENT;

	if (!*name || strlen(name) >= PATH_MAX)
		return -ENOENT;
	if (strchr(name, '/')) {
		memcpy(out, name, strlen(name) + 1);
		return usable(out);
	}
	if (!path)
		path = "/bin:/usr/bin";
	for (;;) {
		struct ts_wr w = ts_wr_over(out, PATH_MAX);
		size_t len = strcspn(path, ":");
		int ret;

		ts_wr_bytes(&w, path, len);
		if (len)
			ts_wr_u8(&w, '/');
		ts_wr_str(&w, name);
		if (ts_wr_end(&w)) {
			ret = usable(out);
			if (ret == 0)
				return 0;
			/* A folder that may not be searched tells nothing; what is there and cannot run does. */
			if (ret == -EISDIR || (ret == -EACCES && access(out, F_OK) == 0))
				seen = -EACCES;
		}
		if (!path[len])
			return seen;
		path += len + 1;
	}
}

/*
 * The value of security.capability, little-endian (linux/capability.h, which a musl tool chain may lack). Its first
 * version has one pair of words, the later ones two.
 */
struct file_caps {
	uint32_t magic_etc;	/* bit 0: effective */
	struct {
		uint32_t permitted, inheritable;
	} word[2];
	uint32_t root_id;
};

/* File capabilities that a user without any would gain (capabilities(7)). */
static bool gains_capabilities(int fd)
{
	struct file_caps caps = { 0 };
	ssize_t n;

	if (getauxval(AT_UID) == 0)
		return false;
	n = fgetxattr(fd, "security.capability", &caps, sizeof(caps));
	return n > 0 && (caps.magic_etc & 1 || caps.word[0].permitted || caps.word[1].permitted);
}

/* True where executing this file makes a secure execution (AT_SECURE, ld.so(8)). */
static bool is_privileged(int fd)
{
	struct statvfs fs;
	struct stat st;
	bool gains;

	if (fstat(fd, &st) != 0)
		return false;
	gains = (st.st_mode & S_ISUID && st.st_uid != getauxval(AT_UID)) ||
		((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && st.st_gid != getauxval(AT_GID));
	if (gains && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		gains = false;
	if (!gains && !gains_capabilities(fd))
		return false;
	return fstatvfs(fd, &fs) != 0 || !(fs.f_flag & ST_NOSUID);
}

/* The loader and this launcher have no interpreter either, but what they start honours LD_PRELOAD. */
static bool starts_others(const char *file, int fd)
{
	const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file;
	struct stat self, st;

	if (strncmp(base, "ld-linux", 8) == 0 || strncmp(base, "ld-musl-", 8) == 0 || strcmp(base, "ld.so") == 0)
		return true;
	return stat("/proc/self/exe", &self) == 0 && fstat(fd, &st) == 0 && self.st_dev == st.st_dev &&
	       self.st_ino == st.st_ino;
}

static enum ts_verdict judge_elf(const char *file, int fd, const uint8_t *head, size_t n)
{
	struct ts_elf elf;

	if (ts_elf_inspect(fd, head, n, &elf) != 0)
		return TS_PROGRAM_BROKEN;
	if (elf.foreign)
		return TS_PROGRAM_FOREIGN;
	if (is_privileged(fd))
		return TS_PROGRAM_PRIVILEGED;
	if (elf.go)
		return TS_PROGRAM_GO;
	return elf.dynamic || starts_others(file, fd) ? TS_PROGRAM_OK : TS_PROGRAM_STATIC;
}

/* Cuts the next word (as env -S does, quotes apart) from *s; null at the end. */
static char *next_word(char **s)
{
	char *word = *s + strspn(*s, " \t"), *end = word + strcspn(word, " \t");

	if (!*word)
		return NULL;
	*s = *end ? end + 1 : end;
	*end = '\0';
	return word;
}

/* What env(1) will start, given the one argument that a #! line passes; null where that is not to be seen. */
static const char *env_target(char *arg)
{
	bool split = false;
	char *word;

	/* Without -S the whole argument is one word, so a space in it is part of a name. */
	if (strncmp(arg, "-S", 2) == 0 || strncmp(arg, "-vS", 3) == 0 || strncmp(arg, "--split-string=", 15) == 0) {
		arg += arg[1] == 'S' ? 2 : arg[1] == 'v' ? 3 : 15;
		split = true;
	}
	if (!split)
		return arg[0] == '-' || strchr(arg, '=') ? NULL : arg;
	while ((word = next_word(&arg))) {
		if (strcmp(word, "-u") == 0 || strcmp(word, "-C") == 0)
			next_word(&arg);
		else if (word[0] != '-' && !strchr(word, '='))
			return word;
	}
	return NULL;
}

/* Splits a #! line in place as the kernel does (execve(2)): the interpreter, and all that follows as one argument. */
static char *split_script_line(char *line, char **arg)
{
	char *interpreter = line + 2 + strspn(line + 2, " \t"), *end;

	end = strchr(interpreter, '\n');
	if (end)
		*end = '\0';
	for (end = interpreter + strlen(interpreter); end > interpreter && (end[-1] == ' ' || end[-1] == '\t'); end--)
		end[-1] = '\0';
	*arg = interpreter + strcspn(interpreter, " \t");
	if (**arg) {
		*(*arg)++ = '\0';
		*arg += strspn(*arg, " \t");
	}
	return *interpreter ? interpreter : NULL;
}

static void check(const char *file, const char *path, unsigned depth, struct ts_program *out);

/* False where the kernel takes the line for none: it names nothing, or its name goes on behind what is read. */
static bool check_script(const uint8_t *head, size_t n, const char *path, unsigned depth, struct ts_program *out)
{
	char line[SCRIPT_LINE_MAX + 1], target[PATH_MAX], *arg, *interpreter;
	const char *base, *name;

	bool cut = n >= SCRIPT_LINE_MAX && !memchr(head, '\n', SCRIPT_LINE_MAX - 1);

	if (n > SCRIPT_LINE_MAX)
		n = SCRIPT_LINE_MAX;
	memcpy(line, head, n);
	line[n] = '\0';
	interpreter = split_script_line(line, &arg);
	if (!interpreter || (cut && interpreter + strlen(interpreter) >= line + SCRIPT_LINE_MAX - 1))
		return false;
	check(interpreter, path, depth + 1, out);
	base = strrchr(interpreter, '/');
	if (out->verdict != TS_PROGRAM_OK || strcmp(base ? base + 1 : interpreter, "env") != 0)
		return true;
	name = env_target(arg);
	if (name && ts_program_find(name, path, target) == 0)
		check(target, path, depth + 1, out);
	return true;
}

static void keep(char to[PATH_MAX], const char *file)
{
	if (strlen(file) < PATH_MAX)
		memcpy(to, file, strlen(file) + 1);
}

static void check(const char *file, const char *path, unsigned depth, struct ts_program *out)
{
	uint8_t head[HEAD_MAX];
	ssize_t n;
	int fd;

	keep(out->runs, file);
	if (depth > DEPTH_MAX) {
		out->verdict = TS_PROGRAM_BROKEN;
		goto out;
	}
	/* Never stops at a FIFO, never takes a terminal: PATH may hold anything. */
	fd = (int)ts_sys(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		if (fd == -EACCES && access(file, X_OK) == 0)
			out->verdict = TS_PROGRAM_UNREADABLE;
		else if (depth && (fd == -ENOENT || fd == -ENOTDIR))
			out->verdict = TS_PROGRAM_NO_INTERPRETER;
		goto out;
	}
	n = pread(fd, head, sizeof(head), 0);
	if (n >= 4 && memcmp(head, "\177ELF", 4) == 0)
		out->verdict = judge_elf(file, fd, head, (size_t)n);
	close(fd);
	if (n >= 2 && memcmp(head, "#!", 2) == 0 && check_script(head, (size_t)n, path, depth, out))
		return;
	/* What no kernel format claims is given to sh (run.c). */
	if (depth == 0 && n >= 0 && (n < 4 || memcmp(head, "\177ELF", 4) != 0)) {
		check("/bin/sh", path, 1, out);
		return;
	}
out:
	if (out->verdict != TS_PROGRAM_OK)
		keep(out->culprit, file);
}

void ts_program_check(const char *file, const char *path, struct ts_program *out)
{
	out->verdict = TS_PROGRAM_OK;
	out->culprit[0] = '\0';
	out->runs[0] = '\0';
	check(file, path, 0, out);
}
