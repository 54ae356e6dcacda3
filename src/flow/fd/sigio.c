/* SPDX-License-Identifier: MIT */
/*
 * O_ASYNC on a socket whose connection is being made: see sigio.h.
 *
 * The kernel signals every stage of the connection to the proxy. The program shall hear of one, the proxy's last answer, which is also
 * what makes it look at the socket, so that the handshake goes on. The owner is taken away while the first stages pass, which is
 * within connect(): a local proxy answers the greeting at once. O_ASYNC itself stays, for other threads may change the flags.
 */
#include "sigio.h"

#include <errno.h>
#include <signal.h>

#include "tsproxy/sys.h"

void ts_sigio_hold(int fd, long file_flags, struct ts_sigio *s)
{
	const struct f_owner_ex nobody = { F_OWNER_PID, 0 };

	s->held = file_flags & O_ASYNC && ts_sys(SYS_fcntl, fd, F_GETOWN_EX, &s->owner) == 0 && s->owner.pid != 0;
	if (s->held)
		ts_sys(SYS_fcntl, fd, F_SETOWN_EX, &nobody);
}

static void raise_signal(int fd, const struct f_owner_ex *owner)
{
	long sig = ts_sys(SYS_fcntl, fd, F_GETSIG);

	if (sig <= 0)
		sig = SIGIO;
	if (owner->type == F_OWNER_TID)
		ts_sys(SYS_tkill, owner->pid, sig);
	else
		ts_sys(SYS_kill, owner->type == F_OWNER_PGRP ? -owner->pid : owner->pid, sig);
}

void ts_sigio_release(int fd, const struct ts_sigio *s, bool tell)
{
	if (!s->held)
		return;
	ts_sys(SYS_fcntl, fd, F_SETOWN_EX, &s->owner);
	if (tell)
		raise_signal(fd, &s->owner);
}
