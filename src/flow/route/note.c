/* SPDX-License-Identifier: MIT */
/* See note.h. In a filter the bytes stand behind the only instruction that is run, as loads of constants. */
#include "tsproxy/note.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "tsproxy/fdtab.h"
#include "tsproxy/sys.h"

#define MARK 0x74737474u
#define WORDS (TS_NOTE_SIZE / 4)
#define CODE (2 + WORDS + 1)	/* return, mark, words, return */

static bool is_note(const uint8_t bytes[TS_NOTE_SIZE])
{
	return bytes[0] == TS_NOTE_IDENTITY >> 8 && bytes[1] >= (TS_NOTE_IDENTITY & 0xff) && bytes[1] <= (TS_NOTE_VOID & 0xff);
}

/* What TCP_FASTOPEN_KEY holds. Its length; 0 nothing, or the kernel has no such option; else -errno. */
static int read_key(int fd, uint8_t bytes[TS_NOTE_SIZE])
{
	socklen_t len = TS_NOTE_SIZE;
	int err = (int)ts_sys(SYS_getsockopt, fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, bytes, &len);

	return err == 0 ? (int)len : err == -ENOPROTOOPT || err == -EOPNOTSUPP ? 0 : err;
}

/* Linux before 5.3 keeps one key of 16 bytes, and QEMU's user mode passes 4 on: EINVAL there means that none is kept. */
static int write_key(int fd, const uint8_t bytes[TS_NOTE_SIZE])
{
	int err = (int)ts_sys(SYS_setsockopt, fd, IPPROTO_TCP, TCP_FASTOPEN_KEY, bytes, TS_NOTE_SIZE);

	return err == -EINVAL ? -ENOPROTOOPT : err;
}

/* 1 or 0, or -errno. A filter that is longer is another (EINVAL). */
static int read_filter(int fd, uint8_t bytes[TS_NOTE_SIZE])
{
	struct sock_filter insn[CODE] = { { 0 } };
	socklen_t n = CODE;
	int err = (int)ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_GET_FILTER, insn, &n);

	if (err)
		return err == -EINVAL ? 0 : err;
	if (n != CODE || insn[1].k != MARK)
		return 0;
	for (int i = 0; i < WORDS; i++)
		memcpy(bytes + 4 * i, &insn[2 + i].k, 4);
	return 1;
}

static int write_filter(int fd, const uint8_t bytes[TS_NOTE_SIZE])
{
	struct sock_filter insn[CODE] = { BPF_STMT(BPF_RET | BPF_K, 0xffffffff), BPF_STMT(BPF_LD | BPF_IMM, MARK),
					  [CODE - 1] = BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog prog = { .len = CODE, .filter = insn };

	for (int i = 0; i < WORDS; i++) {
		insn[2 + i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, 0);
		memcpy(&insn[2 + i].k, bytes + 4 * i, 4);
	}
	return (int)ts_sys(SYS_setsockopt, fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

/* The program has a filter, which stays. */
static bool has_other_filter(int fd)
{
	uint8_t note[TS_NOTE_SIZE];
	socklen_t n = 0;

	return ts_sys(SYS_getsockopt, fd, SOL_SOCKET, SO_GET_FILTER, NULL, &n) == 0 && n && read_filter(fd, note) <= 0;
}

/* False for a socket made here of which the hooks know that no key was set. */
static bool may_have_key(int fd)
{
	unsigned flags = ts_fd_get_flags(fd);

	return flags & TS_FD_KEYED || !(flags & (TS_FD_NEW | TS_FD_TRACKED));
}

int ts_note_write(int fd, const uint8_t note[TS_NOTE_SIZE])
{
	uint8_t key[TS_NOTE_SIZE];
	int len = may_have_key(fd) ? read_key(fd, key) : 0;

	if (len < 0)
		return len;
	/* Of the program's key and its filter the first is what a connected socket can do without. */
	if (len == 0 || (len == TS_NOTE_SIZE && is_note(key)) || has_other_filter(fd) || write_filter(fd, note) != 0)
		return write_key(fd, note);
	return 0;
}

int ts_note_read(int fd, uint8_t note[TS_NOTE_SIZE])
{
	int len = read_key(fd, note);

	if (len == TS_NOTE_SIZE && is_note(note))
		return 1;
	return len > 0 ? read_filter(fd, note) : len;
}

bool ts_note_is_key(int fd)
{
	uint8_t note[TS_NOTE_SIZE];

	return read_key(fd, note) == TS_NOTE_SIZE && is_note(note);
}

bool ts_note_is_filter(int fd)
{
	uint8_t note[TS_NOTE_SIZE];

	return read_filter(fd, note) == 1;
}

bool ts_note_leave_key(int fd)
{
	uint8_t note[TS_NOTE_SIZE];

	return read_key(fd, note) != TS_NOTE_SIZE || !is_note(note) || (!has_other_filter(fd) && write_filter(fd, note) == 0);
}

void ts_note_leave_filter(int fd)
{
	uint8_t note[TS_NOTE_SIZE];

	if (read_filter(fd, note) == 1)
		write_key(fd, note);
}
