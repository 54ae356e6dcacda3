/* SPDX-License-Identifier: MIT */
/* Whether a config file has changed. Not part of the preloaded object, which reads the map alone. */
#include <string.h>
#include <sys/stat.h>

#include "tsproxy/conf.h"

#define MTIME_GRAIN_NS (10 * INT64_C(1000000))	/* file times follow the tick, up to 10 ms behind the clock */

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
