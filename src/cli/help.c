/* SPDX-License-Identifier: MIT */
/* The launcher's words. No stdio: it would double the start-up that every use pays. */
#include "help.h"

#include <string.h>

#include "tsproxy/buf.h"
#include "tsproxy/sys.h"

#define PART_MAX 400	/* of one string in a message: a name without end leaves room for what is wrong with it */

static const char help_text[] =
	"Usage: tsproxy [options] [--] command [arguments]\n"
	"Runs a command so that it reaches the tailnet through an unprivileged tailscaled.\n"
	"\n"
	"      --socks5 HOST:PORT      the daemon's SOCKS5 proxy (else found on 1055 or 1080)\n"
	"      --http-proxy HOST:PORT  the daemon's HTTP proxy, where there is no SOCKS5\n"
	"      --status FILE|-         names from this `tailscale status` output, not from a daemon\n"
	"      --socket PATH           the daemon's socket\n"
	"  -p, --profile NAME          settings and names of another tailnet\n"
	"      --route CIDR            also send this range to the tailnet (again and again)\n"
	"      --exclude CIDR          never send this range to the tailnet (again and again)\n"
	"      --remote-name SUFFIX    names that the far side resolves (again and again)\n"
	"      --exit-node             also carry what the selected exit node's route covers\n"
	"      --mode auto|preload     how a program is reached\n"
	"      --log LEVEL[:FILE]      error, warn, info or debug, to standard error or FILE\n"
	"      --json                  where a sub-command prints\n"
	"  -h, --help                  this text        -V, --version\n"
	"\n"
	"Sub-commands (after -- a first word is always a program):\n"
	"  run      the same as none          status   the tailnet's nodes, as programs see them\n"
	"  sync     ask the daemon now        resolve  what a name or an address stands for\n"
	"  help     this text, or COMMAND's   version  which tsproxy this is\n"
	"\n"
	"Exit status: the command's; 127 not found, 126 cannot be run or served, 2 wrong use.\n"
	"TSPROXY_DISABLE=1 switches everything off. More: man 1 tsproxy, man 7 tsproxy.\n";

static void write_all(int fd, const char *p, size_t n)
{
	while (n) {
		long done = ts_sys(SYS_write, fd, p, n);

		if (done <= 0)
			return;
		p += done;
		n -= (size_t)done;
	}
}

void ts_help_print(void)
{
	write_all(1, help_text, sizeof(help_text) - 1);
}

void ts_help_version(int json)
{
	static const char plain[] = "tsproxy " TSPROXY_VERSION "\n";
	static const char object[] = "{\"version\":\"" TSPROXY_VERSION "\"}\n";

	if (json)
		write_all(1, object, sizeof(object) - 1);
	else
		write_all(1, plain, sizeof(plain) - 1);
}

void ts_say_parts(const char *const *parts)
{
	char line[2048];
	struct ts_wr w = ts_wr_over(line, sizeof(line) - 1);	/* room for the newline, whatever was cut */

	ts_wr_str(&w, "tsproxy: ");
	for (; *parts; parts++) {
		size_t n = strnlen(*parts, PART_MAX + 1);

		ts_wr_bytes(&w, *parts, n > PART_MAX ? PART_MAX : n);
		if (n > PART_MAX)
			ts_wr_str(&w, "...");
	}
	line[w.len++] = '\n';
	write_all(2, line, w.len);
}
