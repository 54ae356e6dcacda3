/* SPDX-License-Identifier: MIT */
/* Signals, listeners, and the line that says "ready". */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "sim.h"

static void on_signal(struct ts_sim_event *ev, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	if (read(ev->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGUSR1)
		ts_sim_stats_write();
	else if (info.ssi_signo == SIGUSR2)
		ts_sim_backlog_release();
	else
		ts_sim_loop_stop();
}

static int watch_signals(struct ts_sim_event *ev)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ev->fn = on_signal;
	ev->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (ev->fd < 0)
		return -errno;
	ts_sim_watch(ev, EPOLLIN);
	return 0;
}

static int listen_all(void)
{
	static const char *const names[] = { "", "socks5", "http", "proxy", "inbound" };
	char text[TS_ADDR_TEXT_MAX];

	printf("ready");
	for (unsigned i = 0; i < ts_sim_options.listen_count; i++) {
		const struct ts_sim_listen_spec *spec = &ts_sim_options.listen[i];
		struct ts_sim_listener *l = ts_sim_listen(spec->kind, &spec->addr);

		if (!l) {
			ts_addr_format(&spec->addr, text);
			fprintf(stderr, "\ntsproxy-sim: cannot listen on %s: %s\n", text, strerror(errno));
			return -EADDRINUSE;
		}
		if (spec->kind == TS_SIM_INBOUND) {
			l->forward = spec->forward;
			l->peer = ts_sim_world_node_named(spec->peer);
			if (!l->peer) {
				fprintf(stderr, "\ntsproxy-sim: no node %s\n", spec->peer);
				return -EINVAL;
			}
		}
		ts_addr_format(&l->addr, text);
		printf(" %s=%s", names[spec->kind], text);
	}
	if (ts_sim_options.localapi_path) {
		int err = ts_sim_localapi_listen(ts_sim_options.localapi_path);

		if (err < 0) {
			fprintf(stderr, "\ntsproxy-sim: cannot listen on %s: %s\n", ts_sim_options.localapi_path, strerror(-err));
			return err;
		}
		printf(" localapi=%s", ts_sim_options.localapi_path);
	}
	printf("\n");
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	struct ts_sim_event signals = { .fd = -1 };
	struct rlimit files;
	int err;

	(void)argc;
	err = ts_sim_options_parse(argv);
	if (err)
		return err < 0 ? 2 : 0;
	if (ts_sim_world.user && !ts_sim_world.pass)
		ts_sim_world.pass = "";
	ts_sim_world_finish();
	if (ts_sim_options.status_only) {
		ts_sim_status_write(stdout);
		return 0;
	}
	if (ts_sim_options.die_with_parent)
		prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	err = ts_sim_loop_init();
	if (!err)
		err = watch_signals(&signals);
	if (!err)
		err = listen_all();
	if (!err)
		err = ts_sim_loop_run();
	ts_sim_stats_write();
	ts_sim_localapi_close();
	return err ? 1 : 0;
}
