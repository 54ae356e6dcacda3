/* SPDX-License-Identifier: MIT */
/* needs: libuv1-dev pc:libuv */
/* needs: gcc gcc */
/* build: cc -Wall -Wextra -o {out}/run {file} $(pkg-config --cflags --libs libuv) */
/* run: {out}/run {host} {port} */
/* set: fast */
/* libuv: twenty connections at once, what each callback is told, and closing while connecting. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define MANY 20

static struct sockaddr_storage to;
static int statuses[MANY + 1], echoed, canceled;
static uv_timer_t limit;

struct one {
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_write_t write;
	int n;
	char got[16];
	size_t len;
};

static struct one all[MANY + 1];

static void give(uv_handle_t *h, size_t wanted, uv_buf_t *buf)
{
	struct one *o = h->data;

	(void)wanted;
	*buf = uv_buf_init(o->got + o->len, sizeof(o->got) - (unsigned)o->len);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct one *o = s->data;

	(void)buf;
	if (n > 0)
		o->len += (size_t)n;
	if (n < 0 || o->len == 5) {
		echoed += o->len == 5 && !memcmp(o->got, "hello", 5);
		uv_close((uv_handle_t *)s, NULL);
	}
}

static void on_connect(uv_connect_t *c, int status)
{
	struct one *o = c->data;
	uv_buf_t hello = uv_buf_init((char *)"hello", 5);

	statuses[o->n] = status;
	if (status == UV_ECANCELED) {
		canceled++;
	} else if (status < 0) {
		uv_close((uv_handle_t *)&o->tcp, NULL);
	} else {
		uv_write(&o->write, (uv_stream_t *)&o->tcp, &hello, 1, NULL);
		uv_read_start((uv_stream_t *)&o->tcp, give, on_read);
	}
}

static void on_limit(uv_timer_t *t)
{
	(void)t;
	for (int i = 0; i < MANY; i++) {
		if (!uv_is_closing((uv_handle_t *)&all[i].tcp))
			uv_close((uv_handle_t *)&all[i].tcp, NULL);
	}
}

int main(int argc, char *argv[])
{
	uv_loop_t *loop = uv_default_loop();
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	uv_getaddrinfo_t lookup;
	int status = argc < 3 ? UV_EINVAL : uv_getaddrinfo(loop, &lookup, NULL, argv[1], argv[2], &hints);

	if (status < 0) {
		printf("look-up: %s\n", uv_strerror(status));
		return 1;
	}
	memcpy(&to, lookup.addrinfo->ai_addr, lookup.addrinfo->ai_addrlen);
	uv_freeaddrinfo(lookup.addrinfo);
	for (int i = 0; i <= MANY; i++) {
		all[i].n = i;
		all[i].tcp.data = all[i].connect.data = &all[i];
		uv_tcp_init(loop, &all[i].tcp);
		status = uv_tcp_connect(&all[i].connect, &all[i].tcp, (struct sockaddr *)&to, on_connect);
		if (status < 0)
			printf("connect: %s\n", uv_strerror(status));
	}
	uv_close((uv_handle_t *)&all[MANY].tcp, NULL);
	uv_timer_init(loop, &limit);
	uv_timer_start(&limit, on_limit, 1000, 0);
	uv_unref((uv_handle_t *)&limit);
	uv_run(loop, UV_RUN_DEFAULT);
	for (int i = 0; i <= MANY; i++) {
		if (i == 0 || statuses[i] != statuses[i - 1])
			printf("from %d: %s\n", i, statuses[i] ? uv_strerror(statuses[i]) : "connected");
	}
	printf("echoed %d, canceled %d\n", echoed, canceled);
	return 0;
}
