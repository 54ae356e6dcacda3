/* SPDX-License-Identifier: MIT */
/* Where things lie by custom: see conf.h. The library looks for a daemon in the same places as the tools. */
#include <string.h>

#include "tsproxy/buf.h"
#include "tsproxy/conf.h"

/* The variable's value and `rest` behind it; false where it holds no absolute path. */
static bool below(char *const envp[], const char *variable, const char *rest, char *out, size_t cap)
{
	const char *dir = ts_env_get(envp, variable);
	struct ts_wr w = ts_wr_over(out, cap);

	if (!dir || dir[0] != '/')
		return false;
	ts_wr_str(&w, dir);
	ts_wr_str(&w, rest);
	return ts_wr_end(&w);
}

bool ts_conf_user_file(char *const envp[], char *out, size_t cap)
{
	return below(envp, "XDG_CONFIG_HOME", "/tsproxy/tsproxy.conf", out, cap) ||
	       below(envp, "HOME", "/.config/tsproxy/tsproxy.conf", out, cap);
}

bool ts_conf_own_path(char *const envp[], const char *file, char *out, size_t cap)
{
	const char *profile = ts_env_get(envp, "TSPROXY_PROFILE");
	bool other = profile && strcmp(profile, "default") != 0 && ts_conf_profile_ok(profile);
	struct ts_wr w;

	if (!below(envp, "HOME", "/.local/share/tsproxy", out, cap))
		return false;
	w = ts_wr_over(out, cap);
	w.len = strlen(out);
	if (other) {
		ts_wr_u8(&w, '/');
		ts_wr_str(&w, profile);
	}
	if (*file) {
		ts_wr_u8(&w, '/');
		ts_wr_str(&w, file);
	}
	return ts_wr_end(&w);
}

const char *ts_conf_usual_socket(char *const envp[], unsigned i, char *buf, size_t cap)
{
	static const char *const fixed[] = {
		"/var/run/tailscale/tailscaled.sock", "/run/tailscale/tailscaled.sock",
		"/var/packages/Tailscale/var/tailscaled.sock",
		"/tmp/tailscaled.sock", /* Tailscale's own container image */
	};
	static const char *const users[][2] = {
		{ "HOME", "/.local/share/tailscale/tailscaled.sock" },
		{ "HOME", "/.config/tailscale/tailscaled.sock" },
		{ "XDG_RUNTIME_DIR", "/tailscale/tailscaled.sock" },
		{ "XDG_RUNTIME_DIR", "/tailscaled.sock" },
	};
	const size_t n = sizeof(fixed) / sizeof(*fixed), m = sizeof(users) / sizeof(*users);

	if (i-- == 0)
		return ts_conf_own_path(envp, "tailscaled.sock", buf, cap) ? buf : "";
	if (i < n)
		return fixed[i];
	if (i >= n + m)
		return NULL;
	return below(envp, users[i - n][0], users[i - n][1], buf, cap) ? buf : "";
}
