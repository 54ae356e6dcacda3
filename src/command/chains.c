/* SPDX-License-Identifier: MIT */
/*
 * See chains.h. What would send bytes another way than the file asks is refused; what only tunes proxychains itself (time-outs, how it
 * resolves names) means nothing here and is passed over.
 */
#include "chains.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tsproxy/tool.h"

#define WORDS_MAX 6
#define SPACE " \t\r\n"

enum mode { MODE_DYNAMIC, MODE_STRICT, MODE_ROUND_ROBIN, MODE_RANDOM };
static const char *const modes[] = { "dynamic_chain", "strict_chain", "round_robin_chain", "random_chain" };

struct reader {
	const char *path;
	int line;
	bool in_list;
	enum mode mode;
	long chain_len;
	unsigned proxies;
	struct ts_chains *out;
};

static int refuse(const struct reader *r, const char *what, const char *why)
{
	ts_tool_error("%s:%d: %s: %s", r->path, r->line, what, why);
	return -EINVAL;
}

/* The length of an IPv4 mask, or -1. */
static int mask_length(const char *mask)
{
	struct ts_addr a;
	uint32_t bits;
	int n = 0;

	if (!ts_addr_parse(mask, strlen(mask), &a) || !ts_addr_is4(&a))
		return -1;
	bits = (uint32_t)a.ip[12] << 24 | (uint32_t)a.ip[13] << 16 | (uint32_t)a.ip[14] << 8 | a.ip[15];
	while (n < 32 && bits & 0x80000000u >> n)
		n++;
	return n == 32 || !(bits << n) ? n : -1;
}

static int localnet(struct reader *r, char *net)
{
	char *mask = strchr(net, '/'), text[128];
	struct ts_prefix prefix;
	struct ts_addr a;
	size_t used = strlen(r->out->exclude);
	int len;

	if (!mask)
		return refuse(r, "localnet", "must be ADDRESS/MASK");
	*mask++ = '\0';
	if (!ts_addr_parse(net, strlen(net), &a) && ts_addr_parse_hostport(net, strlen(net), &a)) {
		ts_tool_warn("%s:%d: localnet with a port is not supported; ignored", r->path, r->line);
		return 0;
	}
	len = strchr(mask, '.') ? mask_length(mask) : (int)strtol(mask, NULL, 10);
	snprintf(text, sizeof(text), "%s/%d", net, len);
	if (len < 0 || !ts_prefix_parse(text, strlen(text), &prefix))
		return refuse(r, "localnet", "must be ADDRESS/MASK");
	if (used + strlen(text) + 2 > sizeof(r->out->exclude))
		return refuse(r, "localnet", "too many ranges");
	sprintf(r->out->exclude + used, "%s%s", used ? "," : "", text);
	return 0;
}

static int proxy(struct reader *r, char *const words[], int n)
{
	bool http = strcasecmp(words[0], "http") == 0;
	char *to = http ? r->out->http : r->out->socks5, text[sizeof(r->out->http)];
	const char *user = n > 3 ? words[3] : "", *pass = n > 4 ? words[4] : "";
	struct ts_conf_proxy parsed = { 0 };
	bool v6;
	int len;

	if (!http && strcasecmp(words[0], "socks5") != 0)
		return refuse(r, words[0], "tsproxy supports only SOCKS5 and HTTP proxies; use one of these");
	if (n < 3)
		return refuse(r, words[0], "must be TYPE HOST PORT [USER PASSWORD]");
	v6 = strchr(words[1], ':') && words[1][0] != '[';
	len = snprintf(text, sizeof(text), "%s%s%s%s%s%s%s:%s", user, *pass ? ":" : "", pass, *user ? "@" : "", v6 ? "[" : "",
		       words[1], v6 ? "]" : "", words[2]);
	if (strchr(user, ':'))
		return refuse(r, words[0], "a user name cannot contain a colon");
	if (len < (int)sizeof(text))
		ts_conf_parse_proxy(text, &parsed);
	if (len >= (int)sizeof(text) || parsed.bad)
		return refuse(r, words[0], "must be TYPE HOST PORT [USER PASSWORD]");
	if (*to)
		return refuse(r, words[0], http ? "a second HTTP proxy; tsproxy uses one of each kind" :
						  "a second SOCKS5 proxy; tsproxy uses one of each kind");
	strcpy(to, text);
	r->proxies++;
	return 0;
}

static int keyword(struct reader *r, char *const words[], int n)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (strcmp(words[0], modes[i]) == 0) {
			r->mode = (enum mode)i;
			return 0;
		}
	if (strcmp(words[0], "quiet_mode") == 0)
		r->out->quiet = true;
	else if (strcmp(words[0], "localnet") == 0)
		return n == 2 ? localnet(r, words[1]) : refuse(r, "localnet", "must be ADDRESS/MASK");
	else if (strcmp(words[0], "dnat") == 0)
		return refuse(r, "dnat", "tsproxy does not redirect connections; remove the line");
	else if (strncmp(words[0], "chain_len", 9) == 0)
		r->chain_len = strtol(words[n - 1] + strspn(words[n - 1], "chain_len="), NULL, 10);
	return 0;
}

static int take_line(struct reader *r, char *line)
{
	char *words[WORDS_MAX], *save = NULL;
	int n = 0;

	line[strcspn(line, "#")] = '\0';
	for (char *w = strtok_r(line, SPACE, &save); w && n < WORDS_MAX; w = strtok_r(NULL, SPACE, &save))
		words[n++] = w;
	if (n == 0)
		return 0;
	if (strcasecmp(words[0], "[ProxyList]") == 0) {
		r->in_list = true;
		return 0;
	}
	return r->in_list ? proxy(r, words, n) : keyword(r, words, n);
}

int ts_chains_read(FILE *f, const char *path, struct ts_chains *out)
{
	struct reader r = { .path = path, .out = out, .chain_len = 1 };
	bool one_of_many;
	char line[1024];
	int err = 0;

	memset(out, 0, sizeof(*out));
	/* It may be a pipe, and a device by mistake. */
	while (!err && fgets(line, sizeof(line), f)) {
		r.line++;
		err = strlen(line) < sizeof(line) - 1 && (strchr(line, '\n') || feof(f)) ? take_line(&r, line) :
			      refuse(&r, "line", "too long, or not text");
	}
	if (!err && ferror(f)) {
		ts_tool_error("%s: %s", path, strerror(errno));
		err = -EIO;
	}
	one_of_many = r.mode >= MODE_ROUND_ROBIN && r.chain_len == 1;
	if (!err && r.proxies > 1 && !one_of_many) {
		ts_tool_error("%s: %s with %u proxies: tsproxy uses only one; keep one in [ProxyList]", path, modes[r.mode],
			      r.proxies);
		err = -EINVAL;
	}
	return err;
}
