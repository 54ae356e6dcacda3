/* SPDX-License-Identifier: MIT */
/*
 * Placeholders: see remote.h. The table is a file beside the map, remote.names, of slots of fixed size; a slot's number
 * makes the address. A name's slot is the first from its hash on that is its own or free; none is ever given back, so what was found
 * stays true and a search without a lock finds it. Who takes a free slot holds a record lock on remote.lock, which ends with its
 * holder.
 *
 * The file is read and written, not mapped: a full disk is then an error and no SIGBUS, and nothing of it lives in the
 * program. Each slot proves itself (magic, hash); one that is damaged is nobody's.
 */
#include "tsproxy/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "beside.h"
#include "tsproxy/guard.h"
#include "tsproxy/hash.h"
#include "tsproxy/log.h"
#include "tsproxy/name_kind.h"
#include "tsproxy/names.h"
#include "tsproxy/split.h"
#include "tsproxy/scratch.h"
#include "tsproxy/sys.h"

#define SLOTS 16384u
#define MAGIC 0x316e7374u	/* tsn1 */
#define LOCK_TRIES 200
#define LOCK_PAUSE_NS 1000000

struct slot {
	uint64_t hash;
	uint32_t magic;
	uint32_t len;
	char name[TS_NAME_MAX + 1];
	uint8_t rest[512 - 16 - TS_NAME_MAX - 1];
};
_Static_assert(sizeof(struct slot) == 512, "slots do not cross pages, and their place in the file is their number times this");

static bool is_valid(const struct slot *s)
{
	return s->magic == MAGIC && s->len && s->len <= TS_NAME_MAX && ts_fnv64(TS_FNV64_INIT, s->name, s->len) == s->hash;
}

/* 1 read, 0 nothing was ever written there, or -errno. */
static int read_slot(int fd, unsigned index, struct slot *s)
{
	long n = ts_sys(SYS_pread64, fd, s, sizeof(*s), (off_t)(index * sizeof(*s)));

	if (n < 0)
		return (int)n;
	return n == sizeof(*s) && (s->magic || s->len || s->hash);
}

/* From *index on: 1 it is there, 0 that slot is free, or -errno. */
static int search(int fd, const struct slot *wanted, unsigned *index)
{
	struct slot s;

	for (unsigned tries = 0; tries < SLOTS; tries++) {
		int ret = read_slot(fd, *index, &s);

		if (ret <= 0)
			return ret;
		if (is_valid(&s) && s.len == wanted->len && memcmp(s.name, wanted->name, s.len) == 0)
			return 1;
		*index = (*index + 1) % SLOTS;
	}
	return -ENOSPC;
}

static int lock(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct timespec pause = { 0, LOCK_PAUSE_NS };
	long ret = -EAGAIN;

	for (int i = 0; i < LOCK_TRIES && ret == -EAGAIN; i++) {
		if (i)
			ts_sys(SYS_nanosleep, &pause, NULL);
		ret = ts_sys(SYS_fcntl, fd, F_OFD_SETLK, &l);
	}
	return (int)ret;
}

/* Said aloud, because a child that another thread makes meanwhile shares the description. */
static void unlock(int fd)
{
	struct flock l = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	ts_sys(SYS_fcntl, fd, F_OFD_SETLK, &l);
}

/* Somebody may have been faster, with this name or with another in its slot. */
static int take(int fd, const struct slot *wanted, unsigned *index)
{
	int ret = search(fd, wanted, index);
	long n;

	if (ret == 0 && (*index + 1) * sizeof(*wanted) > ts_file_limit()) {
		ret = -EFBIG;
	} else if (ret == 0) {
		n = ts_sys(SYS_pwrite64, fd, wanted, sizeof(*wanted), (off_t)(*index * sizeof(*wanted)));
		ret = n == sizeof(*wanted) ? 1 : n < 0 ? (int)n : -ENOSPC;
	}
	return ret;
}

static int open_file(const char *suffix, int flags, bool shared)
{
	char *path = ts_scratch_get(TS_BESIDE_PATH_MAX);
	int fd = -ENOENT;

	if (!path)
		return -ENOMEM;
	if (!ts_sandboxed() && ts_beside_folder_path(path, "remote", suffix))
		fd = ts_beside_open(path, flags, shared);
	ts_scratch_put(path, TS_BESIDE_PATH_MAX);
	return fd;
}

static int open_table(int flags)
{
	return open_file(".names", flags, true);
}

static int find_or_take(const struct slot *wanted, unsigned *index)
{
	int fd = open_table(O_RDONLY), ret = fd == -ENOENT ? 0 : fd, lock_fd;

	if (fd >= 0) {
		ret = search(fd, wanted, index);
		ts_sys(SYS_close, fd);
	}
	if (ret)
		return ret;
	lock_fd = open_file(".lock", O_RDWR | O_CREAT, false);
	if (lock_fd < 0)
		return lock_fd;
	ret = lock(lock_fd);
	fd = ret ? ret : open_table(O_RDWR | O_CREAT);
	if (fd >= 0) {
		ret = take(fd, wanted, index);
		ts_sys(SYS_close, fd);
	}
	unlock(lock_fd);
	ts_sys(SYS_close, lock_fd);
	return fd < 0 ? fd : ret;
}

int ts_remote_address(const char *name, size_t len, uint8_t ip[16])
{
	struct slot wanted;
	unsigned index;
	uint8_t ip4[4] = { 198, 19 };
	struct ts_addr a;
	int ret;

	memset(&wanted, 0, sizeof(wanted));
	if (len && name[len - 1] == '.')
		len--;
	if (len == 0 || len > TS_NAME_MAX)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		wanted.name[i] = ts_name_lower(name[i]);
	wanted.len = (uint32_t)len;
	wanted.magic = MAGIC;
	wanted.hash = ts_fnv64(TS_FNV64_INIT, wanted.name, len);
	index = (unsigned)(wanted.hash % SLOTS);
	ret = find_or_take(&wanted, &index);
	if (ret < 0) {
		ts_warn("%s: cannot store a placeholder address: %e", wanted.name, -ret);
		return ret;
	}
	ip4[2] = (uint8_t)(64 + (index >> 8));
	ip4[3] = (uint8_t)index;
	ts_addr_set4(&a, ip4, 0);
	memcpy(ip, a.ip, 16);
	return 0;
}

/* The longest of the list that is the name, or the end of it behind a dot. */
static size_t in_list(const char *list, const char *name, size_t len)
{
	size_t longest = 0;

	while (*list) {
		size_t n = 0, skip = 0;

		while (list[n] && list[n] != ',')
			n++;
		while (skip < n && list[skip] == '.')
			skip++;
		if (n - skip > longest && ts_name_under(name, len, list + skip, n - skip))
			longest = n - skip;
		list += n + (list[n] == ',');
	}
	return longest;
}

/* Without a map the proxy is all that is known, and its far side the only one to know the tailnet's names. */
static bool proxy_alone(bool has_map)
{
	return !has_map && (ts_conf.socks5.set || ts_conf.http.set);
}

size_t ts_remote_wants(const char *name, size_t len, bool has_map)
{
	size_t own = ts_conf.remote_name[0] ? in_list(ts_conf.remote_name, name, len) : 0, other = 0;

	if (has_map)
		other = ts_live_name_remote(name, len);
	else if (proxy_alone(false))
		other = in_list("ts.net", name, len);
	return own > other ? own : other;
}

bool ts_remote_is_in_range(const uint8_t ip[16])
{
	return ts_ip_is4(ip) && ip[12] == 198 && ip[13] == 19 && (ip[14] & 0xc0) == 64;
}

bool ts_remote_is_placeholder(const uint8_t ip[16])
{
	struct ts_map_header h;
	bool has_map;

	if (!ts_remote_is_in_range(ip))
		return false;
	if (ts_conf.remote_name[0])
		return true;
	has_map = ts_live_header(&h) == 0;
	return has_map ? h.remotes.count && !(h.flags & TS_MAP_TUN) : proxy_alone(false);
}

/* Not in ts_remote_name, for its frame. */
static __attribute__((noinline)) bool read_name(int fd, unsigned i, char out[TS_NAME_MAX + 1])
{
	struct slot s;

	if (read_slot(fd, i, &s) != 1 || !is_valid(&s))
		return false;
	memcpy(out, s.name, s.len);
	out[s.len] = '\0';
	return true;
}

bool ts_remote_name(const uint8_t ip[16], char out[TS_NAME_MAX + 1])
{
	int fd = open_table(O_RDONLY);
	bool found = fd >= 0 && read_name(fd, (ip[14] & 0x3fu) << 8 | ip[15], out);

	if (fd >= 0)
		ts_sys(SYS_close, fd);
	return found;
}
