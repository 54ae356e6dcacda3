/* SPDX-License-Identifier: MIT */
/*
 * How many calls to the kernel a batch takes, and that these are given the program's own memory: a child says when to begin and to end by
 * getppid, and is traced.
 */
#include "udp_case.h"

#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#define BATCH 64
#define MARK 0x6d61726bul	/* the library asks for its parent, too */

static char texts[BATCH][16], letter;
static struct iovec pieces[BATCH];
static struct mmsghdr msgs[BATCH];

static void mark(void)
{
	syscall(SYS_getppid, MARK);
}

static void fill(const struct sockaddr *to)
{
	for (int i = 0; i < BATCH; i++) {
		pieces[i] = (struct iovec){ texts[i], sizeof(texts[i]) };
		msgs[i].msg_hdr = (struct msghdr){ .msg_name = (void *)to, .msg_namelen = to ? at_len() : 0, .msg_iov = &pieces[i],
						   .msg_iovlen = 1 };
	}
}

/* A batch each way, of whose kind one went before, so that the association stands; and one call of every other kind. */
static void batches(int fd, const struct sockaddr *to)
{
	int room = 4 << 20;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	sendto(fd, &letter, 1, 0, to, to ? at_len() : 0);
	recv(fd, &letter, 1, 0);
	fill(to);
	mark();
	sendmmsg(fd, msgs, BATCH, 0);
	mark();
	recvmmsg(fd, msgs, BATCH, 0, NULL);
	mark();
	sendto(fd, &letter, 1, 0, to, to ? at_len() : 0);
	mark();
	recv(fd, &letter, 1, 0);
	mark();
}

static uint64_t word_of(pid_t child, uint64_t at)
{
	return (uint64_t)ptrace(PTRACE_PEEKDATA, child, (void *)(uintptr_t)at, 0);
}

/* Whether one of a message's pieces is the program's: `at`, a struct msghdr in the child, whose memory lies as ours does. */
static bool in_place(pid_t child, uint64_t at)
{
	uint64_t iov = word_of(child, at + offsetof(struct msghdr, msg_iov)), n = word_of(child, at + offsetof(struct msghdr, msg_iovlen));

	for (uint64_t i = 0; i < n; i++) {
		char *base = (char *)(uintptr_t)word_of(child, iov + i * sizeof(struct iovec) + offsetof(struct iovec, iov_base));

		if (base == &letter || (base >= texts[0] && base < texts[BATCH]))
			return true;
	}
	return false;
}

/* The same of a call that sends or receives, whatever its kind. */
static bool call_in_place(pid_t child, const struct __ptrace_syscall_info *info)
{
	uint64_t given = info->entry.args[1];

	switch (info->entry.nr) {
	case SYS_sendto:
	case SYS_recvfrom:
		return given == (uintptr_t)&letter;
	case SYS_sendmsg:
	case SYS_recvmsg:
		return in_place(child, given);
	case SYS_sendmmsg:
	case SYS_recvmmsg:
		for (unsigned i = 0; i < BATCH; i++)
			if (!in_place(child, given + i * sizeof(struct mmsghdr)))
				return false;
		return true;
	}
	return false;
}

/* Runs the child and says how many calls it made from mark to mark. */
static void count_calls(pid_t child)
{
	static const char *const what[] = { NULL, "sendmmsg", "recvmmsg", "sendto", "recv", NULL };
	int marks = 0, calls = 0, status;
	bool copied = false;

	waitpid(child, &status, 0);
	ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	while (marks < 5 && ptrace(PTRACE_SYSCALL, child, 0, 0) == 0 && waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
		struct __ptrace_syscall_info info;
		bool entry;

		if (WSTOPSIG(status) != (SIGTRAP | 0x80) || ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info) <= 0)
			continue;
		entry = info.op == PTRACE_SYSCALL_INFO_ENTRY;
		if (entry && info.entry.nr == SYS_getppid && info.entry.args[0] == MARK) {
			if (what[marks])
				say("%s: %s%s", what[marks], calls == 1 ? "one call" : "many calls", copied ? ", copied" : "");
			marks++;
			calls = 0;
			copied = false;
		} else if (entry) {
			calls++;
			copied |= !call_in_place(child, &info);
		}
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
}

static void traced(bool connected)
{
	pid_t child = fork();

	if (child == 0) {
		int fd = udp(0);
		const struct sockaddr *to = connected ? NULL : at(PEER, ECHO);

		if (connected)
			MUST(connect(fd, TO(PEER, ECHO)));
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		batches(fd, to);
		_exit(0);
	}
	count_calls(child);
}

CASE_FAMILIES(unconnected) { traced(false); }
CASE_FAMILIES(to_one) { traced(true); }
