/* SPDX-License-Identifier: MIT */
/*
 * Three questions, for as few system calls as possible: the start of the file, which the caller has read anyway,
 * nearly always holds the program headers and the notes; only the section table, where Go's linker leaves its
 * mark even without a build ID, needs two reads more.
 *
 * Go matters although such a program may be dynamic: its runtime makes system calls of its own, past every
 * preloaded library (runtime/sys_linux_*.s).
 */
#include "elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tsproxy/elfaux.h"

#define HEADERS_MAX 65536	/* bytes of program headers: the kernel takes no more */
#define NOTES_MAX 2048
#define SECTIONS_MAX 128
#define NAMES_MAX 4096

struct file {
	int fd;
	const uint8_t *head;
	size_t head_len;
};

/* `len` bytes at `off`: from the head where they are in it, else read into `buf`. Null where the file has fewer. */
static const uint8_t *at(const struct file *f, uint64_t off, size_t len, uint8_t *buf)
{
	if (off <= f->head_len && len <= f->head_len - off)
		return f->head + off;
	if (off > INT64_MAX || pread(f->fd, buf, len, (off_t)off) != (ssize_t)len)
		return NULL;
	return buf;
}

static bool notes_of_go(const uint8_t *p, size_t left)
{
	while (left >= sizeof(Elf64_Nhdr) + 4) {
		Elf64_Nhdr n;
		uint64_t len;

		memcpy(&n, p, sizeof(n));
		if (n.n_namesz == 4 && memcmp(p + sizeof(n), "Go\0", 4) == 0)
			return true;
		len = sizeof(n) + (((uint64_t)n.n_namesz + 3) & ~3ull) + (((uint64_t)n.n_descsz + 3) & ~3ull);
		if (len > left)
			return false;
		p += len;
		left -= len;
	}
	return false;
}

static int read_segments(const struct file *f, const Elf64_Ehdr *eh, struct ts_elf *out)
{
	uint8_t buf[sizeof(Elf64_Phdr)], note_buf[NOTES_MAX];

	if (eh->e_phentsize != sizeof(Elf64_Phdr) || eh->e_phnum > HEADERS_MAX / sizeof(Elf64_Phdr))
		return -ENOEXEC;
	for (unsigned i = 0; i < eh->e_phnum; i++) {
		const uint8_t *p = at(f, eh->e_phoff + i * sizeof(Elf64_Phdr), sizeof(Elf64_Phdr), buf);
		Elf64_Phdr ph;

		if (!p)
			return -ENOEXEC;
		memcpy(&ph, p, sizeof(ph));
		if (ph.p_type == PT_INTERP)
			out->dynamic = true;
		if (ph.p_type == PT_NOTE) {
			size_t len = ph.p_filesz < NOTES_MAX ? ph.p_filesz : NOTES_MAX;
			const uint8_t *note = at(f, ph.p_offset, len, note_buf);

			if (note && notes_of_go(note, len))
				out->go = true;
		}
	}
	return 0;
}

/* A section called .go.buildinfo: debug/buildinfo finds programs by it. A file without a section table has none. */
static bool has_go_section(const struct file *f, const Elf64_Ehdr *eh)
{
	static const char mark[] = ".go.buildinfo";
	uint8_t buf[SECTIONS_MAX * sizeof(Elf64_Shdr)], names_buf[NAMES_MAX];
	unsigned count = eh->e_shnum < SECTIONS_MAX ? eh->e_shnum : SECTIONS_MAX;
	const uint8_t *p, *names;
	Elf64_Shdr sh;
	size_t len;

	if (eh->e_shentsize != sizeof(sh) || eh->e_shstrndx >= count)
		return false;
	p = at(f, eh->e_shoff, count * sizeof(sh), buf);
	if (!p)
		return false;
	memcpy(&sh, p + eh->e_shstrndx * sizeof(sh), sizeof(sh));
	len = sh.sh_size < NAMES_MAX ? sh.sh_size : NAMES_MAX;
	names = at(f, sh.sh_offset, len, names_buf);
	return names && memmem(names, len, mark, sizeof(mark));
}

int ts_elf_inspect(int fd, const uint8_t *head, size_t n, struct ts_elf *out)
{
	struct file f = { fd, head, n };
	Elf64_Ehdr eh;
	int ret;

	memset(out, 0, sizeof(*out));
	if (n < EI_NIDENT + 4)
		return -ENOEXEC;
	memcpy(&eh, head, n < sizeof(eh) ? n : sizeof(eh));
	if (!ts_elf_is_own(head)) {
		out->foreign = true;
		return 0;
	}
	if (n < sizeof(eh))
		return -ENOEXEC;
	ret = read_segments(&f, &eh, out);
	if (ret == 0 && !out->go)
		out->go = has_go_section(&f, &eh);
	return ret;
}
