/* SPDX-License-Identifier: MIT */
/* proxychains' configuration, as far as tsproxy can do the same. */
#ifndef TSPROXY_COMMAND_CHAINS_H
#define TSPROXY_COMMAND_CHAINS_H

#include <stdbool.h>
#include <stdio.h>

struct ts_chains {
	char socks5[600], http[600];	/* [USER:PASSWORD@]HOST:PORT, "" for none */
	char exclude[2048];		/* localnet, as --exclude has it */
	bool quiet;
};

/* Reads a file that is open. 0, or -EINVAL where it wants what tsproxy does not do (said, with the line). */
int ts_chains_read(FILE *f, const char *path, struct ts_chains *out);

#endif
