/* SPDX-License-Identifier: MIT */
/*
 * /etc/hosts counts as it is now, though it is read only when it changed: edited, edited again within one tick of the
 * clock, replaced, behind a link, deleted. Each way begins with a file that is known not to have the name: no lookup
 * opens it any more.
 */
/*
 * status: names.json
 * expect: edited: 192.0.2.1
 * expect: a hundred edits: 0 wrong
 * expect: replaced: 192.0.2.2
 * expect: the link's file edited: 192.0.2.3
 * expect: deleted: 100.64.0.2
 * expect: made again: 192.0.2.4
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#define NAME "db.tail1.ts.net"
#define NOT_IT "dx.tail1.ts.net"
#define SETTLE_S 20

static void put(const char *path, const char *address, const char *name)
{
	FILE *f = fopen(path, "w");

	if (!f || fprintf(f, "127.0.0.1 localhost\n%s %s\n", address, name) < 0 || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static const char *lookup(void)
{
	static char text[INET_ADDRSTRLEN];
	struct addrinfo *list, hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	int err = getaddrinfo(NAME, NULL, &hints, &list);

	if (err)
		return gai_strerror(err);
	inet_ntop(AF_INET, &((struct sockaddr_in *)list->ai_addr)->sin_addr, text, sizeof(text));
	freeaddrinfo(list);
	return text;
}

/* Until a lookup no longer opens the file. */
static void settle(void)
{
	int fd = inotify_init1(IN_NONBLOCK);
	time_t end = time(NULL) + SETTLE_S;
	char events[4096];

	if (inotify_add_watch(fd, "/etc/hosts", IN_OPEN) < 0) {
		perror("inotify");
		exit(1);
	}
	do {
		while (read(fd, events, sizeof(events)) > 0)
			;
		if (strcmp(lookup(), "100.64.0.2") != 0)
			printf("not the tailnet's: %s\n", lookup());
		if (time(NULL) > end) {
			printf("the file is opened each time\n");
			break;
		}
	} while (poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 10) > 0);
	close(fd);
}

int main(void)
{
	int wrong = 0;

	if (mount("none", "/etc", "tmpfs", 0, NULL) != 0) {
		perror("mount");
		return 1;
	}
	put("/etc/hosts", "192.0.2.1", NOT_IT);
	settle();
	put("/etc/hosts", "192.0.2.1", NAME);
	printf("edited: %s\n", lookup());

	for (int i = 0; i < 50; i++) {
		put("/etc/hosts", "192.0.2.1", NOT_IT);
		wrong += strcmp(lookup(), "100.64.0.2") != 0;
		put("/etc/hosts", "192.0.2.1", NAME);
		wrong += strcmp(lookup(), "192.0.2.1") != 0;
	}
	printf("a hundred edits: %d wrong\n", wrong);

	put("/etc/hosts", "192.0.2.1", NOT_IT);
	settle();
	put("/etc/hosts.new", "192.0.2.2", NAME);
	rename("/etc/hosts.new", "/etc/hosts");
	printf("replaced: %s\n", lookup());

	put("/etc/elsewhere", "192.0.2.3", NOT_IT);
	unlink("/etc/hosts");
	if (symlink("elsewhere", "/etc/hosts") != 0)
		perror("symlink");
	settle();
	put("/etc/elsewhere", "192.0.2.3", NAME);
	printf("the link's file edited: %s\n", lookup());

	unlink("/etc/hosts");
	printf("deleted: %s\n", lookup());
	put("/etc/hosts", "192.0.2.4", NAME);
	printf("made again: %s\n", lookup());
	return 0;
}
