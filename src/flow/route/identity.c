/* SPDX-License-Identifier: MIT */
/*
 * See identity.h. Layout of the 32 bytes, numbers in network order:
 *
 *   0  u16 magic         2  u8 flags        3  u8 errno where the connection failed
 *   4  u16 kernel's local port: the record is void on any other connection that the same socket makes later
 *   6  u16 peer port     8  u16 local port
 *   10 peer address, then local address: what the longest of the prefixes in `forms` leaves of them. Where both do not fit, the local
 *      one is left out: it is this node's own then, which the map has.
 */
#include "tsproxy/identity.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "../fd/sock.h"
#include "tsproxy/buf.h"
#include "tsproxy/note.h"
#include "tsproxy/route.h"
#include "tsproxy/sys.h"

#define MAGIC TS_NOTE_IDENTITY
#define SIZE TS_NOTE_SIZE

enum { FLAG_LOCAL = 1, PEER_FORM_SHIFT = 2, LOCAL_FORM_SHIFT = 4, FORM_MASK = 3, FLAG_UNREPORTED = 64,
       FLAG_V6ONLY = 128 };

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };
/* Of a tailnet's addresses, fd7a:115c:a1e0::/48, the newer have zeros behind it. */
static const uint8_t tailnet_prefix[10] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 };

static const struct { const uint8_t *prefix; uint8_t prefix_len; } forms[] = {
	{ mapped_prefix, 12 }, { tailnet_prefix, 10 }, { tailnet_prefix, 6 }, { tailnet_prefix, 0 },
};

static unsigned form_of(const uint8_t ip[16])
{
	unsigned form = 0;

	while (memcmp(ip, forms[form].prefix, forms[form].prefix_len) != 0)
		form++;
	return form;
}

static void put_ip(struct ts_wr *w, const uint8_t ip[16], unsigned form)
{
	ts_wr_bytes(w, ip + forms[form].prefix_len, 16u - forms[form].prefix_len);
}

static void get_ip(struct ts_rd *r, uint8_t ip[16], unsigned form)
{
	const uint8_t *p = ts_rd_bytes(r, 16u - forms[form].prefix_len);

	memcpy(ip, forms[form].prefix, forms[form].prefix_len);
	if (p)
		memcpy(ip + forms[form].prefix_len, p, 16u - forms[form].prefix_len);
}

int ts_identity_write(int fd, const struct ts_identity *id)
{
	uint8_t record[SIZE] = { 0 };
	struct ts_wr w = ts_wr_over(record, SIZE), whole;
	unsigned peer = form_of(id->peer.ip), local = form_of(id->local.ip);
	unsigned flags = (id->unreported ? FLAG_UNREPORTED : 0) | (id->v6only ? FLAG_V6ONLY : 0) | peer << PEER_FORM_SHIFT;
	struct ts_addr kernel;

	if (!ts_sock_name(fd, SYS_getsockname, &kernel))
		return -ENOBUFS;
	ts_wr_be16(&w, MAGIC);
	ts_wr_u8(&w, (uint8_t)flags);
	ts_wr_u8(&w, (uint8_t)id->failed);
	ts_wr_be16(&w, kernel.port);
	ts_wr_be16(&w, id->peer.port);
	ts_wr_be16(&w, id->local.port);
	put_ip(&w, id->peer.ip, peer);
	whole = w;
	if (id->local_known) {
		put_ip(&w, id->local.ip, local);
		if (!w.bad)
			record[2] = (uint8_t)(flags | FLAG_LOCAL | local << LOCAL_FORM_SHIFT);
		else
			w = whole;
	}
	return ts_note_write(fd, record);
}

/* 1, 0 or -errno. */
static int read_record(int fd, struct ts_identity *id)
{
	uint8_t record[SIZE];
	struct ts_addr kernel;
	struct ts_rd r;
	unsigned flags;
	uint16_t port;
	int has = ts_note_read(fd, record);

	if (has <= 0)
		return has;
	r = ts_rd_over(record, SIZE);
	if (ts_rd_be16(&r) != MAGIC)
		return 0;
	memset(id, 0, sizeof(*id));
	flags = ts_rd_u8(&r);
	id->failed = ts_rd_u8(&r);
	port = ts_rd_be16(&r);
	id->peer.port = ts_rd_be16(&r);
	id->local.port = ts_rd_be16(&r);
	get_ip(&r, id->peer.ip, flags >> PEER_FORM_SHIFT & FORM_MASK);
	if (flags & FLAG_LOCAL)
		get_ip(&r, id->local.ip, flags >> LOCAL_FORM_SHIFT & FORM_MASK);
	id->local_known = flags & FLAG_LOCAL;
	id->unreported = flags & FLAG_UNREPORTED;
	id->v6only = flags & FLAG_V6ONLY;
	if (r.bad)
		return 0;
	return ts_sock_name(fd, SYS_getsockname, &kernel) ? kernel.port == port : -ENOBUFS;
}

/* The same for a socket that the kernel says is connected to a proxy. */
static int read_connected(int fd, struct ts_identity *id)
{
	int has = read_record(fd, id);

	return has == 1 ? !id->failed && id->peer.port : has;
}

int ts_identity_read(int fd, struct ts_identity *id)
{
	struct ts_addr kernel;

	return ts_sock_name(fd, SYS_getpeername, &kernel) && ts_route_is_proxy(&kernel) ? read_connected(fd, id) : 0;
}

int ts_identity_read_any(int fd, struct ts_identity *id)
{
	struct ts_addr kernel;
	int has;

	if (ts_sock_name(fd, SYS_getpeername, &kernel))
		return ts_route_is_proxy(&kernel) ? read_connected(fd, id) : 0;
	has = read_record(fd, id);
	if (has <= 0 || id->failed || !id->peer.port)
		return has;
	/* Ended by both sides: a socket keeps its local address then, and loses it only when it is disconnected. */
	return ts_sock_name(fd, SYS_getsockname, &kernel) && !ts_ip_is_any(kernel.ip);
}

bool ts_identity_read_failed(int fd, struct ts_identity *id)
{
	struct ts_addr kernel;

	return !ts_sock_name(fd, SYS_getpeername, &kernel) && read_record(fd, id) == 1 && id->failed;
}
