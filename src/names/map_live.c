/* SPDX-License-Identifier: MIT */
/*
 * Follows the map file in a running process.
 *
 * The file is looked at (one stat) when the last look is 100 ms old; one that is missing or bad, every 2 s. It is copied, so
 * that nothing which happens to it can touch this process any more: up to COPY_MAX bytes into one of two static
 * buffers; a bigger one into memory at an address that stays, where a later one takes its place by one mremap(2). Memory is constant and nothing is ever reclaimed, which is what makes lookups safe without a lock, in
 * signal handlers and across fork.
 *
 * A lookup reads `sequence`, copies its answer out of `current`, and reads `sequence` again. The writer raises it before it touches
 * a place, so that a lookup which began before is repeated, and once more when it has, for those that began meanwhile: of a small map
 * they find the old one whole, of a large one perhaps some of both. A map that is damaged or gone does not replace a good one: its names
 * go on being known, and refresh.c asks for a new file.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "live.h"
#include "tsproxy/clock.h"
#include "tsproxy/guard.h"
#include "tsproxy/log.h"
#include "tsproxy/names.h"
#include "tsproxy/real.h"
#include "tsproxy/sys.h"

#define COPY_MAX (128 << 10)	/* some 600 nodes */
#define FIRST_READ (8 << 10)
#define LOOK_NS (100 * TS_NS_PER_MS)
#define LOOK_MISSING_NS (2 * TS_NS_PER_S)

enum { COPY_A, COPY_B, LARGE, PLACES };

static uint8_t copies[2][COPY_MAX] __attribute__((aligned(64)));
static struct ts_map places[PLACES] = {
	[COPY_A] = { copies[0], COPY_MAX, NULL }, [COPY_B] = { copies[1], COPY_MAX, NULL }, [LARGE] = { NULL, TS_MAP_FILE_MAX, NULL },
};

/*
 * When the look began that a thread is at; 0: none is. Who is at it is the only writer of what stands below. No ts_lock, which makes system
 * calls: programs that have nothing to do with a tailnet come here, too. A look that takes too long was cut off, by a fork or a longjmp.
 */
static int64_t looking;
#define LOOK_LIMIT_NS (2 * TS_NS_PER_S)
static const struct ts_map *current;
static unsigned sequence;
/* In one line of the cache. */
static struct {
	int64_t settled;	/* until then, if it is less than LOOK_NS away, neither file nor age need be looked at */
	unsigned version;	/* raised when `current` is another map's, so that what was read before it can be told */
} kept __attribute__((aligned(16)));
static uint32_t owner;	/* of the file that is in use */
static int64_t looked;
static int last_error = -EAGAIN;	/* nobody has looked yet */
static struct identity {
	uint64_t dev, ino, size;
	int64_t mtime;
} seen;

int64_t ts_live_now(void)
{
	struct timespec t = { 0, 0 };

	ts_real()->clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return t.tv_sec * TS_NS_PER_S + t.tv_nsec;
}

static const struct ts_map *in_use(void)
{
	return __atomic_load_n(&current, __ATOMIC_ACQUIRE);
}

/* Reads a small map into the buffer that no lookup uses. 0, -EFBIG where it is not small, or why it is no map. */
static int copy_small(int fd, const struct stat *st, struct ts_map *place)
{
	uint8_t *buf = (uint8_t *)place->base;
	size_t len = (uint64_t)st->st_size < FIRST_READ ? (size_t)st->st_size : FIRST_READ;
	struct ts_map m = { buf, len, NULL };
	int ret = ts_map_read(fd, buf, len);
	uint32_t data_len;

	if (ret)
		return ret;
	data_len = ((const struct ts_map_header *)buf)->data_len;
	if (data_len > COPY_MAX)
		return -EFBIG;
	if (data_len > len) {
		len = data_len;
		ret = ts_map_read(fd, buf, len);
	}
	m.len = len;
	return ret ? ret : ts_map_check(&m);
}

static int copy_large(int fd, const struct stat *st, struct ts_map *place)
{
	struct ts_map m;
	long p;
	int ret = ts_map_attach(fd, st, false, &m);

	if (ret)
		return ret;
	if (!place->base) {
		place->base = m.base;
		place->proof = m.proof;
		return 0;
	}
	p = ts_sys(SYS_mremap, m.base, TS_MAP_ROOM, TS_MAP_ROOM, MREMAP_MAYMOVE | MREMAP_FIXED, place->base);
	if (p >= 0 || p < -4095)
		return 0;
	ts_map_unload(&m);
	return (int)p;
}

static int take_in(int fd, const struct stat *st)
{
	const struct ts_map *old = in_use();
	struct ts_map *place = &places[old == &places[COPY_A] ? COPY_B : COPY_A];
	int ret;

	__atomic_add_fetch(&sequence, 1, __ATOMIC_SEQ_CST);
	ret = copy_small(fd, st, place);
	if (ret == -EFBIG) {
		place = &places[LARGE];
		ret = copy_large(fd, st, place);
	}
	__atomic_add_fetch(&sequence, 1, __ATOMIC_SEQ_CST);
	if (ret == 0) {
		__atomic_store_n(&current, place, __ATOMIC_RELEASE);
		__atomic_store_n(&owner, st->st_uid, __ATOMIC_RELAXED);
		__atomic_add_fetch(&kept.version, 1, __ATOMIC_RELEASE);
	}
	return ret;
}

static struct identity identify(const struct stat *st)
{
	return (struct identity){ st->st_dev, st->st_ino, (uint64_t)st->st_size,
				  st->st_mtim.tv_sec * TS_NS_PER_S + st->st_mtim.tv_nsec };
}

/* 0: there is another file than the one in use; 1: there is not; else -errno. This and the next keep their stat off the log's stack. */
static __attribute__((noinline)) int look(const char *path)
{
	struct identity now;
	struct stat st;
	int ret;

	if (!in_use())
		return 0;
	ret = (int)ts_sys(SYS_newfstatat, AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW);
	if (ret)
		return ret;
	now = identify(&st);
	return memcmp(&now, &seen, sizeof(now)) == 0;
}

static __attribute__((noinline)) int take_in_path(const char *path)
{
	struct stat st;
	int fd = ts_map_open(path, &st), ret;

	if (fd < 0)
		return fd;
	seen = identify(&st);
	ret = take_in(fd, &st);
	ts_sys(SYS_close, fd);
	return ret;
}

/* Between begin_look and end_look. True where another map was taken in. */
static bool follow(void)
{
	const char *path = ts_live_path();
	int ret = look(path);

	if (ret > 0)
		return false;
	if (ret == 0)
		ret = take_in_path(path);
	if (ret && ret != last_error)
		ts_log(ret == -ENOENT ? TS_LOG_DEBUG : TS_LOG_WARN, "map %s: %e: %s", path, -ret,
		       in_use() ? "still using the last good one" : "not used");
	__atomic_store_n(&last_error, ret, __ATOMIC_RELAXED);
	return ret == 0;
}

static bool begin_look(int64_t now)
{
	int64_t since = __atomic_load_n(&looking, __ATOMIC_RELAXED);

	return !(since && ts_live_within(now, since, LOOK_LIMIT_NS)) &&
	       __atomic_compare_exchange_n(&looking, &since, now, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* Waits for another thread's look. */
static void await_look(void)
{
	static const struct timespec brief = { .tv_nsec = TS_NS_PER_MS };

	while (!begin_look(ts_live_now()))
		ts_sys(SYS_nanosleep, &brief, NULL);
}

static void end_look(void)
{
	__atomic_store_n(&looking, 0, __ATOMIC_SEQ_CST);
}

bool ts_live_look(void)
{
	bool changed;

	if (ts_live_path()[0] == '\0' || ts_sandboxed())
		return false;
	await_look();
	changed = !ts_sandboxed() && follow();
	__atomic_store_n(&looked, ts_live_now(), __ATOMIC_RELAXED);
	end_look();
	return changed;
}

void ts_live_keep(void)
{
	if (ts_live_path()[0] == '\0')
		return;
	await_look();
	follow();
	end_look();
}

static void look_if_due(int64_t now)
{
	int64_t last = __atomic_load_n(&looked, __ATOMIC_RELAXED);
	bool some = in_use() != NULL, gone = !some || __atomic_load_n(&last_error, __ATOMIC_RELAXED) != 0;

	if (ts_live_within(now, last, gone ? LOOK_MISSING_NS : LOOK_NS) || ts_live_path()[0] == '\0')
		return;
	/* One thread looks and the others go on with what there is; where there is none yet, they wait for it. */
	if (!some)
		await_look();
	else if (!__atomic_compare_exchange_n(&looked, &last, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED) || !begin_look(now))
		return;
	last = __atomic_load_n(&looked, __ATOMIC_RELAXED);
	if (!ts_sandboxed() && (some || !ts_live_within(now, last, LOOK_MISSING_NS))) {
		follow();
		__atomic_store_n(&looked, now, __ATOMIC_RELAXED);
	}
	end_look();
}

int ts_live_error(void)
{
	int err = ts_live_path()[0] ? __atomic_load_n(&last_error, __ATOMIC_RELAXED) : -ENOENT, barred = ts_live_barred();

	if (in_use())
		return 0;
	return err == -ENOENT && barred ? barred : err;
}

bool ts_live_is_foreign(void)
{
	return in_use() && __atomic_load_n(&owner, __ATOMIC_RELAXED) != (uint32_t)ts_sys(SYS_geteuid);
}

int64_t ts_live_made(void)
{
	const struct ts_map *m = in_use();
	int64_t made = 0;

	if (m)
		__builtin_memcpy(&made, m->base + offsetof(struct ts_map_header, made_ns), sizeof(made));
	return made;
}

struct view {
	const struct ts_map *map;
	unsigned sequence;
};

static bool open_view(struct view *v)
{
	v->sequence = __atomic_load_n(&sequence, __ATOMIC_ACQUIRE);
	v->map = in_use();
	return v->map != NULL;
}

static bool torn(const struct view *v)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&sequence, __ATOMIC_RELAXED) != v->sequence;
}

/* One look at the clock serves both the file's and the map's age; a datagram to an address that is known not to be ours asks no more. */
static void keep_up(void)
{
	int64_t now, last;

	if (ts_sandboxed())
		return;
	now = ts_live_now();
	if (__builtin_expect((uint64_t)(__atomic_load_n(&kept.settled, __ATOMIC_RELAXED) - now) < LOOK_NS, 1))
		return;
	look_if_due(now);
	last = __atomic_load_n(&looked, __ATOMIC_RELAXED);
	__atomic_store_n(&kept.settled, (ts_live_within(now, last, LOOK_NS) ? last : now) + LOOK_NS, __ATOMIC_RELAXED);
}

/* Runs `expr` over `v.map` until no replacement came between; -ENOENT (as `none`) without a map. */
#define CONSISTENT(v, ret, none, expr) \
	do { \
		(ret) = (none); \
		if (!open_view(&(v))) \
			break; \
		(ret) = (expr); \
	} while (torn(&(v)))

int ts_live_header(struct ts_map_header *out)
{
	struct view v;
	int ret;

	keep_up();
	CONSISTENT(v, ret, -ENOENT, (memcpy(out, v.map->base, sizeof(*out)), 0));
	return ret;
}

int ts_live_flags(uint32_t *flags)
{
	struct view v;
	int ret;

	keep_up();
	CONSISTENT(v, ret, -ENOENT, (*flags = ((const struct ts_map_header *)v.map->base)->flags, 0));
	return ret;
}

unsigned ts_live_version(void)
{
	keep_up();
	return __atomic_load_n(&kept.version, __ATOMIC_ACQUIRE);
}

int ts_live_find_name(const char *name, size_t len, struct ts_map_answer *out)
{
	struct view v;
	int ret;

	keep_up();
	CONSISTENT(v, ret, -ENOENT, ts_map_find_name(v.map, name, len, out));
	return ret;
}

int ts_live_find_addr(const uint8_t ip[16], struct ts_map_answer *out)
{
	struct view v;
	int ret;

	keep_up();
	CONSISTENT(v, ret, -ENOENT, ts_map_find_addr(v.map, ip, out));
	return ret;
}

int ts_live_find_flags(const uint8_t ip[16], uint32_t *flags)
{
	struct view v;
	int ret;

	*flags = 0;
	keep_up();
	CONSISTENT(v, ret, -ENOENT, ts_map_find_flags(v.map, ip, flags));
	return ret;
}

int ts_live_find_range(const uint8_t ip[16], struct ts_map_range *out)
{
	struct view v;
	int ret;

	keep_up();
	CONSISTENT(v, ret, -ENOENT, ts_map_find_range(v.map, ip, out));
	return ret;
}

int ts_live_endpoint(unsigned i, struct ts_endpoint *out)
{
	struct view v;
	int ret;

	CONSISTENT(v, ret, -ENOENT, ts_map_endpoint(v.map, i, out));
	return ret;
}

size_t ts_live_name_under_suffix(const char *name, size_t len)
{
	struct view v;
	size_t ret;

	CONSISTENT(v, ret, 0, ts_map_name_under_suffix(v.map, name, len));
	return ret;
}

bool ts_live_name_far(const char *name, size_t len, char out[TS_NAME_MAX + 1])
{
	struct view v;
	bool ret;

	CONSISTENT(v, ret, false, ts_map_name_far(v.map, name, len, out));
	return ret;
}

size_t ts_live_name_remote(const char *name, size_t len)
{
	struct view v;
	size_t ret;

	keep_up();
	CONSISTENT(v, ret, 0, ts_map_name_remote(v.map, name, len));
	return ret;
}

int ts_live_find_split(const char *name, size_t len, struct ts_split *out)
{
	struct view v;
	int ret;

	keep_up();
	CONSISTENT(v, ret, -ENOENT, ts_map_find_split(v.map, name, len, out));
	return ret;
}

/* Not in ts_live_own_addr, for its frame. */
static __attribute__((noinline)) int own_addr(int family, struct ts_addr *out)
{
	struct ts_map_answer self;
	struct view v;
	int ret;

	CONSISTENT(v, ret, -ENOENT, ts_map_self(v.map, &self));
	if (ret <= 0)
		return ret;
	for (unsigned i = 0; i < self.count; i++) {
		if (ts_ip_is4(self.ip[i]) != (family == AF_INET))
			continue;
		memcpy(out->ip, self.ip[i], sizeof(out->ip));
		out->port = 0;
		return 1;
	}
	return 0;
}

int ts_live_own_addr(int family, struct ts_addr *out)
{
	keep_up();
	return own_addr(family, out);
}

bool ts_live_is_own(const uint8_t ip[16])
{
	uint32_t flags;

	return ts_live_find_flags(ip, &flags) == 1 && flags & TS_NODE_SELF;
}
