/* SPDX-License-Identifier: MIT */
/*
 * Where nsswitch.conf has nss-myhostname or resolved before DNS, this machine's own name is theirs, though this node has it in the tailnet,
 * too. Whether that module is installed here does not matter: the name is left to libc then.
 */
/*
 * status: names.json
 * dns: me,192.0.2.77
 * expect: hosts: files dns -> me tailnet me. tailnet ME tailnet me.tail1.ts.net tailnet db tailnet
 * expect: hosts: files myhostname dns -> me other me. other ME tailnet me.tail1.ts.net tailnet db tailnet
 * expect: hosts: files mdns4_minimal [NOTFOUND=return] dns myhostname -> me tailnet me. tailnet ME tailnet me.tail1.ts.net tailnet db tailnet
 * expect: hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns -> me other me. other ME tailnet me.tail1.ts.net tailnet db tailnet
 * expect: hosts:files [x=y a=b] myhostname -> me other me. other ME tailnet me.tail1.ts.net tailnet db tailnet
 * expect: hosts: files # myhostname -> me tailnet me. tailnet ME tailnet me.tail1.ts.net tailnet db tailnet
 * expect: networks: myhostname -> me tailnet me. tailnet ME tailnet me.tail1.ts.net tailnet db tailnet
 */
#include <sched.h>
#include <sys/mount.h>

#include "names_state.h"

static void show(const char *path)
{
	static const char *const names[] = { "me", "me.", "ME", "me.tail1.ts.net", "db" };

	if (mount(path, "/etc/nsswitch.conf", NULL, MS_BIND, NULL) != 0)
		perror("mount");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		printf(" %s %s", names[i], strncmp(look_up(names[i]), "100.64.0.", 9) == 0 ? "tailnet" : "other");
	printf("\n");
	fflush(stdout);
	_exit(0);
}

int main(void)
{
	static const char *const lines[] = {
		"hosts: files dns", "hosts: files myhostname dns", "hosts: files mdns4_minimal [NOTFOUND=return] dns myhostname",
		"hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns", "hosts:files [x=y a=b] myhostname", "hosts: files # myhostname",
		"networks: myhostname",
	};
	char path[300];

	if (unshare(CLONE_NEWUTS) != 0 || sethostname("me", 2) != 0)
		return 1;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		int status;
		FILE *f;

		snprintf(path, sizeof(path), "%s/nsswitch-%zu", getenv("TEST_DIR"), i);
		f = fopen(path, "w");
		fprintf(f, "# hosts: resolve\npasswd: files\n%s\ngroup: files\n", lines[i]);
		fclose(f);
		printf("%s ->", lines[i]);
		fflush(stdout);
		if (fork() == 0)
			show(path);
		wait(&status);
	}
	return 0;
}
