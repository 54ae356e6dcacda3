/* SPDX-License-Identifier: MIT */
/* A plugin that does nothing itself: the library that it needs does. */
#include <sys/socket.h>

int plugin_dial(int type, const struct sockaddr *to, socklen_t len);
int plugin_needs_dial(int type, const struct sockaddr *to, socklen_t len);

int plugin_needs_dial(int type, const struct sockaddr *to, socklen_t len)
{
	return plugin_dial(type, to, len);
}
