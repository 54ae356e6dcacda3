/* SPDX-License-Identifier: MIT */
/* The helpers of case.h: registration, printing, targets, sockets. Observations are in show.c. */
#include "case.h"

#include <stdarg.h>

#define CASES_MAX 1024

static struct diff_case cases[CASES_MAX];
static unsigned case_count;
bool case_mapped;

const int *case_arg;
const char *case_self;
char **case_args;
int case_family = AF_INET;
int rtt_ms = 200;
void *volatile nowhere = (void *)8;
volatile sig_atomic_t signals_seen;

static struct diff_case *add(const char *name, const char *suffix, void (*run)(void), const char *attr)
{
	struct diff_case *c;

	if (case_count == CASES_MAX)
		fail("too many cases");
	c = &cases[case_count++];
	snprintf(c->name, sizeof(c->name), "%s%s", name, suffix);
	c->run = run;
	c->attr = attr;
	c->family = AF_INET;
	return c;
}

void case_add(const char *name, void (*run)(void), const char *attr)
{
	add(name, "", run, attr);
}

void case_add_families(const char *name, void (*run)(void))
{
	struct diff_case *c;

	add(name, ".4", run, "");
	add(name, ".6", run, "")->family = AF_INET6;
	c = add(name, ".m", run, "");
	c->family = AF_INET6;
	c->mapped = true;
}

void case_add_arg(const char *name, void (*run)(void), const int *arg, const char *attr)
{
	add(name, "", run, attr)->arg = arg;
}

void say(const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	if (write(1, line, (size_t)n) != n)
		_exit(3);
}

void fail(const char *what)
{
	say("BROKEN CASE: %s: %s", what, err_name(errno));
	_exit(3);
}

const char *err_name(int err)
{
	const char *name = strerrorname_np(err);

	return name ? name : "?";
}

void say_result(const char *what, long result, int err)
{
	if (result == -1)
		say("%s = -1 %s", what, err_name(err));
	else if (err != ERRNO_UNTOUCHED)
		say("%s = %ld (errno became %s)", what, result, err_name(err));
	else
		say("%s = %ld", what, result);
}

static const char *bit_names(unsigned bits, bool with_flags)
{
	static const struct { unsigned bit; const char *name; } names[] = {
		{ POLLIN, "IN" }, { POLLPRI, "PRI" }, { POLLOUT, "OUT" }, { POLLERR, "ERR" }, { POLLHUP, "HUP" },
		{ POLLNVAL, "NVAL" }, { POLLRDNORM, "RDNORM" }, { POLLRDBAND, "RDBAND" }, { POLLWRNORM, "WRNORM" },
		{ POLLWRBAND, "WRBAND" }, { POLLRDHUP, "RDHUP" },
		{ EPOLLET, "ET" }, { EPOLLONESHOT, "ONESHOT" }, { EPOLLEXCLUSIVE, "EXCLUSIVE" },
	};
	static __thread char text[4][160];
	static __thread unsigned turn;
	char *out = text[turn++ % 4];

	out[0] = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(bits & names[i].bit) || (!with_flags && names[i].bit > 0xffff))
			continue;
		strcat(out, out[0] ? "|" : "");
		strcat(out, names[i].name);
		bits &= ~names[i].bit;
	}
	if (bits)
		sprintf(out + strlen(out), "|0x%x", bits);
	return out[0] ? out : "0";
}

const char *poll_names(unsigned events)
{
	return bit_names(events & 0xffff, false);
}

const char *epoll_names(unsigned events)
{
	return bit_names(events, true);
}

const char *addr_name(const struct sockaddr *sa, socklen_t len)
{
	static __thread char text[4][160];
	static __thread unsigned turn;
	char *out = text[turn++ % 4], ip[INET6_ADDRSTRLEN];
	const struct sockaddr_in *v4 = (const void *)sa;
	const struct sockaddr_in6 *v6 = (const void *)sa;
	int port = sa->sa_family == AF_INET ? ntohs(v4->sin_port) : ntohs(v6->sin6_port);
	char port_text[16];

	if (!len)
		return "nothing";
	if (port >= 16384)
		strcpy(port_text, "*");
	else
		snprintf(port_text, sizeof(port_text), "%d", port);
	if (sa->sa_family == AF_INET)
		snprintf(out, 160, "%s:%s len %u", inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip)), port_text, len);
	else if (sa->sa_family == AF_INET6)
		snprintf(out, 160, "[%s]:%s flow %u scope %u len %u", inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip)),
			 port_text, v6->sin6_flowinfo, v6->sin6_scope_id, len);
	else
		snprintf(out, 160, "family %d len %u", sa->sa_family, len);
	return out;
}

const char *bytes_name(const void *p, long n)
{
	static __thread char text[256];
	const unsigned char *b = p;
	size_t at = 0;

	for (long i = 0; i < n && at < sizeof(text) - 8; i++) {
		if (b[i] >= ' ' && b[i] < 127)
			text[at++] = (char)b[i];
		else
			at += (size_t)sprintf(text + at, "\\x%02x", b[i]);
	}
	text[at] = 0;
	return text;
}

const struct sockaddr *at_family(int family, bool mapped, enum host host, int port)
{
	static __thread struct sockaddr_storage ring[8];
	static __thread unsigned turn;
	struct sockaddr_storage *ss = &ring[turn++ % 8];
	struct sockaddr_in *v4 = (void *)ss;
	struct sockaddr_in6 *v6 = (void *)ss;
	char text[64];

	memset(ss, 0, sizeof(*ss));
	if (family == AF_INET) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		v4->sin_addr.s_addr = htonl(0x64400000u + host);
		return (struct sockaddr *)ss;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	snprintf(text, sizeof(text), mapped ? "::ffff:100.64.0.%d" : "fd7a:115c:a1e0::%d", host);
	inet_pton(AF_INET6, text, &v6->sin6_addr);
	return (struct sockaddr *)ss;
}

const struct sockaddr *at(enum host host, int port)
{
	return at_family(case_family, case_mapped, host, port);
}

socklen_t at_len(void)
{
	return case_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

int sock(int flags)
{
	int fd = socket(case_family, SOCK_STREAM | flags, 0);

	if (fd < 0)
		fail("socket");
	return fd;
}

int pending(enum host host, int port)
{
	int fd = sock(SOCK_NONBLOCK);

	if (connect(fd, TO(host, port)) == 0)
		say("connect returned 0 at once");
	else if (errno != EINPROGRESS)
		say("connect: %s", err_name(errno));
	return fd;
}

int connected(int flags, enum host host, int port)
{
	int fd = sock(0);

	if (connect(fd, TO(host, port)) < 0)
		say("connect: %s", err_name(errno));
	set_nonblock(fd, flags & SOCK_NONBLOCK);
	return fd;
}

void set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
		fail("F_SETFL");
}

void await(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, LONG) != 1)
		say("nothing came");
}

void *wait_connected(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (poll(&p, 1, LONG) != 1)
		say("never became writable");
	return NULL;
}

int quarters(int n)
{
	return n * rtt_ms / 4;
}

void nap(int n)
{
	int64_t ms = quarters(n);
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

const char *since(int64_t t0)
{
	static __thread char text[4][16];
	static __thread unsigned turn;
	char *out = text[turn++ % 4];

	snprintf(out, 16, "@%d", (int)((now_ms() - t0 + rtt_ms * 2 / 5) / rtt_ms));
	return out;
}

void say_span(const char *what, int64_t t0, int lo_quarters, int hi_quarters)
{
	int64_t ms = now_ms() - t0;

	if (ms >= quarters(lo_quarters) - 2 && ms <= quarters(hi_quarters))
		say("%s: @in time", what);
	else
		say("%s: @%dms", what, (int)ms);
}

static void count_signal(int sig)
{
	(void)sig;
	signals_seen++;
}

void on_signal(int sig, int flags)
{
	struct sigaction sa = { .sa_handler = count_signal, .sa_flags = flags };

	sigaction(sig, &sa, NULL);
}

struct delayed_signal {
	pthread_t to;
	int n_quarters, sig;
};

static void *send_delayed(void *arg)
{
	struct delayed_signal *d = arg;

	nap(d->n_quarters);
	pthread_kill(d->to, d->sig);
	free(d);
	return NULL;
}

void signal_after(int n_quarters, int sig)
{
	struct delayed_signal *d = malloc(sizeof(*d));
	sigset_t all, old;

	*d = (struct delayed_signal){ pthread_self(), n_quarters, sig };
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	pthread_detach(thread(send_delayed, d));
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

pthread_t thread(void *(*fn)(void *), void *arg)
{
	pthread_t t;
	int err = pthread_create(&t, NULL, fn, arg);

	if (err) {
		errno = err;
		fail("pthread_create");
	}
	return t;
}

void join(pthread_t t)
{
	pthread_join(t, NULL);
}

static int list(void)
{
	for (unsigned i = 0; i < case_count; i++)
		say("%s %s", cases[i].name, cases[i].attr);
	return 0;
}

int main(int argc, char *argv[])
{
	const char *rtt = getenv("DIFF_RTT_MS");

	if (argc < 2)
		return 2;
	if (!strcmp(argv[1], "--list"))
		return list();
	if (rtt)
		rtt_ms = atoi(rtt);
	case_self = argv[0];
	case_args = argv + 2;
	for (unsigned i = 0; i < case_count; i++) {
		if (strcmp(cases[i].name, argv[1]))
			continue;
		case_family = cases[i].family;
		case_mapped = cases[i].mapped;
		case_arg = cases[i].arg;
		cases[i].run();
		return 0;
	}
	return 2;
}
