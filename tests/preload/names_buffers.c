/* SPDX-License-Identifier: MIT */
/*
 * The _r calls with every length and alignment of buffer: too small is ERANGE (and NETDB_INTERNAL with glibc), never a
 * byte outside; enough is a whole answer inside the buffer.
 */
/*
 * libc: glibc musl
 * status: names.json
 * valgrind: yes
 * expect: by name right
 * expect: by name, IPv6 right
 * expect: by address right
 */
#include <stdint.h>

#include "netdb_print.h"

enum { ROOM = 400 };
static char space[ROOM + 64];
static struct hostent h;

static int inside(const void *p, const char *buf, size_t len)
{
	return (const char *)p >= buf && (const char *)p < buf + len;
}

static int whole(const char *buf, size_t len, int family)
{
	size_t n = 0;

	if (strcmp(h.h_name, "db.tail1.ts.net") != 0 || !inside(h.h_name, buf, len) || h.h_addrtype != family)
		return 0;
	for (char **p = h.h_addr_list; *p; p++, n++)
		if (!inside(*p, buf, len) || !inside(p + 1, buf, len) || !inside(*p + h.h_length - 1, buf, len))
			return 0;
	for (char **p = h.h_aliases; *p; p++)
		if (!inside(*p, buf, len))
			return 0;
	return n == 1 && (uintptr_t)h.h_addr_list % sizeof(char *) == 0 && (uintptr_t)h.h_aliases % sizeof(char *) == 0;
}

static int call(int kind, char *buf, size_t len, struct hostent **res, int *herr)
{
	static const unsigned char addr[4] = { 100, 64, 0, 2 };

	if (kind == 0)
		return gethostbyname_r("db", &h, buf, len, res, herr);
	if (kind == 1)
		return gethostbyname2_r("db.tail1.ts.net", AF_INET6, &h, buf, len, res, herr);
	return gethostbyaddr_r(addr, 4, AF_INET, &h, buf, len, res, herr);
}

static void all(int kind, const char *title)
{
	int good = 0, small = 0;

	for (size_t offset = 0; offset < 9; offset++) {
		int was_good = 0;

		for (size_t len = 0; len <= ROOM; len++) {
			struct hostent *res = (void *)&res;
			int herr = 77, ret;

			memset(space, 0x5a, sizeof(space));
			errno = 0;
			ret = call(kind, space + 16 + offset, len, &res, &herr);
			for (size_t i = 0; i < sizeof(space); i++)
				if ((i < 16 + offset || i >= 16 + offset + len) && space[i] != 0x5a) {
					printf("byte %zu touched with length %zu\n", i, len);
					exit(1);
				}
			if (ret == ERANGE && res == NULL && errno == ERANGE && !was_good
#ifdef __GLIBC__
			    && herr == NETDB_INTERNAL
#endif
			    ) {
				small++;
			} else if (ret == 0 && res == &h && whole(space + 16 + offset, len, kind == 1 ? AF_INET6 : AF_INET)) {
				good++;
				was_good = 1;
			} else {
				printf("length %zu offset %zu: %d, errno %d, h_errno %d\n", len, offset, ret, errno, herr);
				exit(1);
			}
		}
	}
	printf("%s %s\n", title, good && small ? "right" : "not shown");
}

int main(void)
{
	all(0, "by name");
	all(1, "by name, IPv6");
	all(2, "by address");
	return 0;
}
