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
	"  --socks5 HOST:PORT      use this SOCKS5 proxy (default: search 1055 and 1080)\n"
	"  --http-proxy HOST:PORT  use this HTTP proxy if there is no SOCKS5 proxy\n"
	"  --status FILE|-         read names from this `tailscale status` output\n"
	"  --socket PATH           use the daemon with this socket\n"
	"  -p, --profile NAME      use other settings, for example for another tailnet\n"
	"  --route, --exclude CIDR  always, or never, use the proxy for this range\n"
	"  --remote-name SUFFIX    let the proxy resolve these names\n"
	"  --dns-route SUFFIX=IP   look up these names at this name server\n"
	"  --exit-node             use the proxy for what the selected exit node routes\n"
	"  --mode auto|preload     how to reach the command;  --dry-run  only show it\n"
	"  --log LEVEL[:FILE]      error, warn, info or debug, to standard error or FILE\n"
	"  --require  fail if the tailnet cannot be reached;  -v  show the proxy\n"
	"  --json  (sub-commands) print JSON       -h, --help      -V, --version\n"
	"Sub-commands (also run, help, version; after -- the first word is a program):\n"
	"  up, down start and stop a daemon    logs, tailscale  its log and its program\n"
	"  doctor   find problems              status   show the tailnet's nodes\n"
	"  sync     ask the daemon now         resolve  show what a name stands for\n"
	"  env      activate it in a shell     explain  show how a command would run\n"
	"  trace    show connections           config   show settings and their origin\n"
	"Exit status: the command's; 127 not found, 126 not supported, 2 usage error.\n"
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
