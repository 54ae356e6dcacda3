/* SPDX-License-Identifier: MIT */
/* The lock: one at a time, over threads and processes; taken from who is gone; signals wait while it is held. */
#include <check.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "tsproxy/guard.h"
#include "unit.h"

#define ROUNDS 20000

static struct { struct ts_lock lock, inner; long count, inner_count; } *shared;

static void setup(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	shared->lock.shared = shared->inner.shared = 1;
}

static void teardown(void) { munmap(shared, sizeof(*shared)); }

static void *count(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		ts_lock(&shared->lock);
		shared->count++;
		ts_lock_within(&shared->inner, &shared->lock);
		shared->inner_count++;
		ts_unlock_within(&shared->inner);
		ts_unlock(&shared->lock);
	}
	return arg;
}

START_TEST(one_at_a_time)
{
	pthread_t t[2];
	pid_t pid = fork();

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, count, NULL), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(shared->count, 4 * ROUNDS);
	ck_assert_int_eq(shared->inner_count, 4 * ROUNDS);
	ck_assert_int_eq(ts_lock_owner(&shared->lock), 0);
}
END_TEST

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

static void expect_free(void)
{
	int64_t t0 = now_ms();

	ts_lock(&shared->lock);
	ts_lock_within(&shared->inner, &shared->lock);
	ts_unlock_within(&shared->inner);
	ts_unlock(&shared->lock);
	ck_assert_int_lt(now_ms() - t0, 2000);
}

/* Killed between any two instructions, as far as the lock can tell. */
START_TEST(owner_killed)
{
	pid_t pid = fork();

	if (pid == 0) {
		ts_lock(&shared->lock);
		ts_lock_within(&shared->inner, &shared->lock);
		raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_ne(ts_lock_owner(&shared->lock), 0);
	expect_free();
}
END_TEST

static void *keep(void *arg)
{
	ts_lock(&shared->lock);
	return arg;
}

START_TEST(thread_gone)
{
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, keep, NULL), 0);
	pthread_join(t, NULL);
	expect_free();
}
END_TEST

/* A lock of its own memory that another thread held at the fork is nobody's in the child. */
static struct ts_lock own;
static pthread_barrier_t held, forked;

static void *keep_own(void *arg)
{
	ts_lock(&own);
	pthread_barrier_wait(&held);
	pthread_barrier_wait(&forked);
	ts_unlock(&own);
	return arg;
}

START_TEST(held_at_fork)
{
	pthread_t t;
	pid_t pid;
	int status;

	pthread_barrier_init(&held, NULL, 2);
	pthread_barrier_init(&forked, NULL, 2);
	ck_assert_int_eq(pthread_create(&t, NULL, keep_own, NULL), 0);
	pthread_barrier_wait(&held);
	pid = fork();
	if (pid == 0) {
		alarm(5);
		ts_lock(&own);
		ts_unlock(&own);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	pthread_barrier_wait(&forked);
	pthread_join(t, NULL);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

static volatile sig_atomic_t signalled;

static void handler(int sig)
{
	(void)sig;
	signalled++;
	ts_lock(&own);
	ts_unlock(&own);
}

START_TEST(signals_wait)
{
	signal(SIGUSR1, handler);
	ts_lock(&own);
	raise(SIGUSR1);
	ck_assert_int_eq(signalled, 0);
	ts_unlock(&own);
	ck_assert_int_eq(signalled, 1);
}
END_TEST

/* Also where nobody has asked before: the memory stays its parent's. */
START_TEST(vfork_child_asks_first)
{
	int status;
	pid_t pid = vfork();

	if (pid == 0)
		_exit(ts_process() == TS_VFORK_CHILD ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_eq(ts_process(), TS_SELF);
}
END_TEST

static const int synchronous[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS };

static bool blocks(int sig)
{
	sigset_t now;

	sigprocmask(SIG_SETMASK, NULL, &now);
	return sigismember(&now, sig);
}

/* A handler of the kernel's own signals runs at once, may take the lock, and leaves the mask as it was. */
START_TEST(synchronous_signals_do_not_wait)
{
	signalled = 0;
	signal(synchronous[_i], handler);
	ts_lock(&own);
	raise(synchronous[_i]);
	ck_assert_int_eq(signalled, 1);
	ck_assert(blocks(SIGUSR1));
	ts_unlock(&own);
	ck_assert(!blocks(SIGUSR1));
	ck_assert_int_eq(ts_lock_owner(&own), 0);
}
END_TEST

static sigjmp_buf out;

static void jump(int sig)
{
	siglongjmp(out, sig);
}

/* It may also leave the section for good: then that is over, whatever the mask was when it began. */
START_TEST(handler_jumps_out)
{
	sigset_t mask;

	signal(SIGSEGV, jump);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	if (!sigsetjmp(out, 1)) {
		ts_lock(&own);
		raise(SIGSEGV);
	}
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
	ts_lock(&own);
	ck_assert(blocks(SIGUSR2));
	ts_unlock(&own);
	ck_assert(!blocks(SIGUSR2));
	expect_free();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guard");
	TCase *c = tcase_create("lock");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, one_at_a_time);
	tcase_add_test(c, owner_killed);
	tcase_add_test(c, thread_gone);
	tcase_add_test(c, held_at_fork);
	tcase_add_test(c, signals_wait);
	if (getenv("TSPROXY_TEST_QEMU")) {
		puts("left out of guard: vfork_child_asks_first: QEMU makes a fork of it\n"
		     "left out of guard: synchronous_signals_do_not_wait: QEMU keeps some signals for itself, which are never blocked");
	} else {
		tcase_add_test(c, vfork_child_asks_first);
		tcase_add_loop_test(c, synchronous_signals_do_not_wait, 0, sizeof(synchronous) / sizeof(*synchronous));
	}
	tcase_add_test(c, handler_jumps_out);
	suite_add_tcase(s, c);
	return unit_run(s);
}
