/* SPDX-License-Identifier: MIT */
/* The launcher's words. No stdio: it would double the start-up that every use pays. */
#include "help.h"

#include <errno.h>
#include <string.h>

#include "environ.h"
#include "tsproxy/sys.h"
#include "tsproxy/version.h"

static const char help_text[] =
	"Usage: tsproxy [options] [--] command [arguments]\n"
	"Runs a command so that it reaches the tailnet through a userspace tailscaled.\n"
	"  --socks5 HOST:PORT      the daemon's SOCKS5 proxy (else found: 1055, 1080)\n"
	"  --http-proxy HOST:PORT  the daemon's HTTP proxy, where there is no SOCKS5\n"
	"  --status FILE|-         names from this `tailscale status` output\n"
	"  --socket PATH           the daemon's socket\n"
	"  -p, --profile NAME      settings and names of another tailnet\n"
	"  --route, --exclude CIDR  also, or never, send this range to the tailnet\n"
	"  --remote-name SUFFIX    names that the far side resolves\n"
	"  --dns-route SUFFIX=IP   names that this name server knows\n"
	"  --exit-node             also carry what the selected exit node's route covers\n"
	"  --mode auto|preload     how a program is reached;  --dry-run: only say it\n"
	"  --log LEVEL[:FILE]      error, warn, info or debug, to standard error or FILE\n"
	"  --require  fail where nothing leads to the tailnet;  -v  say what does\n"
	"  --json  where a sub-command prints      -h, --help      -V, --version\n"
	"Sub-commands (beside run, help, version; after -- a first word is a program):\n"
	"  up, down a daemon without root      logs, tailscale  its log, its own program\n"
	"  doctor   find what is wrong         status   the tailnet's nodes\n"
	"  sync     ask the daemon now         resolve  what a name stands for, and why\n"
	"  env      activate it in a shell     explain  what would be done for a command\n"
	"  trace    a line for each connection config   the settings' origins\n"
	"Exit status: the command's; 127 not found, 126 not supported, 2 wrong use.\n"
	"TSPROXY_DISABLE=1 switches everything off. More: help COMMAND, man tsproxy.\n";

/* 0, or 1 where it could not be written (said). */
static int put(const char *p, size_t n)
{
	while (n) {
		long done = ts_sys(SYS_write, 1, p, n);

		if (done == -EINTR)
			continue;
		if (done <= 0) {
			ts_say("standard output: ", strerror(done ? (int)-done : EIO));
			return 1;
		}
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

int ts_help_print(void)
{
	return put(help_text, sizeof(help_text) - 1);
}

int ts_help_version(int json)
{
	char *line = ts_join("tsproxy ", ts_version, "\n");

	return json ? put(ts_version_json, strlen(ts_version_json)) : put(line, strlen(line));
}
