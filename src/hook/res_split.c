/* SPDX-License-Identifier: MIT */
/* What the calls of resolv.h say of names in split DNS: the server's message, byte for byte as it came. */
#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "split_host.h"
#include "tsproxy/answer.h"
#include "tsproxy/dns_ask.h"
#include "tsproxy/dns_message.h"
#include "tsproxy/guard.h"
#include "tsproxy/name_kind.h"

/* Asks what stands in `w`; the length of the message, which may be more than was room for, or -errno. */
static int ask(struct ts_dns_work *w, const char *name, unsigned char *answer, int len)
{
	const struct ts_dns_ask *a = &w->ask[0];
	struct ts_split split;
	size_t size;
	int err;

	if (!ts_split_find(name, strlen(name), &split))
		return -EHOSTUNREACH;
	err = ts_dns_ask(w, &split);
	if (err)
		return err;
	size = a->reply_len < (size_t)len ? a->reply_len : (size_t)len;
	memcpy(answer, a->reply, size);
	if (size < a->reply_len)
		answer[2] |= 2;	/* TC, as libc marks what it cut */
	return (int)a->reply_len;
}

/* As libc's res_query judges a message. */
static int judge(const unsigned char *message)
{
	switch (ts_dns_rcode(message)) {
	case TS_DNS_NOERROR:
		return ts_dns_answer_count(message) ? 0 : NO_DATA;
	case TS_DNS_NXDOMAIN:
		return HOST_NOT_FOUND;
	case TS_DNS_SERVFAIL:
	case TS_DNS_REFUSED:
	case TS_DNS_NOTIMP:
		return TRY_AGAIN;
	default:
		return NO_RECOVERY;
	}
}

int ts_split_query(const char *name, int class, int type, unsigned char *answer, int len, int *herr)
{
	struct ts_dns_work *w = ts_dns_begin();
	int ret;

	if (!w) {
		*herr = NETDB_INTERNAL;
		return -1;
	}
	if (ts_dns_add(w, name, (uint16_t)type, (uint16_t)class)) {
		ret = ask(w, name, answer, len);
		*herr = ret < 0 ? TRY_AGAIN : judge(answer);
		if (ret < 0)
			ts_errno = -ret;
	} else {
		ret = -1;
		*herr = NO_RECOVERY;	/* as where no query can be made of it */
	}
	ts_dns_end(w);
	return ret;
}

int ts_split_send(const char *name, const unsigned char *query, int query_len, unsigned char *answer, int len)
{
	struct ts_dns_work *w = ts_dns_begin();
	int ret = -ENOMEM;

	if (w && len < TS_DNS_HEADER_LEN) {
		ret = -EINVAL;	/* as libc says of that */
		ts_dns_end(w);
	} else if (w) {
		ts_dns_add_query(w, query, (size_t)query_len);
		ret = query_len <= TS_DNS_MESSAGE_MAX ? ask(w, name, answer, len) : -EMSGSIZE;
		ts_dns_end(w);
	}
	if (ret >= 0)
		return ret;
	ts_errno = -ret;
	return -1;
}
