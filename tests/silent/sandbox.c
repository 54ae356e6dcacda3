/* SPDX-License-Identifier: MIT */
/*
 * See sandbox.h. The filter tells the library's own calls by the instruction pointer (seccomp(2)): what a hook leaves to libc, or makes for
 * the program, comes from libc.
 */
#include "sandbox.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOW (offsetof(struct seccomp_data, instruction_pointer))	/* little-endian machines */
#define HIGH (LOW + 4)
#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
#define JUMP(op, k, yes, no) BPF_JUMP(BPF_JMP | (op) | BPF_K, (uint32_t)(k), (yes), (no))

static struct sock_filter code[] = {
	LOAD(HIGH),
	JUMP(BPF_JGT, 0, 3, 0),		/* 1: above the start's upper half: 5 */
	JUMP(BPF_JEQ, 0, 0, 8),		/* 2: below it: 11 */
	LOAD(LOW),
	JUMP(BPF_JGE, 0, 0, 6),		/* 4: below the start: 11 */
	LOAD(HIGH),
	JUMP(BPF_JGT, 0, 4, 0),		/* 6: above the end's upper half: 11 */
	JUMP(BPF_JEQ, 0, 0, 2),		/* 7: below it: 10 */
	LOAD(LOW),
	JUMP(BPF_JGE, 0, 1, 0),		/* 9: behind the end: 11 */
	BPF_STMT(BPF_RET | BPF_K, 0),	/* 10 */
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
static struct sock_fprog filter = { sizeof(code) / sizeof(*code), code };

/* Where the library is; without it nothing is forbidden. */
static void find_library(void)
{
	unsigned long start, end, first = ~0ul, last = 0;
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[500];

	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "libtsproxy.so") && sscanf(line, "%lx-%lx", &start, &end) == 2) {
			first = start < first ? start : first;
			last = end > last ? end : last;
		}
	fclose(maps);
	code[1].k = code[2].k = (uint32_t)(first >> 32);
	code[4].k = (uint32_t)first;
	code[6].k = code[7].k = (uint32_t)(last >> 32);
	code[9].k = (uint32_t)last;
}

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	char line[100];
	int n = snprintf(line, sizeof(line), "trapped: system call %d\n", info->si_syscall);

	(void)sig;
	(void)context;
	(void)!write(1, line, (size_t)n);
}

static bool seccomp(unsigned flags)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter) == 0;
}

static void *in_thread(void *arg)
{
	return (void *)(uintptr_t)seccomp(*(unsigned *)arg);
}

static bool by_thread(unsigned flags)
{
	void *set;
	pthread_t t;

	return pthread_create(&t, NULL, in_thread, &flags) == 0 && pthread_join(t, &set) == 0 && set;
}

bool sandbox_enter(const char *way)
{
	struct sigaction act = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

	find_library();
	code[10].k = strcmp(way, "trap") == 0 ? SECCOMP_RET_TRAP : SECCOMP_RET_KILL_PROCESS;
	sigaction(SIGSYS, &act, NULL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return false;
	if (strcmp(way, "prctl") == 0)
		return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
	if (strcmp(way, "seccomp") == 0 || strcmp(way, "trap") == 0)
		return seccomp(0);
	if (strcmp(way, "tsync") == 0)
		return by_thread(SECCOMP_FILTER_FLAG_TSYNC);
	if (strcmp(way, "thread") == 0)
		return by_thread(0);
	return false;
}
