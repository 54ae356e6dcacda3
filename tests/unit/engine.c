/* SPDX-License-Identifier: MIT */
/* See engine.h. The engine reads its settings when it is loaded: so the program starts the world, and then executes itself once more. */
#include "engine.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tsproxy/guard.h"
#include "tsproxy/map.h"
#include "tsproxy/real.h"
#include "tsproxy/route.h"
#include "tsproxy/sys.h"

#define PIPELINED_PORT 1080
#define STEPWISE_PORT 1081
#define SYNC_TRIES 10

/* --- the fake --- */

static _Thread_local struct engine_fault fault;
static _Thread_local int seen;
static _Thread_local bool failed;
static int leaks;
static struct ts_real real;

void engine_fail(const struct engine_fault *f)
{
	fault = *f;
	seen = 0;
	failed = false;
}

bool engine_failed(void)
{
	fault.call = -1;
	return failed;
}

int engine_leaks(void)
{
	return __atomic_load_n(&leaks, __ATOMIC_RELAXED);
}

/* Whether the call is to fail; errno is set then. */
static bool fails(long call)
{
	if (!fault.nth || fault.call != call)
		return false;
	seen++;
	if (seen != fault.nth && !(fault.lasting && seen > fault.nth))
		return false;
	failed = true;
	errno = fault.err;
	return true;
}

/* An address goes to the kernel; `err`: what the kernel says. Where there is no socket nothing leaves. */
static void look_at(const void *sa, size_t len, int err)
{
	struct ts_addr a;

	if (err != EBADF && err != ENOTSOCK && ts_plausible(sa) && ts_addr_from_sockaddr(&a, sa, (socklen_t)len) && ts_ip_is_tailscale(a.ip))
		__atomic_add_fetch(&leaks, 1, __ATOMIC_RELAXED);
}

static void look_at_message(const struct msghdr *m, int err)
{
	if (ts_plausible(m))
		look_at(m->msg_name, m->msg_namelen, err);
}

long ts_syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	int saved = errno;
	long r = fails(n) ? -1 : syscall(n, a, b, c, d, e, f);

	if (r == -1)
		r = -errno;
	errno = saved;
	if (n == SYS_connect)
		look_at((void *)b, (size_t)c, (int)-r);
	else if (n == SYS_sendto)
		look_at((void *)e, (size_t)f, (int)-r);
	else if (n == SYS_sendmsg)
		look_at_message((void *)b, (int)-r);
	return r;
}

/* A function of libc's that makes the call `number`; `look` sees what becomes of it. */
#define FAKE(result, name, params, number, look, ...) \
	static result fake_##name params \
	{ \
		result r = fails(number) ? -1 : real.name(__VA_ARGS__); \
\
		look; \
		return r; \
	}
#define ERR (r < 0 ? errno : 0)

FAKE(int, socket, (int domain, int type, int protocol), SYS_socket, (void)0, domain, type, protocol)
FAKE(int, connect, (int fd, const struct sockaddr *sa, socklen_t len), SYS_connect, look_at(sa, len, ERR), fd, sa, len)
FAKE(ssize_t, send, (int fd, const void *buf, size_t len, int flags), SYS_sendto, (void)0, fd, buf, len, flags)
FAKE(ssize_t, sendto, (int fd, const void *buf, size_t len, int flags, const struct sockaddr *sa, socklen_t sa_len), SYS_sendto,
     look_at(sa, sa_len, ERR), fd, buf, len, flags, sa, sa_len)
FAKE(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), SYS_sendmsg, look_at_message(m, ERR), fd, m, flags)
FAKE(int, sendmmsg, (int fd, struct mmsghdr *m, unsigned n, int flags), SYS_sendmmsg, look_at_message(&m->msg_hdr, ERR), fd, m, n, flags)
FAKE(ssize_t, recv, (int fd, void *buf, size_t len, int flags), SYS_recvfrom, (void)0, fd, buf, len, flags)
FAKE(ssize_t, recvfrom, (int fd, void *buf, size_t len, int flags, struct sockaddr *sa, socklen_t *sa_len), SYS_recvfrom, (void)0, fd,
     buf, len, flags, sa, sa_len)
FAKE(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), SYS_recvmsg, (void)0, fd, m, flags)
FAKE(int, recvmmsg, (int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t), SYS_recvmmsg, (void)0, fd, m, n, flags, t)
FAKE(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *len), SYS_getsockopt, (void)0, fd, level, name, value, len)
FAKE(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len), SYS_setsockopt, (void)0, fd, level, name, value,
     len)
FAKE(int, epoll_ctl, (int epfd, int op, int fd, struct epoll_event *ev), SYS_epoll_ctl, (void)0, epfd, op, fd, ev)
FAKE(int, ppoll, (struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *mask), SYS_ppoll, (void)0, p, n, t, mask)

static void take(void *libc, void **pointer, const char *name)
{
	void *p = strstr(name, "fork") ? NULL : dlsym(libc, name);

	if (p)
		*pointer = p;
}

/*
 * libc's own functions, past a sanitizer's: those would see an order between threads in what they say to the kernel, where the engine
 * has to see to it. fork and its like must be theirs.
 */
static void take_libcs(struct ts_real *table)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);

	if (!libc)
		return;
#define TS_HOOK(result, name, params) take(libc, (void **)&table->name, #name);
#include "../../src/sys/hooks.def"
}

static void stand_between(void)
{
	struct ts_real *table = &ts_real_state.table;

	ts_real();
	take_libcs(table);
	real = *table;
	table->socket = fake_socket;
	table->connect = fake_connect;
	table->send = fake_send;
	table->sendto = fake_sendto;
	table->sendmsg = fake_sendmsg;
	table->sendmmsg = fake_sendmmsg;
	table->recv = fake_recv;
	table->recvfrom = fake_recvfrom;
	table->recvmsg = fake_recvmsg;
	table->recvmmsg = fake_recvmmsg;
	table->getsockopt = fake_getsockopt;
	table->setsockopt = fake_setsockopt;
	table->epoll_ctl = fake_epoll_ctl;
	table->ppoll = fake_ppoll;
}

/* --- the world --- */

const struct sockaddr *engine_peer(enum engine_port port)
{
	static struct sockaddr_in to[3];
	struct sockaddr_in *sa = &to[port - ENGINE_ECHO];

	return (struct sockaddr *)sa;
}

static void name_peers(void)
{
	for (int port = ENGINE_ECHO; port <= ENGINE_SILENT; port++) {
		struct sockaddr_in *sa = (struct sockaddr_in *)engine_peer((enum engine_port)port);

		sa->sin_family = AF_INET;
		sa->sin_port = htons((uint16_t)port);
		inet_pton(AF_INET, "100.64.0.2", &sa->sin_addr);
	}
}

bool engine_is_peer(const struct sockaddr_in *sa, enum engine_port port)
{
	const struct sockaddr_in *peer = (const struct sockaddr_in *)engine_peer(port);

	return sa->sin_family == AF_INET && sa->sin_addr.s_addr == peer->sin_addr.s_addr && sa->sin_port == peer->sin_port;
}

void engine_use(enum engine_proxy which)
{
	ts_conf.socks5.addr.port = which == ENGINE_STEPWISE ? STEPWISE_PORT : PIPELINED_PORT;
}

static int listen_at(int type)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(ENGINE_ECHO), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 || (type == SOCK_STREAM && listen(fd, 512) != 0)) {
		perror("echo server");
		exit(1);
	}
	return fd;
}

/* What comes goes back. */
static void echo(int tcp, int udp)
{
	int ep = epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = tcp };

	epoll_ctl(ep, EPOLL_CTL_ADD, tcp, &ev);
	ev.data.fd = udp;
	epoll_ctl(ep, EPOLL_CTL_ADD, udp, &ev);
	while (epoll_wait(ep, &ev, 1, -1) == 1) {
		int fd = ev.data.fd;
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		char buf[2048];
		ssize_t n;

		if (fd == tcp) {
			ev.events = EPOLLIN;
			ev.data.fd = accept(tcp, NULL, NULL);
			epoll_ctl(ep, EPOLL_CTL_ADD, ev.data.fd, &ev);
			continue;
		}
		n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
		if (fd == udp)
			sendto(fd, buf, n < 0 ? 0 : (size_t)n, 0, (struct sockaddr *)&from, len);
		else if (n <= 0 || send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
			close(fd);
	}
}

static void start_echo(void)
{
	int tcp = listen_at(SOCK_STREAM), udp = listen_at(SOCK_DGRAM);

	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		echo(tcp, udp);
		_exit(1);
	}
	close(tcp);
	close(udp);
}

static char *in_build(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", getenv("TSPROXY_BUILD"), name);
	return path;
}

/* Starts tsproxy-sim with the tailnet and two more options; returns once it says that it is ready. */
static void start_sim(const char *port, const char *sock, const char *option)
{
	int out[2];
	char c;

	if (pipe(out) != 0)
		exit(1);
	if (fork() == 0) {
		dup2(out[1], 1);
		execl(in_build("tsproxy-sim"), "tsproxy-sim", "--die-with-parent", "--honest-codes", "--socks5", port, "--localapi", sock,
		      "--node", "here,100.64.0.1,self", "--node", "peer,100.64.0.2", "--fault", "100.64.0.2:4002,never", option, NULL);
		_exit(1);
	}
	close(out[1]);
	if (read(out[0], &c, 1) != 1) {
		fputs("tsproxy-sim did not start\n", stderr);
		exit(1);
	}
	close(out[0]);
}

static void make_map(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execl(in_build("tsproxy-sync"), "tsproxy-sync", NULL);
		_exit(1);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		fputs("tsproxy-sync made no map\n", stderr);
		exit(1);
	}
}

static void start_world(void)
{
	static char dir[] = "/tmp/tsproxy-unit-XXXXXX";

	if (!mkdtemp(dir))
		exit(1);
	strcpy(unit_dir, dir);
	setenv("TSPROXY_SOCKET", unit_path("sock"), 1);
	setenv("TSPROXY_MAP", unit_path("map"), 1);
	setenv("TSPROXY_SOCKS5", "127.0.0.1:1080", 1);
	start_echo();
	start_sim("1080", unit_path("sock"), "--one-write");
	start_sim("1081", unit_path("sock2"), "--no-pipeline");
	make_map();
	setenv("ENGINE_DIR", unit_dir, 1);
}

/* A machine that is busy may not see in time that the first proxy takes two messages at once. */
static bool knows_pipelining(void)
{
	struct ts_proxy p;

	return ts_route_proxy(true, false, &p) && p.flags & TS_PROXY_PIPELINE;
}

int engine_main(char **argv, Suite *(*suite)(void))
{
	const char *tries = getenv("ENGINE_TRIES");
	int n = tries ? atoi(tries) : 0, status;
	char text[16], path[128];

	if (!getenv("ENGINE_DIR"))
		start_world();
	else if (!knows_pipelining() && n < SYNC_TRIES)
		make_map();
	else
		n = -1;
	if (n >= 0) {
		snprintf(text, sizeof(text), "%d", n + 1);
		setenv("ENGINE_TRIES", text, 1);
		execv("/proc/self/exe", argv);
		return 1;
	}
	strcpy(unit_dir, getenv("ENGINE_DIR"));
	name_peers();
	stand_between();
	status = unit_run(suite());
	snprintf(path, sizeof(path), "rm -rf -- '%s'", unit_dir);
	return system(path) ? 1 : status;
}
