/* SPDX-License-Identifier: MIT */
/* Keeping proxies' users and passwords beside the map: see credentials.h. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "map_write.h"
#include "tsproxy/credentials.h"
#include "tsproxy/hash.h"

static void fill(struct ts_credentials *c, const struct ts_endpoint *e)
{
	c->magic = TS_CREDENTIALS_MAGIC;
	memcpy(c->ip, e->addr.ip, sizeof(c->ip));
	c->port = e->addr.port;
	c->kind = e->kind;
	memcpy(c->user, e->user, strnlen(e->user, sizeof(c->user) - 1));
	memcpy(c->pass, e->pass, strnlen(e->pass, sizeof(c->pass) - 1));
	c->sum = ts_sum64(c, offsetof(struct ts_credentials, sum));
}

int ts_credentials_install(const char *map_path, const struct ts_endpoint *list, unsigned count)
{
	struct ts_credentials *all = calloc(count + 1, sizeof(*all));
	char path[4096];
	size_t n = 0;
	int err = -ENOMEM;

	if (!all)
		return err;
	for (unsigned i = 0; i < count; i++)
		if (list[i].user[0] || list[i].pass[0])
			fill(&all[n++], &list[i]);
	if ((size_t)snprintf(path, sizeof(path), "%s" TS_CREDENTIALS_SUFFIX, map_path) >= sizeof(path))
		err = -ENAMETOOLONG;
	else if (n)
		err = ts_file_install(path, false, (const uint8_t *)all, n * sizeof(*all));
	else
		err = unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
	free(all);
	return err;
}
