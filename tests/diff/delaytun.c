/* SPDX-License-Identifier: MIT */
/*
 * A road with a length: two network namespaces joined by two TUN devices, and this program between
 * them, which holds every packet for half the round trip.
 *
 * Not every kernel has netem, so the delay is made here. The current namespace is the client's; the
 * server's is a new one, in which COMMAND is started once both ends are up. Addresses are
 * NET4 + N and NET6 + N: 1 the client, 2 the server, 3 swallows everything, 4 answers "host
 * unreachable", 5 "network unreachable". Prints "ready" when packets flow; ends with COMMAND or with its standard input.
 *
 * usage: delaytun RTT_MS NET4 NET6 COMMAND [ARGS]	e.g. delaytun 200 100.64.0. fd7a:115c:a1e0:: peer
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 1600
#define QUEUE_LEN 65536	/* a power of two; full: dropped, as a road does */

enum { LAST_SILENT = 3, LAST_HOST_UNREACH, LAST_NET_UNREACH };

struct packet {
	uint64_t due_ns;
	size_t len;
	uint8_t *data;
};

struct queue {	/* the delay is constant, so first in is first due */
	int out_fd;
	unsigned head, tail;
	struct packet slot[QUEUE_LEN];
};

static struct queue to_server, to_client, refusals;
static uint64_t half_ns;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void run(const char *fmt, ...)
{
	char cmd[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd))
		errx(1, "failed: %s", cmd);
}

static void set_sysctl(const char *name, const char *value)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;	/* this kernel has no such knob: its own value then rules both worlds */
	if (write(fd, value, strlen(value)) < 0)
		warn("%s", path);
	close(fd);
}

static int open_tun(const char *net4, const char *net6, int last)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		err(77, "/dev/net/tun");
	strcpy(ifr.ifr_name, "road0");
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		err(77, "TUNSETIFF");
	run("ip link set lo up && ip link set road0 txqueuelen 20000 up");
	run("ip addr add %s%d/24 dev road0", net4, last);
	run("ip -6 addr add %s%d/64 dev road0 nodad", net6, last);
	set_sysctl("ipv4/tcp_syn_retries", "2");	/* a dead host is given up within seconds */
	set_sysctl("ipv4/tcp_max_syn_backlog", "16384");
	set_sysctl("core/somaxconn", "16384");
	set_sysctl("ipv4/tcp_syncookies", "0");
	set_sysctl("ipv4/ip_local_port_range", "16384 60999");
	set_sysctl("ipv4/tcp_tw_reuse", "1");
	return fd;
}

static void enqueue(struct queue *q, const uint8_t *data, size_t len, uint64_t delay_ns)
{
	struct packet *p = &q->slot[q->tail % QUEUE_LEN];

	if (q->tail - q->head == QUEUE_LEN)
		return;
	p->data = malloc(len);
	if (!p->data)
		return;
	memcpy(p->data, data, len);
	p->len = len;
	p->due_ns = now_ns() + delay_ns;
	q->tail++;
}

static void flush_due(struct queue *q)
{
	while (q->head != q->tail) {
		struct packet *p = &q->slot[q->head % QUEUE_LEN];

		if (p->due_ns > now_ns())
			return;
		if (write(q->out_fd, p->data, p->len) < 0 && errno == EAGAIN)
			return;
		free(p->data);
		q->head++;
	}
}

static uint16_t checksum(uint32_t sum, const uint8_t *p, size_t n)
{
	for (; n > 1; n -= 2, p += 2)
		sum += (uint32_t)p[0] << 8 | p[1];
	if (n)
		sum += (uint32_t)p[0] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* RFC 792: the IP header and the first eight bytes come back, from the address that was asked for. */
static void refuse4(const uint8_t *in, size_t len, uint8_t code)
{
	uint8_t out[128] = { 0x45 };
	size_t body = len < 28 ? len : 28;

	put16(out + 2, (uint16_t)(28 + body));
	out[8] = 64;
	out[9] = IPPROTO_ICMP;
	memcpy(out + 12, in + 16, 4);
	memcpy(out + 16, in + 12, 4);
	put16(out + 10, checksum(0, out, 20));
	out[20] = 3;
	out[21] = code;
	memcpy(out + 28, in, body);
	put16(out + 22, checksum(0, out + 20, 8 + body));
	enqueue(&refusals, out, 28 + body, 2 * half_ns);
}

/* RFC 4443, 3.1. */
static void refuse6(const uint8_t *in, size_t len, uint8_t code)
{
	uint8_t out[256] = { 0x60 };
	size_t body = len < 128 ? len : 128;
	uint32_t sum;

	put16(out + 4, (uint16_t)(8 + body));
	out[6] = IPPROTO_ICMPV6;
	out[7] = 64;
	memcpy(out + 8, in + 24, 16);
	memcpy(out + 24, in + 8, 16);
	out[40] = 1;
	out[41] = code;
	memcpy(out + 48, in, body);
	sum = (uint32_t)(8 + body) + IPPROTO_ICMPV6;
	for (int i = 8; i < 40; i += 2)
		sum += (uint32_t)out[i] << 8 | out[i + 1];
	put16(out + 42, checksum(sum, out + 40, 8 + body));
	enqueue(&refusals, out, 48 + body, 2 * half_ns);
}

static void from_client(const uint8_t *p, size_t len)
{
	bool v4 = p[0] >> 4 == 4;
	int last = v4 ? p[19] : p[39];

	if (len < (v4 ? 28 : 48) || (!v4 && p[24] == 0xff) || last == LAST_SILENT)
		return;
	if (last == LAST_HOST_UNREACH || last == LAST_NET_UNREACH) {
		if (v4)
			refuse4(p, len, last == LAST_HOST_UNREACH ? 1 : 0);
		else
			refuse6(p, len, last == LAST_HOST_UNREACH ? 3 : 0);
		return;
	}
	enqueue(&to_server, p, len, half_ns);
}

static int wait_ms(void)
{
	const struct queue *q[] = { &to_server, &to_client, &refusals };
	uint64_t first = UINT64_MAX, now = now_ns();

	for (int i = 0; i < 3; i++) {
		if (q[i]->head != q[i]->tail && q[i]->slot[q[i]->head % QUEUE_LEN].due_ns < first)
			first = q[i]->slot[q[i]->head % QUEUE_LEN].due_ns;
	}
	if (first == UINT64_MAX)
		return -1;
	return first <= now ? 1 : (int)((first - now) / 1000000 + 1);
}

static void carry(int client_fd, int server_fd)
{
	struct pollfd fds[] = { { client_fd, POLLIN, 0 }, { server_fd, POLLIN, 0 }, { 0, POLLIN, 0 } };
	uint8_t buf[PACKET_MAX];
	ssize_t n;

	to_server.out_fd = server_fd;
	to_client.out_fd = refusals.out_fd = client_fd;
	for (;;) {
		poll(fds, 3, wait_ms());
		while ((n = read(client_fd, buf, sizeof(buf))) > 0)
			from_client(buf, (size_t)n);
		while ((n = read(server_fd, buf, sizeof(buf))) > 0)
			enqueue(&to_client, buf, (size_t)n, half_ns);
		flush_due(&to_server);
		flush_due(&to_client);
		flush_due(&refusals);
		if (fds[2].revents && read(0, buf, sizeof(buf)) <= 0)
			return;
	}
}

static pid_t start(char *argv[])
{
	int ready[2];
	pid_t pid;
	char c;

	if (pipe(ready) < 0)
		err(1, "pipe");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(ready[1], 1);
		close(ready[0]);
		close(ready[1]);
		execv(argv[0], argv);
		err(127, "%s", argv[0]);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		errx(1, "%s did not come up", argv[0]);
	close(ready[0]);
	return pid;
}

int main(int argc, char *argv[])
{
	int client_fd, server_fd;
	pid_t pid;

	if (argc < 5)
		errx(2, "usage: delaytun RTT_MS NET4 NET6 COMMAND [ARGS]");
	half_ns = (uint64_t)atoi(argv[1]) * 500000u;
	client_fd = open_tun(argv[2], argv[3], 1);
	if (unshare(CLONE_NEWNET) < 0)
		err(77, "unshare");
	server_fd = open_tun(argv[2], argv[3], 2);
	pid = start(argv + 4);
	puts("ready");
	fflush(stdout);
	carry(client_fd, server_fd);
	kill(pid, SIGKILL);
	return 0;
}
