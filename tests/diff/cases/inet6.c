/* SPDX-License-Identifier: MIT */
/* AF_INET6 sockets: mapped targets, V6ONLY, scope and flow, and what getsockname makes of them. */
#include "../case.h"

static int sock6(int flags) { return socket(AF_INET6, SOCK_STREAM | flags, 0); }
static const struct sockaddr *mapped(int port) { return at_family(AF_INET6, true, PEER, port); }
static const struct sockaddr *plain6(int port) { return at_family(AF_INET6, false, PEER, port); }

static int only6(int fd, int on) { return setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)); }

CASE(v6only_mapped) { int fd = sock6(0); T(only6(fd, 1)); T(connect(fd, mapped(ECHO), 28)); fd = sock6(SOCK_NONBLOCK); T(only6(fd, 1)); T(connect(fd, mapped(ECHO), 28)); show_poll(fd, POLLIN | POLLOUT, 0); }
CASE(v6only_plain) { int fd = sock6(0); T(only6(fd, 1)); T(connect(fd, plain6(ECHO), 28)); show_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY"); show_peer(fd); show_name(fd); show_echo(fd); }
CASE(v6only_plain_nonblocking) { int fd = sock6(SOCK_NONBLOCK); T(only6(fd, 1)); T(connect(fd, plain6(ECHO), 28)); show_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY"); show_poll(fd, POLLOUT, LONG); show_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY"); show_echo(fd); }
CASE(v6only_refused) { int fd = sock6(SOCK_NONBLOCK); T(only6(fd, 1)); T(connect(fd, plain6(REFUSED), 28)); show_poll(fd, POLLIN | POLLOUT | POLLRDHUP, LONG); show_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY"); show_so_error(fd); }
CASE(v6only_set_while_pending) { int fd = sock6(SOCK_NONBLOCK); T(connect(fd, plain6(ECHO), 28)); T(only6(fd, 1)); T(only6(fd, 0)); wait_connected(fd); T(only6(fd, 1)); show_echo(fd); }
CASE(v6only_bound)
{
	int fd = sock6(0);
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };

	T(only6(fd, 1));
	T(bind(fd, (struct sockaddr *)&any, sizeof(any)));
	T(connect(fd, plain6(ECHO), 28));
	show_peer(fd);
	show_echo(fd);
}
CASE(bound_any)
{
	int fd = sock6(0);
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };

	T(bind(fd, (struct sockaddr *)&any, sizeof(any)));
	T(connect(fd, plain6(ECHO), 28));
	show_peer(fd);
	show_name(fd);
	fd = sock6(0);
	T(bind(fd, (struct sockaddr *)&any, sizeof(any)));
	T(connect(fd, mapped(ECHO), 28));
	show_peer(fd);
	show_name(fd);
	show_echo(fd);
}

CASE(scope_and_flow)
{
	int fd = sock6(0);
	struct sockaddr_in6 a;

	memcpy(&a, plain6(ECHO), sizeof(a));
	a.sin6_scope_id = 77;
	a.sin6_flowinfo = htonl(0x12345);
	T(connect(fd, (struct sockaddr *)&a, sizeof(a)));
	show_peer(fd);
	show_name(fd);
	show_echo(fd);
}

CASE(any_address_is_self)
{
	int fd = sock6(0);
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(4999) };

	T(connect(fd, (struct sockaddr *)&any, sizeof(any)));
}

CASE(v4_address_on_v6_socket) { int fd = sock6(SOCK_NONBLOCK); T(connect(fd, at_family(AF_INET, false, PEER, ECHO), 16)); show_poll(fd, POLLIN | POLLOUT, 0); T(connect(fd, mapped(ECHO), 28)); wait_connected(fd); show_peer(fd); show_name(fd); show_echo(fd); }
CASE(second_connect_other_family_back) { int fd = sock6(SOCK_NONBLOCK); T(connect(fd, plain6(REFUSED), 28)); wait_connected(fd); T(connect(fd, mapped(ECHO), 28)); T(connect(fd, mapped(ECHO), 28)); wait_connected(fd); show_so_error(fd); show_peer(fd); show_name(fd); show_echo(fd); }
CASE(options) { int fd = sock6(SOCK_NONBLOCK); T(connect(fd, plain6(ECHO), 28)); show_option(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS"); show_option(fd, IPPROTO_IPV6, IPV6_TCLASS, "IPV6_TCLASS"); show_option(fd, SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN"); show_option(fd, IPPROTO_IPV6, IPV6_ADDRFORM, "IPV6_ADDRFORM"); wait_connected(fd); show_option(fd, SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN"); show_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY"); }

/* Java: AF_INET6 sockets for everything, closed by dup2 of a marker. */
CASE(java_style)
{
	int sv[2], fd = sock6(SOCK_NONBLOCK);

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	T(only6(fd, 0));
	T(connect(fd, mapped(ECHO), 28));
	show_poll(fd, POLLOUT, LONG);
	show_so_error(fd);
	set_nonblock(fd, false);
	show_name(fd);
	show_peer(fd);
	show_echo(fd);
	T(dup2(sv[0], fd) == fd);
	show_peer(fd);
	T(close(fd));
	fd = sock6(SOCK_NONBLOCK);
	T(connect(fd, mapped(SILENT), 28));
	T(dup2(sv[0], fd) == fd);
	show_poll(fd, POLLIN | POLLOUT, 0);
	T(close(fd));
}
