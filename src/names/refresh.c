/* SPDX-License-Identifier: MIT */
/*
 * Has the map made anew by tsproxy-sync, at most once per 2 s for all processes that use the map, and not within 60 s
 * of a failure, unless a daemon has started since.
 *
 * What the processes share is one file beside the map, MAP.refresh (refresh.h). A refresh has failed that is over and
 * was never said to be done: a map that is missing although it was done has been removed since, and is made again.
 * Where no such file can be made (a read-only home, a user without one) the map could not be made either: live_place.c finds another place.
 * Root's map is root's alone to make anew: who has given up root goes on with it.
 * Where a watch (`tsproxy sync --watch`) keeps the map current there is nothing to do.
 *
 * What came from a stream, such as the launcher's standard input (TSPROXY_STATUS=-), cannot be asked again.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "beside.h"
#include "live.h"
#include "tsproxy/buf.h"
#include "tsproxy/clock.h"
#include "tsproxy/guard.h"
#include "tsproxy/log.h"
#include "tsproxy/names.h"
#include "tsproxy/refresh.h"
#include "tsproxy/scratch.h"
#include "tsproxy/spawn.h"
#include "tsproxy/sys.h"

#define OLD_NS (10 * TS_NS_PER_S)	/* begin a refresh in the background */
#define MISS_OLD_NS (2 * TS_NS_PER_S)	/* a name missed: wait for one */
#define PAUSE_NS (2 * TS_NS_PER_S)	/* between two beginnings */
#define FAILED_NS (60 * TS_NS_PER_S)	/* after a failure */
#define WAIT_NS TS_NS_PER_S
#define POLL_MIN_NS TS_NS_PER_MS
#define POLL_MAX_NS (50 * TS_NS_PER_MS)

/*
 * This process's own memory in one word, so that no thread sees half of it: the time before which it does not ask
 * again, and in the lowest bits (of nanoseconds) what its last question came to.
 */
static int64_t next_try;
#define BEGINNING 1	/* a thread is at it: may become RUNNING in a moment */
#define RUNNING 2	/* a refresh was running then: worth waiting for */
#define STATE_BITS 3

/* As the launcher looks for its parts: by where we are ourselves, then where an installation put it. */
static bool find_helper(char out[TS_BESIDE_PATH_MAX])
{
	static const char *const places[] = { "tsproxy-sync", "../libexec/tsproxy/tsproxy-sync",
					      TSPROXY_LIBEXECDIR "/tsproxy-sync" };
	const char *dir = ts_object_dir();

	for (size_t i = 0; *dir && i < sizeof(places) / sizeof(*places); i++) {
		struct ts_wr w = ts_wr_over(out, TS_BESIDE_PATH_MAX);

		if (places[i][0] != '/')
			ts_wr_str(&w, dir);
		ts_wr_str(&w, places[i]);
		if (ts_wr_end(&w) && ts_sys(SYS_faccessat, AT_FDCWD, out, X_OK) == 0)
			return true;
	}
	return false;
}

enum claim {
	CLAIM_NO,	/* failed lately, or cannot be */
	CLAIM_OTHER,	/* another process's is running, or has just been */
	CLAIM_OURS,
};

_Static_assert((int)TS_REFRESH_RUNNING == TS_SPAWN_LOCK_BYTE, "what the helper holds is what is looked at here");

static long lock_bytes(int fd, int cmd, short type, struct flock *l, off_t first, off_t count)
{
	*l = (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = first, .l_len = count };
	return ts_sys(SYS_fcntl, fd, cmd, l);
}

static bool is_held(int fd, off_t first, off_t count)
{
	struct flock l;

	return lock_bytes(fd, F_OFD_GETLK, F_WRLCK, &l, first, count) == 0 && l.l_type != F_UNLCK;
}

/* By what became of the last refresh, which was begun at `begun`. */
static enum claim whose_turn(int fd, int64_t now, int64_t begun)
{
	bool running = is_held(fd, TS_REFRESH_RUNNING, 1), failed;
	char said = TS_REFRESH_BEGUN;

	ts_sys(SYS_pread64, fd, &said, 1, 0);
	failed = !running && said != TS_REFRESH_DONE && ts_live_made() < begun;
	if (failed && ts_live_daemon_since(begun))
		return CLAIM_OURS;
	if (ts_live_within(now, begun, PAUSE_NS))
		return CLAIM_OTHER;
	/* One that still runs hangs, and has been waited for. */
	return running || (failed && ts_live_within(now, begun, FAILED_NS)) ? CLAIM_NO : CLAIM_OURS;
}

/* Decides under the lock whose turn it is, and stamps the file where it is ours. Not in begin_in, for its frame. */
static __attribute__((noinline)) enum claim claim(int fd)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	struct flock l;
	struct stat st;
	int64_t now, begun;
	enum claim whose;
	char said;

	if (lock_bytes(fd, F_OFD_SETLK, F_WRLCK, &l, TS_REFRESH_BEGINNING, 1) == -EAGAIN)
		return CLAIM_OTHER;
	if (ts_sys(SYS_newfstatat, fd, "", &st, AT_EMPTY_PATH) != 0)
		return CLAIM_NO;
	/* Read under the lock: by a time from before it, a beginning meanwhile would lie in the future. */
	now = ts_live_now();
	begun = st.st_mtim.tv_sec * TS_NS_PER_S + st.st_mtim.tv_nsec;
	whose = st.st_size ? whose_turn(fd, now, begun) : CLAIM_OURS;
	if (whose != CLAIM_OURS)
		return whose;
	said = TS_REFRESH_BEGUN;
	if (ts_file_limit() >= 1)
		ts_sys(SYS_pwrite64, fd, &said, 1, 0);
	times[1] = (struct timespec){ now / TS_NS_PER_S, now % TS_NS_PER_S };
	ts_sys(SYS_utimensat, fd, NULL, times, 0);
	return CLAIM_OURS;
}

static bool from_stream(void)
{
	const char *status = ts_spawn_env("TSPROXY_STATUS");

	return status && ts_conf_stream(status) >= 0;
}

/* A watch sees to the map, and has not lost the daemon. A missing map is beyond it. */
static bool watched(const char *path)
{
	int fd = (int)ts_sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	bool held;

	if (fd < 0)
		return false;
	held = is_held(fd, TS_REFRESH_CURRENT, 1);
	ts_sys(SYS_close, fd);
	return held && ts_live_made() != 0;
}

struct paths {
	char refresh[TS_BESIDE_PATH_MAX];
	char helper[TS_BESIDE_PATH_MAX];
};

static bool lacks_descriptors(int err)
{
	return err == -EMFILE || err == -ENFILE;
}

/* A descriptor, or -errno. But for want of a descriptor, no map could be kept there either: then it is another place's turn. */
static int open_refresh(char path[TS_BESIDE_PATH_MAX])
{
	int fd;

	do {
		fd = ts_beside_path(path, TS_REFRESH_SUFFIX) ? ts_beside_open(path, O_RDWR | O_CREAT, false) : -ENOENT;
		if (fd >= 0 || lacks_descriptors(fd))
			break;
		ts_debug("refresh: %s: %e", path, -fd);
	} while (!ts_live_made() && ts_live_move());
	return fd;
}

static enum claim begin_in(struct paths *p)
{
	char *path = p->refresh;
	enum claim whose;
	struct flock l;
	int fd;

	if (from_stream() || (ts_beside_path(path, TS_REFRESH_SUFFIX) && watched(path)) || !find_helper(p->helper))
		return CLAIM_NO;
	fd = open_refresh(path);
	if ((fd < 0 && !lacks_descriptors(fd)) || !ts_spawn_allowed())
		whose = CLAIM_NO;
	else
		whose = fd >= 0 ? claim(fd) : CLAIM_OURS;
	if (whose == CLAIM_OURS && ts_spawn_helper(p->helper, path, ts_live_path()) != 0)
		whose = CLAIM_NO;
	if (fd >= 0) {
		/* Said aloud, because a child that another thread makes meanwhile shares the description. */
		lock_bytes(fd, F_OFD_SETLK, F_UNLCK, &l, TS_REFRESH_BEGINNING, 1);
		ts_sys(SYS_close, fd);
	}
	return whose;
}

static enum claim begin(void)
{
	struct paths *p = ts_scratch_get(sizeof(*p));
	enum claim whose = p ? begin_in(p) : CLAIM_NO;

	ts_scratch_put(p, sizeof(*p));
	return whose;
}

/* Whether the refresh that this process has seen begin may still be running. Who has given up root meanwhile cannot tell that it is not. */
static bool running(void)
{
	char *path = ts_scratch_get(TS_BESIDE_PATH_MAX);
	int fd = path && ts_beside_path(path, TS_REFRESH_SUFFIX) ? ts_beside_open(path, O_RDWR | O_CREAT, false) : -ENOENT;
	bool held = fd >= 0 ? is_held(fd, TS_REFRESH_BEGINNING, TS_REFRESH_RUNNING + 1) : fd == -EPERM || fd == -EACCES;

	if (fd >= 0)
		ts_sys(SYS_close, fd);
	ts_scratch_put(path, TS_BESIDE_PATH_MAX);
	return held;
}

/*
 * Until the map has changed, the refresh is over, or the time is. The helper frees its lock when it ends, after its
 * last rename. Looks every eighth of the time waited so far, or the looking of many processes at once would take the
 * processor from the one that they wait for.
 */
static bool await(void)
{
	struct timespec brief = { 0, POLL_MIN_NS };
	int64_t begun = ts_now_ns(), waited;

	while ((__atomic_load_n(&next_try, __ATOMIC_ACQUIRE) & BEGINNING) || running()) {
		if (ts_live_look())
			return true;
		waited = ts_now_ns() - begun;
		if (waited >= WAIT_NS)
			break;
		brief.tv_nsec = waited / 8 < POLL_MIN_NS ? POLL_MIN_NS : waited / 8;
		if (brief.tv_nsec > POLL_MAX_NS)
			brief.tv_nsec = POLL_MAX_NS;
		ts_sys(SYS_nanosleep, &brief, NULL);
	}
	__atomic_fetch_and(&next_try, ~(int64_t)RUNNING, __ATOMIC_RELAXED);
	ts_live_look();
	return ts_live_made() != 0;
}

static bool old(int64_t now, int64_t limit)
{
	int64_t made = ts_live_made();

	return !made || !ts_live_within(now, made, limit);
}

/* A time beyond the pause was noted before the clock was set back. */
static bool too_early(int64_t now, int64_t due)
{
	return now < due && due - now <= PAUSE_NS + STATE_BITS;
}

bool ts_live_miss_due(void)
{
	int64_t now = ts_live_now(), due = __atomic_load_n(&next_try, __ATOMIC_RELAXED);

	return old(now, MISS_OLD_NS) && (due & STATE_BITS || !too_early(now, due));
}

static bool refresh(int64_t now, bool wait)
{
	int64_t due = __atomic_load_n(&next_try, __ATOMIC_ACQUIRE), next = (now + PAUSE_NS) & ~(int64_t)STATE_BITS;
	enum claim whose;
	bool none;

	if (ts_sandboxed() || too_early(now, due) || ts_process() != TS_SELF ||
	    !__atomic_compare_exchange_n(&next_try, &due, next | BEGINNING, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return wait && due & STATE_BITS && await();
	if (ts_live_look() && !old(now, MISS_OLD_NS)) {
		__atomic_store_n(&next_try, next, __ATOMIC_RELEASE);
		return true;
	}
	none = ts_live_made() == 0;
	whose = ts_live_is_foreign() ? CLAIM_NO : begin();
	__atomic_store_n(&next_try, whose == CLAIM_NO ? next : next | RUNNING, __ATOMIC_RELEASE);
	if (whose == CLAIM_NO)
		return none && ts_live_made() != 0;	/* another place had one */
	return wait && await();
}

bool ts_live_refresh(bool wait)
{
	int64_t now = ts_live_now();

	return !ts_sandboxed() && old(now, wait ? MISS_OLD_NS : OLD_NS) && refresh(now, wait);
}

bool ts_live_first(void)
{
	static int64_t begun;
	int64_t now = ts_live_now(), first = 0;

	if (__atomic_compare_exchange_n(&begun, &first, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		first = now;
	return ts_live_refresh(ts_live_within(now, first, WAIT_NS)) && ts_live_made() != 0;
}
