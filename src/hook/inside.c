/* SPDX-License-Identifier: MIT */
/*
 * Functions that resolve names, connect, read or write by themselves, inside libc, where no hook is asked. What they would do with the
 * tailnet fails; all else is theirs.
 */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tsproxy/answer.h"
#include "tsproxy/fdtab.h"
#include "tsproxy/log.h"
#include "tsproxy/route.h"
#include "tsproxy/sys.h"

/* What the real function of that name says, or, where `refused` or this libc has none, -1 with `error`. */
#define UNLESS(refused, error, name, ...) \
	({ \
		__typeof__(name) *real_ = ts_real_loaded(#name); \
		(refused) || !real_ ? ts_result(-(error)) : real_(__VA_ARGS__); \
	})

/* Every libc has the descriptor (aio_fildes) in front. */
static bool is_carried(const struct aiocb *request)
{
	return ts_fd_is_carried(*(const int *)(const void *)request);
}

/* In threads of libc's own, whose read would see what comes from the proxy, and whose write would write between. */
#define REQUEST(name) \
	int name(struct aiocb *request) \
	{ \
		return UNLESS(is_carried(request), ENOSYS, name, request); \
	}
#define REQUESTS(name) \
	int name(int mode, struct aiocb *const list[], int n, struct sigevent *sig) \
	{ \
		bool carried = false; \
		for (int i = 0; i < n; i++) \
			carried |= list[i] && is_carried(list[i]); \
		return UNLESS(carried, ENOSYS, name, mode, list, n, sig); \
	}
REQUEST(aio_read)
REQUEST(aio_read64)
REQUEST(aio_write)
REQUEST(aio_write64)
REQUESTS(lio_listio)
REQUESTS(lio_listio64)

/* It cannot fail: nothing is written. */
void backtrace_symbols_fd(void *const *frames, int n, int fd)
{
	__typeof__(backtrace_symbols_fd) *real = ts_real_loaded("backtrace_symbols_fd");

	if (!ts_fd_is_carried(fd) && real)
		real(frames, n, fd);
}

void __backtrace_symbols_fd(void *const *frames, int n, int fd)
{
	backtrace_symbols_fd(frames, n, fd);
}

static __attribute__((noinline)) bool is_own_name(const char *host, int family)
{
	struct ts_map_answer a;

	return ts_names_ask(host, family, &a) != TS_ASK_LIBC;
}

/* Whether such a function would connect to the tailnet, or ask name servers that are not the tailnet's for what is. */
static bool leads_into_tailnet(const char *host)
{
	static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	bool ours;

	if (!ts_enabled() || !ts_plausible(host))
		return false;
	ours = is_own_name(host, AF_UNSPEC);
	if (!ours && getaddrinfo(host, NULL, &hints, &list) == 0) {
		for (const struct addrinfo *ai = list; ai && !ours; ai = ai->ai_next) {
			struct ts_addr to;

			ours = ts_addr_from_sockaddr(&to, ai->ai_addr, ai->ai_addrlen) && ts_route_decide(&to).verdict != TS_PASS;
		}
		freeaddrinfo(list);
	}
	if (ours)
		ts_info("%s: rcmd and rexec cannot connect to the tailnet", host);
	return ours;
}

int rcmd(char **host, unsigned short port, const char *local, const char *remote, const char *command, int *err_fd)
{
	return UNLESS(leads_into_tailnet(*host), EHOSTUNREACH, rcmd, host, port, local, remote, command, err_fd);
}

int rcmd_af(char **host, unsigned short port, const char *local, const char *remote, const char *command, int *err_fd, sa_family_t family)
{
	return UNLESS(leads_into_tailnet(*host), EHOSTUNREACH, rcmd_af, host, port, local, remote, command, err_fd, family);
}

int rexec(char **host, int port, const char *user, const char *password, const char *command, int *err_fd)
{
	return UNLESS(leads_into_tailnet(*host), EHOSTUNREACH, rexec, host, port, user, password, command, err_fd);
}

int rexec_af(char **host, int port, const char *user, const char *password, const char *command, int *err_fd, sa_family_t family)
{
	return UNLESS(leads_into_tailnet(*host), EHOSTUNREACH, rexec_af, host, port, user, password, command, err_fd, family);
}

/* Whether the host ID would be made of an address of the tailnet. */
static __attribute__((noinline)) bool asks_for_own_name(void)
{
	struct utsname host;

	return ts_enabled() && !ts_sandboxed() && ts_sys(SYS_faccessat, AT_FDCWD, "/etc/hostid", R_OK) != 0 && ts_sys(SYS_uname, &host) == 0 &&
	       is_own_name(host.nodename, AF_INET);
}

/* Where nobody set it, it is made of this machine's address, by its name. Where that is the tailnet's: 0, as where the name has none. */
long gethostid(void)
{
	__typeof__(gethostid) *real = ts_real_loaded("gethostid");

	return !real || asks_for_own_name() ? 0 : real();
}
