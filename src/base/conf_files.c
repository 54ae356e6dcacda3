/* SPDX-License-Identifier: MIT */
/* Where the config files are, and whether one has changed. Not part of the preloaded object, which reads the map alone. */
#include <string.h>
#include <sys/stat.h>

#include "tsproxy/buf.h"
#include "tsproxy/conf.h"

#define MTIME_GRAIN_NS (10 * INT64_C(1000000))	/* file times follow the tick, up to 10 ms behind the clock */

bool ts_conf_user_file(char *const envp[], char *out, size_t cap)
{
	const char *xdg = ts_env_get(envp, "XDG_CONFIG_HOME"), *home = ts_env_get(envp, "HOME");
	struct ts_wr w = ts_wr_over(out, cap);

	if (xdg && xdg[0] == '/') {
		ts_wr_str(&w, xdg);
	} else if (home && home[0] == '/') {
		ts_wr_str(&w, home);
		ts_wr_str(&w, "/.config");
	} else {
		return false;
	}
	ts_wr_str(&w, "/tsproxy/tsproxy.conf");
	return ts_wr_end(&w);
}

static bool is_newer(const char *path, int64_t since_ns)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec + MTIME_GRAIN_NS > since_ns;
}

bool ts_conf_files_newer(char *const envp[], int64_t since_ns)
{
	const char *status = ts_env_get(envp, "TSPROXY_STATUS");
	char own[4096];

	return (status && *status && ts_conf_stream(status) < 0 && is_newer(status, since_ns)) ||
	       (ts_conf_user_file(envp, own, sizeof(own)) && is_newer(own, since_ns)) ||
	       is_newer(TS_CONF_SYSTEM_FILE, since_ns);
}
