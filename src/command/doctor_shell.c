/* SPDX-License-Identifier: MIT */
/* This environment: who else takes part, whether a program is supported, and what people type first and in vain. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cli/program.h"
#include "doctor.h"
#include "verdict.h"

static void judge_preloaded(struct ts_doctor *d, const char *entry)
{
	static const char *const rivals[] = { "proxychains", "torsocks", "tsocks", "libdsocks", "graftcp" };

	for (size_t i = 0; i < sizeof(rivals) / sizeof(*rivals); i++)
		if (strstr(entry, rivals[i])) {
			ts_doctor_add(d, TS_WARN, "conflict", "%s is preloaded as well: connections could go through two proxies"
							      "\nremove it from LD_PRELOAD", entry);
			return;
		}
	if (!strstr(entry, "libtsproxy.so"))
		ts_doctor_add(d, TS_NOTE, "preload", "%s is preloaded as well, and stays\n", entry);
}

static void preloads(struct ts_doctor *d)
{
	const char *at = getenv("LD_PRELOAD");
	bool ours = false;

	while (at && *at) {
		size_t len = strcspn(at, ": ");
		char entry[4096];

		snprintf(entry, sizeof(entry), "%.*s", (int)len, at);
		ours |= strstr(entry, "libtsproxy.so") != NULL;
		if (len)
			judge_preloaded(d, entry);
		at += len + (at[len] != '\0');
	}
	if (ours)
		ts_doctor_add(d, TS_OK, "shell", "tsproxy is active in this shell\n");
	else
		ts_doctor_add(d, TS_NOTE, "shell", "tsproxy is not active in this shell\n"
						   "tsproxy -- COMMAND, or eval \"$(tsproxy env)\" for all of them");
}

static bool is_ours(const struct ts_doctor *d, const struct ts_endpoint *proxy)
{
	struct ts_endpoint e;

	for (unsigned i = 0; d->have_map && ts_map_endpoint(&d->map, i, &e) == 1; i++)
		if (ts_addr_equal(&e.addr, &proxy->addr))
			return true;
	return false;
}

/* NO_PROXY keeps the tailnet's names away from that proxy, as far as a glance tells. */
static bool left_out(const struct ts_doctor *d)
{
	const char *no = getenv("no_proxy"), *end;
	char suffix[TS_NAME_MAX + 1] = "";

	if (!no || !*no)
		no = getenv("NO_PROXY");
	if (d->have_map)
		ts_map_suffix(&d->map, suffix);
	end = strstr(suffix, ".ts.net");
	return no && (strcmp(no, "*") == 0 || (suffix[0] && strstr(no, suffix)) || (end && strstr(no, end)));
}

static void proxy_variables(struct ts_doctor *d)
{
	static const char *const names[] = { "ALL_PROXY", "all_proxy", "http_proxy", "https_proxy", "HTTPS_PROXY" };
	char at[TS_ADDR_TEXT_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *value = getenv(names[i]);
		struct ts_endpoint e;

		if (!value || !*value)
			continue;
		if (!ts_proxy_parse_url(value, i < 2 ? TS_PROXY_SOCKS5 : TS_PROXY_HTTP, &e)) {
			ts_doctor_add(d, TS_WARN, "environment", "%s is not a URL of a proxy that tsproxy supports, or its host"
								 " does not resolve\ncorrect or unset it", names[i]);
			continue;
		}
		ts_addr_format(&e.addr, at);
		if (!is_ours(d, &e) && ts_ip_is_loopback(e.addr.ip) && ts_probe(&e) == TS_PROBE_NOBODY)
			ts_doctor_add(d, TS_WARN, "environment", "%s is %s, where nothing listens: programs that use it cannot"
				      " connect\nunset it, or start a proxy there", names[i], at);
		else if (is_ours(d, &e) || ts_ip_is_loopback(e.addr.ip))
			ts_doctor_add(d, TS_OK, "environment", "%s is %s: programs that use it connect to that proxy"
							       " themselves\n", names[i], at);
		else if (left_out(d))
			ts_doctor_add(d, TS_OK, "environment", "%s is %s, and NO_PROXY excludes the tailnet\n", names[i],
				      at);
		else
			ts_doctor_add(d, TS_WARN, "environment", "%s is %s: programs that use it send requests for the"
				      " tailnet to that proxy\nadd .ts.net and 100.64.0.0/10 to NO_PROXY", names[i], at);
	}
	if (getenv("PROXYCHAINS_CONF_FILE") && getenv("LD_PRELOAD") && strstr(getenv("LD_PRELOAD"), "proxychains"))
		ts_doctor_add(d, TS_WARN, "conflict", "this shell runs under proxychains\nexit from it; tsproxy replaces it");
	if (ts_options_disabled())
		ts_doctor_add(d, TS_WARN, "environment", "TSPROXY_DISABLE is set: tsproxy is switched off\nunset it");
}

void ts_doctor_shell(struct ts_doctor *d)
{
	preloads(d);
	proxy_variables(d);
}

void ts_doctor_program(struct ts_doctor *d, const char *name)
{
	char file[PATH_MAX], safe[512];
	struct ts_program p;
	int err = ts_program_find(name, getenv("PATH"), file);

	ts_tool_printable(name, strlen(name), safe, sizeof(safe));
	if (err) {
		ts_doctor_add(d, TS_FAIL, "program", "%s: %s\n", safe, err == -ENOENT ? "command not found" : strerror(-err));
		return;
	}
	ts_program_check(file, getenv("PATH"), &p);
	if (p.verdict == TS_PROGRAM_OK)
		ts_doctor_add(d, TS_OK, "program", "%s (%s) is supported\n", safe, file);
	else
		ts_doctor_add(d, p.verdict == TS_PROGRAM_UNREADABLE ? TS_WARN : TS_FAIL, "program", "%s%s%s %s\n%s", safe,
			      strcmp(p.culprit, name) == 0 ? "" : ": ", strcmp(p.culprit, name) == 0 ? "" : p.culprit,
			      ts_verdict_text(p.verdict), ts_verdict_remedy(p.verdict, d->conf.map_path));
}

void ts_doctor_answers(struct ts_doctor *d)
{
	if (!d->reachable)
		return;
	ts_doctor_add(d, TS_NOTE, "ping", "ping NODE cannot work: proxies do not support ICMP\n"
					  "use tsproxy tailscale ping NODE, or tsproxy doctor NODE:PORT");
	ts_doctor_add(d, TS_NOTE, "dig", "dig and nslookup query DNS servers directly and find no tailnet names\n"
					 "use tsproxy resolve NODE, or tsproxy -- getent hosts NODE");
}
