/* SPDX-License-Identifier: MIT */
/*
 * LocalAPI on a unix socket: HTTP, one request to a connection. Besides what the daemon has, /sim/OPTION?VALUE applies
 * an option of ours to the running world, so that a test can change the tailnet under those who watch it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sim.h"

#define HEAD_MAX 8192

struct request {
	struct ts_sim_event ev;
	char head[HEAD_MAX + 1];
	size_t len;
	char *reply;
	size_t reply_len, sent;
	struct request *next_watcher;
	bool watches;	/* stays open: a line for each change */
};

#define MASK_NETMAP (1ul << 3)	/* NotifyInitialNetMap */
/* What a watcher must ask for, or it is told nothing of its peers (NotifyPeerChanges, NotifyPeerPatches). */
#define MASK_PEERS (1ul << 12 | 1ul << 15)

static struct ts_sim_event listener = { .fd = -1 };
static char socket_path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
static struct request *watchers;

static void end(struct request *q)
{
	for (struct request **at = &watchers; *at; at = &(*at)->next_watcher)
		if (*at == q) {
			*at = q->next_watcher;
			break;
		}
	ts_sim_event_close(&q->ev);
	free(q->reply);
	q->reply = NULL;
	ts_sim_free_later(q);
}

static void send_reply(struct request *q)
{
	while (q->sent < q->reply_len) {
		ssize_t n = send(q->ev.fd, q->reply + q->sent, q->reply_len - q->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			ts_sim_watch(&q->ev, EPOLLOUT);
			return;
		}
		if (n < 0)
			break;
		q->sent += (size_t)n;
	}
	if (!q->watches || q->sent < q->reply_len) {
		end(q);
		return;
	}
	free(q->reply);
	q->reply = NULL;
	ts_sim_watch(&q->ev, EPOLLIN);
}

/* ipn.State */
static int state_number(void)
{
	static const char *const names[] = { "NoState", "InUseOtherUser", "NeedsLogin", "NeedsMachineAuth", "Stopped", "Starting",
					     "Running" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(names[i], ts_sim_world.state) == 0)
			return (int)i;
	return 0;
}

/* A change of peers reaches those who asked for it, any other all. Who does not read is dropped, as by the daemon. */
static void notify(const char *line, bool peers)
{
	struct request *next;

	for (struct request *q = watchers; q; q = next) {
		const char *mask = strstr(q->head, "mask=");

		next = q->next_watcher;
		if (peers && !(mask && strtoul(mask + 5, NULL, 10) & MASK_PEERS))
			continue;
		if (q->reply || send(q->ev.fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)strlen(line))
			end(q);
	}
}

/* "/sim/OPTION?VALUE " */
static bool change(char *request)
{
	char *name = request, *value = strchr(name, '?'), *stop = strchr(name, ' ');
	char line[80];
	bool peers;

	if (!value || !stop || value > stop)
		return false;
	*value++ = '\0';
	*stop = '\0';
	if (ts_sim_options_apply(name, value) != 0)
		return false;
	peers = strcmp(name, "node") == 0 || strcmp(name, "many") == 0;
	if (strcmp(name, "state") == 0)
		snprintf(line, sizeof(line), "{\"Version\":\"sim\",\"State\":%d}\n", state_number());
	else
		snprintf(line, sizeof(line), "{\"Version\":\"sim\",\"%s\":%s}\n",
			 strncmp(name, "accept-", 7) == 0 ? "Prefs" : peers ? "PeersChanged" : "SelfChange",
			 peers ? "[]" : "{}");
	notify(line, peers);
	return true;
}

static void watch(struct request *q)
{
	FILE *out = open_memstream(&q->reply, &q->reply_len);
	const char *mask = strstr(q->head, "mask=");

	fprintf(out, "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nTailscale-Cap: 106\r\n\r\n"
		"{\"Version\":\"sim\",\"SessionID\":\"1\",\"State\":%d", state_number());
	if (mask && strtoul(mask + 5, NULL, 10) & MASK_NETMAP) {
		fputs(",\"NetMap\":{\"Domain\":\"a \\\"DNS\\\":{ }}\",\"DNS\":", out);
		ts_sim_dns_write(out, true);
		fputs(",\"PacketFilter\":[{}]}", out);
	}
	fputs("}\n", out);
	fclose(out);
	q->watches = true;
	q->next_watcher = watchers;
	watchers = q;
	send_reply(q);
}

/* Who "addr=IP:PORT" (or IP) is: a tailnet address, or the loopback source of a connection that we made. */
static const struct ts_sim_node *whois(const char *query)
{
	const char *arg = strstr(query, "addr=");
	char text[128], *out = text;
	struct ts_addr addr;
	bool with_port;

	if (!arg)
		return NULL;
	/* Of percent-encoding only what addresses need: colon and brackets. */
	for (arg += 5; *arg && *arg != '&' && *arg != ' ' && out < text + sizeof(text) - 1; arg++) {
		char hex[3] = { arg[0] == '%' ? arg[1] : '\0', arg[0] == '%' && arg[1] ? arg[2] : '\0', '\0' };

		*out++ = hex[0] ? (char)strtol(hex, NULL, 16) : *arg;
		arg += hex[1] ? 2 : 0;
	}
	*out = '\0';
	with_port = ts_addr_parse_hostport(text, strlen(text), &addr);
	if (!with_port && !ts_addr_parse(text, strlen(text), &addr))
		return NULL;
	if (with_port && ts_ip_is_loopback(addr.ip))
		return strstr(query, "proto=udp") ? NULL : ts_sim_dial_whois(addr.port);
	return ts_sim_world_node_at(addr.ip);
}

static void answer(struct request *q)
{
	char *body = NULL;
	size_t body_len = 0;
	const char *status = "200 OK", *type = "application/json";
	const struct ts_sim_node *node = NULL;
	FILE *f, *out;

	ts_sim_stats.localapi++;
	ts_sim_say("LocalAPI %.*s", (int)strcspn(q->head, "\r"), q->head);
	if (strncmp(q->head, "GET /localapi/v0/watch-ipn-bus", 30) == 0) {
		watch(q);
		return;
	}
	f = open_memstream(&body, &body_len);
	out = open_memstream(&q->reply, &q->reply_len);
	if (strncmp(q->head, "GET /localapi/v0/status", 23) == 0) {
		ts_sim_status_write(f);
	} else if (strncmp(q->head, "GET /localapi/v0/prefs ", 23) == 0) {
		ts_sim_prefs_write(f);
	} else if (strncmp(q->head, "GET /localapi/v0/dns-config ", 28) == 0 && !ts_sim_world.old_api) {
		ts_sim_dns_write(f, false);
	} else if (strncmp(q->head, "GET /sim/", 9) == 0 && change(q->head + 9)) {
		type = "text/plain";
	} else if (strncmp(q->head, "GET /localapi/v0/whois?", 23) == 0) {
		node = whois(q->head);
		if (node) {
			ts_sim_whois_write(f, node);
		} else {
			status = "404 Not Found";
			type = "text/plain; charset=utf-8";
			fputs("no match for IP:port\n", f);
		}
	} else {
		status = "404 Not Found";
		type = "text/plain; charset=utf-8";
		fputs("404 page not found\n", f);
	}
	fclose(f);
	fprintf(out, "HTTP/1.%c %s\r\nContent-Type: %s\r\nTailscale-Cap: 106\r\nTailscale-Version: 1.102.5-sim\r\n"
		"Content-Length: %zu\r\nConnection: close\r\n\r\n", strstr(q->head, "HTTP/1.0") ? '0' : '1', status, type,
		body_len);
	fwrite(body, 1, body_len, out);
	fclose(out);
	free(body);
	send_reply(q);
}

static void on_request(struct ts_sim_event *ev, uint32_t events)
{
	struct request *q = ev->owner;
	char ignored[256];
	ssize_t n;

	(void)events;
	if (q->reply) {
		send_reply(q);
		return;
	}
	n = q->watches ? recv(ev->fd, ignored, sizeof(ignored), 0) : recv(ev->fd, q->head + q->len, HEAD_MAX - q->len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end(q);
		return;
	}
	if (q->watches)
		return;
	q->len += (size_t)n;
	q->head[q->len] = '\0';
	if (strstr(q->head, "\r\n\r\n"))
		answer(q);
	else if (q->len == HEAD_MAX)
		end(q);
}

static void on_listener(struct ts_sim_event *ev, uint32_t events)
{
	int fd = accept4(ev->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct request *q;

	(void)events;
	if (fd < 0)
		return;
	q = ts_sim_alloc(sizeof(*q));
	q->ev = (struct ts_sim_event){ .fn = on_request, .owner = q, .fd = fd };
	ts_sim_watch(&q->ev, EPOLLIN);
}

int ts_sim_localapi_listen(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	strcpy(sa.sun_path, path);
	listener.fn = on_listener;
	listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener.fd < 0)
		return -errno;
	unlink(path);
	if (bind(listener.fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(listener.fd, 128) < 0)
		return -errno;
	/* As the daemon's: any local user may ask for the status. */
	chmod(path, 0666);
	strcpy(socket_path, path);
	ts_sim_watch(&listener, EPOLLIN);
	return 0;
}

void ts_sim_localapi_close(void)
{
	ts_sim_event_close(&listener);
	if (socket_path[0])
		unlink(socket_path);
}
