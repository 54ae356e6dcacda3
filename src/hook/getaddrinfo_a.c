/* SPDX-License-Identifier: MIT */
/*
 * getaddrinfo_a and its like, which glibc alone has. It resolves each request in a thread of its own, by its own function. The tailnet's
 * names are answered at once instead, and the others handed on without them: gai_suspend, gai_error and gai_cancel find in the request
 * itself that it is done.
 *
 * What must ask a name server of split DNS cannot be answered at once, and this object makes no threads. But libc makes one where a
 * request's end is to be told in one (SIGEV_THREAD): so each request of such a list becomes a request of ours for a number, and the
 * thread in which its end is told does the work. The last of them tells the end of the whole list.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "getaddrinfo.h"
#include "tsproxy/answer.h"
#include "tsproxy/cancel.h"
#include "tsproxy/clock.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/guard.h"
#include "tsproxy/real.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

#define EXPORT __attribute__((visibility("default")))
#define LIBRARY "libanl.so.1"
#define LOOK_MS 2

/* One request under way. */
struct task {
	struct gaicb trigger;	/* for a number: its end starts the work */
	struct gaicb *request;
	struct job *job;
};

/* One list under way, in pages of its own. */
struct job {
	size_t size;
	int left;		/* tasks that are not done, and who starts them */
	pid_t caller;
	bool tells;
	struct sigevent sig;
	struct task task[];
};

static int under_way;	/* requests of ours; while there are none, libc knows everything */

#define REAL(name) \
	({ \
		__typeof__(ts_real()->name) real_ = ts_real()->name; \
		ts_real_has((const void *)real_) ? real_ : (__typeof__(real_))ts_real_late(LIBRARY, #name); \
	})

static int real_getaddrinfo_a(int mode, struct gaicb **list, int n, struct sigevent *sig)
{
	__typeof__(ts_real()->getaddrinfo_a) real = REAL(getaddrinfo_a);

	return real ? real(mode, list, n, sig) : EAI_SYSTEM;
}

static void tell(const struct job *j)
{
	siginfo_t info;

	if (!j->tells)
		return;
	if (j->sig.sigev_notify == SIGEV_THREAD && j->sig.sigev_notify_function)
		j->sig.sigev_notify_function(j->sig.sigev_value);
	if (j->sig.sigev_notify != SIGEV_SIGNAL)
		return;
	memset(&info, 0, sizeof(info));
	info.si_signo = j->sig.sigev_signo;
	info.si_code = SI_ASYNCNL;
	info.si_pid = j->caller;
	info.si_uid = (uid_t)ts_sys(SYS_getuid);
	info.si_value = j->sig.sigev_value;
	ts_sys(SYS_rt_sigqueueinfo, j->caller, j->sig.sigev_signo, &info);
}

/* A part of the job is over; the last one tells, and gives the pages back. */
static void done(struct job *j)
{
	if (__atomic_sub_fetch(&j->left, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	tell(j);
	ts_sys(SYS_munmap, j, j->size);
}

static void resolve(struct gaicb *r)
{
	int ret = ts_names_answer(r->ar_name, r->ar_service, r->ar_request, &r->ar_result);

	if (ret == TS_NAMES_LIBC)
		ret = ts_real()->getaddrinfo(r->ar_name, r->ar_service, r->ar_request, &r->ar_result);
	__atomic_store_n(&r->__return, ret, __ATOMIC_RELEASE);
}

/* In a thread of libc's. */
static void work(union sigval value)
{
	struct task *t = value.sival_ptr;

	if (t->trigger.ar_result)
		ts_real()->freeaddrinfo(t->trigger.ar_result);
	resolve(t->request);
	__atomic_sub_fetch(&under_way, 1, __ATOMIC_RELEASE);
	done(t->job);
}

/* Where no thread can be had, it is done here. */
static void begin(struct task *t)
{
	static const struct addrinfo number = { .ai_family = AF_INET, .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
	struct sigevent by = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = work, .sigev_value.sival_ptr = t };
	struct gaicb *one = &t->trigger;

	t->trigger.ar_name = "127.0.0.1";
	t->trigger.ar_request = &number;
	if (real_getaddrinfo_a(GAI_NOWAIT, &one, 1, &by) != 0)
		work(by.sigev_value);
}

/* Starts all of the list's requests. 0 or EAI_*. */
static int begin_all(struct gaicb **list, int n, const struct sigevent *sig)
{
	size_t size = sizeof(struct job) + (size_t)n * sizeof(struct task);
	struct job *j = ts_zero_pages(size, MAP_PRIVATE);
	int tasks = 0;

	if (!j)
		return EAI_MEMORY;
	j->size = size;
	j->left = 1;
	j->caller = (pid_t)ts_sys(SYS_getpid);
	j->tells = sig != NULL;
	if (sig)
		j->sig = *sig;
	for (int i = 0; i < n; i++) {
		if (!list[i])
			continue;
		__atomic_store_n(&list[i]->__return, EAI_INPROGRESS, __ATOMIC_RELEASE);
		j->task[tasks++] = (struct task){ .request = list[i], .job = j };
	}
	__atomic_add_fetch(&j->left, tasks, __ATOMIC_RELAXED);
	__atomic_add_fetch(&under_way, tasks, __ATOMIC_RELAXED);
	for (int i = 0; i < tasks; i++)
		begin(&j->task[i]);
	done(j);
	return 0;
}

static int in_progress(const struct gaicb *const list[], int n)
{
	int count = 0;

	for (int i = 0; i < n; i++)
		count += list[i] && __atomic_load_n(&list[i]->__return, __ATOMIC_ACQUIRE) == EAI_INPROGRESS;
	return count;
}

static int begin_and_wait(struct gaicb **list, int n)
{
	const struct gaicb *const *waited = (const struct gaicb *const *)list;
	int ret = begin_all(list, n, NULL);

	while (ret == 0 && in_progress(waited, n))
		ts_real()->poll(NULL, 0, LOOK_MS);
	return ret;
}

struct handing {
	int mode;
	struct gaicb **list;
	int n;
	struct sigevent *sig;
	int result;
};

/* Answers what can be at once, and hands the others to libc. */
static void answer_and_hand_on(void *memory, void *arg)
{
	struct gaicb **rest = memory;
	struct handing *h = arg;

	for (int i = 0; i < h->n; i++) {
		struct gaicb *one = rest[i] = h->list[i];
		int ret = one ? ts_names_answer(one->ar_name, one->ar_service, one->ar_request, &one->ar_result) : TS_NAMES_LIBC;

		if (ret != TS_NAMES_LIBC) {
			one->__return = ret;
			rest[i] = NULL;
		}
	}
	h->result = real_getaddrinfo_a(h->mode, rest, h->n, h->sig);
}

EXPORT int getaddrinfo_a(int mode, struct gaicb **list, int n, struct sigevent *sig)
{
	struct handing h = { mode, list, n, sig, 0 };

	if (!ts_enabled() || n <= 0 || (mode != GAI_WAIT && mode != GAI_NOWAIT))
		return real_getaddrinfo_a(mode, list, n, sig);
	for (int i = 0; i < n; i++)
		if (list[i] && ts_names_waits(list[i]->ar_name, list[i]->ar_request))
			return mode == GAI_WAIT ? begin_and_wait(list, n) : begin_all(list, n, sig);
	return ts_cancel_scratch((size_t)n * sizeof(*list), answer_and_hand_on, &h) ? h.result : EAI_MEMORY;
}

/* Returns when one of those that are in progress is so no more. */
EXPORT int gai_suspend(const struct gaicb *const list[], int n, const struct timespec *timeout)
{
	__typeof__(ts_real()->gai_suspend) real = REAL(gai_suspend);
	int before, err = ts_errno;
	int64_t until;

	if (!__atomic_load_n(&under_way, __ATOMIC_ACQUIRE))
		return real ? real(list, n, timeout) : EAI_SYSTEM;
	until = timeout ? ts_now_ms() + timeout->tv_sec * 1000 + (timeout->tv_nsec + 999999) / 1000000 : INT64_MAX;
	before = in_progress(list, n);
	if (before == 0)
		return EAI_ALLDONE;
	while (in_progress(list, n) == before) {
		if (ts_now_ms() >= until)
			return EAI_AGAIN;
		if (ts_real()->poll(NULL, 0, LOOK_MS) < 0 && ts_errno == EINTR)
			return EAI_INTR;
	}
	ts_errno = err;
	return 0;
}

EXPORT int gai_cancel(struct gaicb *request)
{
	__typeof__(ts_real()->gai_cancel) real = REAL(gai_cancel);
	int ret = real ? real(request) : EAI_SYSTEM;

	/* One that libc does not know is ours, and its thread is at work. */
	return ret == EAI_ALLDONE && request && in_progress((const struct gaicb *const *)&request, 1) ? EAI_NOTCANCELED : ret;
}
