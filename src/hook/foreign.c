/* SPDX-License-Identifier: MIT */
/*
 * Foreign programs: see foreign.h. Only the file says what it is, and to read it takes three system calls at every exec. So first the loader
 * is asked for that such programs need, at the place that is built into them: most machines have none.
 *
 * What else could be done: a second object, for the other class, whose place the loader fills in ($LIB). musl's loader does not know $LIB,
 * and distributions do not agree what it stands for.
 */
#include "foreign.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tsproxy/buf.h"
#include "tsproxy/elfaux.h"
#include "tsproxy/guard.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

#if defined(__x86_64__)
#define LOADER "/lib/ld-linux.so.2"
#else
#define LOADER "/lib/ld-linux-armhf.so.3"
#endif
#define VARIABLE "LD_PRELOAD"
#define SEPARATORS ": "
#define HEAD_MAX 256		/* what the kernel reads of a file to know its format: BINPRM_BUF_SIZE */
#define CANDIDATE_MAX 1024
#define DEPTH_MAX 5		/* interpreters of interpreters: the kernel follows as many */

extern char **environ;

static bool has_loader(void)
{
	static signed char known;	/* 1 yes, -1 no; the same whoever finds it out */
	int k = __atomic_load_n(&known, __ATOMIC_RELAXED);

	if (k == 0) {
		k = ts_sys(SYS_faccessat, AT_FDCWD, LOADER, F_OK) == 0 ? 1 : -1;
		__atomic_store_n(&known, (signed char)k, __ATOMIC_RELAXED);
	}
	return k > 0;
}

/* How many characters from `s` on are among these (`are`), or are not. */
static size_t run(const char *s, const char *these, bool are)
{
	size_t n = 0, len = strlen(these);

	while (s[n] && (memchr(these, s[n], len) != NULL) == are)
		n++;
	return n;
}

/* The length of this object's entry in a list of LD_PRELOAD, and where it is. 0: it is not there. */
static size_t find_own(const char *list, const char **at)
{
	const struct link_map *self = ts_link_map_self();
	size_t own = self && self->l_name ? strlen(self->l_name) : 0;

	for (const char *s = list; own && *s; s += run(s, SEPARATORS, true)) {
		size_t len = run(s, SEPARATORS, false);

		if (len == own && memcmp(s, self->l_name, len) == 0) {
			*at = s;
			return len;
		}
		s += len;
	}
	return 0;
}

bool ts_foreign_rest(const char *variable, char out[TS_FOREIGN_REST])
{
	const char *own = NULL, *list = variable + sizeof(VARIABLE "=") - 1, *behind;
	struct ts_wr w = ts_wr_over(out, TS_FOREIGN_REST);
	size_t len = find_own(list, &own);

	if (!len)
		return false;
	behind = own + len + run(own + len, SEPARATORS, true);
	ts_wr_bytes(&w, variable, (size_t)(own - variable));
	ts_wr_str(&w, behind);
	ts_wr_u8(&w, '\0');
	return (own > list + run(list, SEPARATORS, true) || *behind) && ts_wr_end(&w);
}

static int open_file(int fd, const char *path)
{
	return (int)ts_sys(SYS_openat, fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
}

/* The first file of that name in PATH, open, or -1. */
static int search(const char *file)
{
	const char *path = ts_env_get(environ, "PATH");

	if (!path)
		path = "/bin:/usr/bin";	/* libc's */
	for (;; path++) {
		size_t len = run(path, ":", false);
		char candidate[CANDIDATE_MAX];
		struct ts_wr w = ts_wr_over(candidate, sizeof(candidate));
		int fd = -1;

		ts_wr_bytes(&w, path, len);
		if (len)
			ts_wr_u8(&w, '/');
		ts_wr_str(&w, file);
		ts_wr_u8(&w, '\0');
		if (ts_wr_end(&w))
			fd = open_file(AT_FDCWD, candidate);
		path += len;
		if (fd >= 0 || !*path)
			return fd;
	}
}

/* Reads the file's beginning, and null bytes behind it. Returns its length. */
static long read_head(const struct ts_program *p, char head[HEAD_MAX + 1])
{
	bool open_already = !p->path || !*p->path;
	long n;
	int fd = open_already ? p->fd : p->search && !p->path[run(p->path, "/", false)] ? search(p->path) : open_file(p->fd, p->path);

	memset(head, 0, HEAD_MAX + 1);
	n = fd >= 0 ? ts_sys(SYS_pread64, fd, head, HEAD_MAX, 0l) : -1;
	if (fd >= 0 && !open_already)
		ts_sys(SYS_close, fd);
	return n;
}

/* `head`: of a script and its interpreter in turn, whose name lies in the other one. */
static bool is_foreign_from(struct ts_program p, char head[2][HEAD_MAX + 1])
{
	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		char *here = head[depth % 2], *name;
		long n = read_head(&p, here);

		if (n >= (long)sizeof(Elf64_Ehdr) && memcmp(here, ELFMAG, SELFMAG) == 0)
			return !ts_elf_is_own(here);
		if (n < 3 || here[0] != '#' || here[1] != '!')
			return false;
		name = here + 2 + run(here + 2, " \t", true);
		name[run(name, " \t\n", false)] = '\0';
		if (!*name)
			return false;
		p = (struct ts_program){ .fd = AT_FDCWD, .path = name };
	}
	return false;
}

static bool is_foreign(const struct ts_program *p)
{
	char(*head)[HEAD_MAX + 1] = ts_scratch_get(2 * sizeof(*head));
	bool foreign = head && is_foreign_from(*p, head);

	ts_scratch_put(head, 2 * sizeof(*head));
	return foreign;
}

const char *ts_foreign_preload(const struct ts_program *p, char *const envp[])
{
	const char *list = ts_plausible(envp) ? ts_env_get(envp, VARIABLE) : NULL, *own;

	if (!list || !find_own(list, &own) || ts_sandboxed() || !ts_enabled() || !has_loader() || !is_foreign(p))
		return NULL;
	return list - sizeof(VARIABLE "=") + 1;
}
