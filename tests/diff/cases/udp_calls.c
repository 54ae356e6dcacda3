/* SPDX-License-Identifier: MIT */
/* How many calls to the kernel a batch takes: a child says when to begin and to end by getppid, and is traced. */
#include "udp.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>

#define BATCH 64

static char texts[BATCH][16];
static struct iovec pieces[BATCH];
static struct mmsghdr msgs[BATCH];

static void mark(void)
{
	syscall(SYS_getppid);
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
	char c = 'c';

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	sendto(fd, &c, 1, 0, to, to ? at_len() : 0);
	recv(fd, &c, 1, 0);
	fill(to);
	mark();
	sendmmsg(fd, msgs, BATCH, 0);
	mark();
	recvmmsg(fd, msgs, BATCH, 0, NULL);
	mark();
	sendto(fd, &c, 1, 0, to, to ? at_len() : 0);
	mark();
	recv(fd, &c, 1, 0);
	mark();
}

/* Runs the child and says how many calls it made from mark to mark. */
static void count_calls(pid_t child)
{
	static const char *const what[] = { NULL, "sendmmsg", "recvmmsg", "sendto", "recv", NULL };
	int marks = 0, calls = 0, status;

	waitpid(child, &status, 0);
	ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	while (marks < 5 && ptrace(PTRACE_SYSCALL, child, 0, 0) == 0 && waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
		struct __ptrace_syscall_info info;
		bool entry;

		if (WSTOPSIG(status) != (SIGTRAP | 0x80) || ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info) <= 0)
			continue;
		entry = info.op == PTRACE_SYSCALL_INFO_ENTRY;
		if (entry && info.entry.nr == SYS_getppid) {
			if (what[marks])
				say("%s: %s", what[marks], calls == 1 ? "one call" : "many calls");
			marks++;
			calls = 0;
		} else if (entry) {
			calls++;
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
