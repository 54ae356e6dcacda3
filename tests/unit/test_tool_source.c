/* SPDX-License-Identifier: MIT */
/*
 * Where the status comes from: files of every kind, LocalAPI servers that answer well, wrongly, slowly or not at all,
 * the command.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "tsproxy/tool.h"
#include "unit.h"

static const char status[] = "{\"BackendState\":\"Running\",\"Peer\":{}}";
static pid_t server;

static void setup(void)
{
	static const char *const variables[] = { "TSPROXY_STATUS", "TSPROXY_SOCKET", "TS_SOCKET", "XDG_CONFIG_HOME" };

	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		unsetenv(variables[i]);
	unit_dir_make();
	setenv("HOME", unit_dir, 1);
	setenv("XDG_RUNTIME_DIR", unit_dir, 1);
	signal(SIGPIPE, SIG_IGN);
}

static void teardown(void)
{
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
		server = 0;
	}
	unit_dir_remove();
}

enum conduct { ANSWER, HANG, CLOSE, NO_END, NO_ACCEPT };

static int listen_at(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	return fd;
}

static void serve(int fd, enum conduct conduct, const char *answer, size_t len)
{
	static const char much[1 << 20] = "HTTP/1.0 200 OK\r\nX: ";
	char request[1000];
	size_t have = 0;
	int c = accept(fd, NULL, NULL);

	/* The whole request, as the daemon's server waits for it. */
	while (have < 4 || memcmp(request + have - 4, "\r\n\r\n", 4) != 0) {
		ssize_t n = read(c, request + have, sizeof(request) - have);

		if (n <= 0)
			_exit(1);
		have += (size_t)n;
	}
	request[have] = '\0';
	if (strncmp(request, "GET /localapi/v0/status HTTP/1.0\r\n", 34) != 0 ||
	    !strstr(request, "\r\nHost: local-tailscaled.sock\r\n"))
		_exit(2);
	if (conduct == HANG)
		pause();
	for (size_t at = 0; conduct == ANSWER && at < len;) {
		ssize_t n = write(c, answer + at, len - at);

		if (n <= 0)
			_exit(3);
		at += (size_t)n;
	}
	while (conduct == NO_END && write(c, much, sizeof(much)) > 0)
		;
	_exit(0);
}

static const char *start(enum conduct conduct, const char *answer, size_t len)
{
	const char *path = unit_path("tailscaled.sock");
	int fd = listen_at(path);

	server = fork();
	if (server == 0) {
		if (conduct == NO_ACCEPT)
			pause();
		serve(fd, conduct, answer, len);
	}
	close(fd);
	return path;
}

static const char *ask(const char *path, int *err)
{
	static char why[TS_WHY_MAX];
	static char body[200];
	char *text = NULL;
	size_t len = 0;

	why[0] = '\0';
	*err = ts_source_localapi(path, true, &text, &len, why);
	ck_assert(!*err == (text != NULL));
	if (*err) {
		ck_assert(why[0] && !strchr(why, '\n'));
		return why;
	}
	snprintf(body, sizeof(body), "%.*s", (int)(len < 199 ? len : 199), text);
	free(text);
	return body;
}

static const struct {
	const char *answer;
	const char *body; /* null: refused, and `says` is in the reason */
	const char *says;
} answers[] = {
	{ "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"a\":1}", "{\"a\":1}", NULL },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\n{\"a\":1}", "{\"a\":1}", NULL },
	{ "HTTP/1.0 200 OK\r\ncontent-length: 99\r\n\r\n{\"a\":1}", NULL, "before its status was complete" },
	{ "HTTP/1.0 403 Forbidden\r\n\r\nstatus access denied\n", NULL, "HTTP 403: status access denied?)" },
	{ "HTTP/1.0 500 Internal\r\n\r\n", NULL, "HTTP 500" },
	{ "HTTP/1.0 200 OK\r\nno end of head", NULL, "its answer is not HTTP" },
	{ "SSH-2.0-OpenSSH_9.2\r\n", NULL, "its answer is not HTTP" },
	{ "\r\n\r\n", NULL, "its answer is not HTTP" },
	{ "", NULL, "closed the connection without an answer" },
};

START_TEST(localapi_answers)
{
	const char *path = start(ANSWER, answers[_i].answer, strlen(answers[_i].answer)), *got;
	int err;

	got = ask(path, &err);
	if (answers[_i].body) {
		ck_assert_msg(err == 0, "%s", got);
		ck_assert_str_eq(got, answers[_i].body);
		return;
	}
	ck_assert_int_ne(err, 0);
	ck_assert_msg(strstr(got, answers[_i].says) != NULL, "%s", got);
}
END_TEST

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

START_TEST(localapi_that_hangs)
{
	const char *path = start(_i ? NO_ACCEPT : HANG, NULL, 0), *why;
	int64_t began = now_ms();
	int err;

	why = ask(path, &err);
	ck_assert_int_eq(err, -ETIMEDOUT);
	ck_assert_msg(strstr(why, "does not answer; restart it") != NULL, "%s", why);
	ck_assert_int_lt(now_ms() - began, 4000);
}
END_TEST

START_TEST(localapi_that_never_ends)
{
	const char *path = start(NO_END, NULL, 0), *why;
	int err;

	why = ask(path, &err);
	ck_assert_int_eq(err, -EFBIG);
	ck_assert_msg(strstr(why, "more than 256 MiB") != NULL, "%s", why);
}
END_TEST

START_TEST(localapi_with_a_full_backlog)
{
	const char *path = unit_path("full.sock"), *why;
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = listen_at(path), c, err;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	do
		c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	while (connect(c, (struct sockaddr *)&un, sizeof(un)) == 0);
	why = ask(path, &err);
	ck_assert_msg(err == -ETIMEDOUT, "%s", why);
	close(fd);
}
END_TEST

START_TEST(localapi_that_is_none)
{
	int err, fd;

	ask(unit_path("none.sock"), &err);
	ck_assert_int_eq(err, -ENOENT);
	fd = listen_at(unit_path("dead.sock"));
	close(fd);
	ask(unit_path("dead.sock"), &err);
	ck_assert_int_eq(err, -ECONNREFUSED);
	ask(unit_file("file", "x", 1), &err);
	ck_assert_int_eq(err, -ECONNREFUSED);
	ask("/a/path/that/is/far/too/long/for/a/unix/socket/address/because/those/hold/only/one/hundred/and/eight/"
	    "bytes/with/nul",
	    &err);
	ck_assert_int_eq(err, -ENAMETOOLONG);
}
END_TEST

START_TEST(localapi_of_another_user)
{
	const char *path = unit_path("tailscaled.sock");
	char why[TS_WHY_MAX], *text = NULL;
	size_t len;
	int fd, ready[2], err;
	char byte;

	if (geteuid() != 0) {
		fprintf(stderr, "skip: only root can become another user\n");
		return;
	}
	ck_assert_int_eq(chmod(unit_dir, 0777), 0);
	ck_assert_int_eq(pipe(ready), 0);
	server = fork();
	if (server == 0) {
		if (setuid(65534) != 0)
			_exit(1);
		fd = listen_at(path);
		if (chmod(path, 0777) != 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(fd);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	/* In a usual place such a one is a trap; named by the user it is trusted, so it is asked, and hangs. */
	err = ts_source_localapi(path, false, &text, &len, why);
	ck_assert_msg(err == -EPERM && strstr(why, "belongs to another user (65534)"), "%s", why);
	err = ts_source_localapi(path, true, &text, &len, why);
	ck_assert_int_eq(err, -ETIMEDOUT);
}
END_TEST

static int read_file(const char *path, char why[TS_WHY_MAX])
{
	char *text = NULL;
	size_t len = 0;
	int err = ts_source_file(path, &text, &len, why);

	ck_assert(!err == (text != NULL));
	free(text);
	return err;
}

START_TEST(files)
{
	char why[TS_WHY_MAX];
	struct stat st;
	FILE *f;

	ck_assert_int_eq(read_file(unit_file("status.json", status, sizeof(status) - 1), why), 0);
	ck_assert_int_eq(read_file(unit_file("empty", "", 0), why), 0);
	ck_assert_int_eq(read_file(unit_path("none"), why), -ENOENT);
	ck_assert(strstr(why, "cannot read the status") != NULL && strstr(why, "No such file") != NULL);
	ck_assert_int_eq(read_file(unit_dir, why), -EISDIR);
	/* A sparse file takes no room, and is refused before it is read. */
	f = fopen(unit_path("huge"), "w");
	ck_assert_int_eq(ftruncate(fileno(f), (256ll << 20) + 1), 0);
	fclose(f);
	ck_assert_int_eq(stat(unit_path("huge"), &st), 0);
	ck_assert_int_lt(st.st_blocks, 1000);
	ck_assert_int_eq(read_file(unit_path("huge"), why), -EFBIG);
	ck_assert(strstr(why, "larger than 256 MiB") != NULL);
}
END_TEST

START_TEST(unreadable_file)
{
	char why[TS_WHY_MAX];
	const char *path = unit_file("status.json", status, sizeof(status) - 1);
	int code = 0;
	pid_t pid;

	ck_assert_int_eq(chmod(path, 0), 0);
	ck_assert_int_eq(chmod(unit_dir, 0755), 0);
	pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && setuid(65534) != 0)
			_exit(9);
		_exit(read_file(path, why) == -EACCES && strstr(why, "Permission denied") ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &code, 0), pid);
	ck_assert_int_eq(code, 0);
}
END_TEST

START_TEST(standard_input)
{
	int in[2], saved = dup(0), err;
	char why[TS_WHY_MAX], *text;
	size_t len;

	ck_assert_int_eq(pipe(in), 0);
	ck_assert_int_eq(write(in[1], status, sizeof(status) - 1), sizeof(status) - 1);
	close(in[1]);
	dup2(in[0], 0);
	err = ts_source_file("-", &text, &len, why);
	dup2(saved, 0);
	ck_assert_int_eq(err, 0);
	ck_assert_uint_eq(len, sizeof(status) - 1);
	free(text);
}
END_TEST

static int read_source(const struct ts_map_settings *set, const char **said)
{
	struct ts_tailnet tn;
	int err;

	unit_err_begin();
	err = ts_source_read(set, &tn);
	*said = unit_err_end();
	ts_tailnet_free(&tn);
	ck_assert_uint_eq(unit_lines(*said), err ? 1 : 0);
	return err;
}

START_TEST(choice_of_source)
{
	struct ts_map_settings set = { 0 };
	const char *said;

	setenv("PATH", unit_dir, 1);
	ck_assert_int_eq(read_source(&set, &said), -ENOENT);
	ck_assert(strstr(said, "no tailscaled found") && strstr(said, "--status"));
	/* What is named is the only source. */
	set.socket = (char *)unit_path("none.sock");
	ck_assert_int_eq(read_source(&set, &said), -ENOENT);
	ck_assert(strstr(said, "none.sock") != NULL);
	set.socket = NULL;
	setenv("TS_SOCKET", unit_path("none2.sock"), 1);
	ck_assert_int_eq(read_source(&set, &said), -ENOENT);
	ck_assert(strstr(said, "none2.sock") != NULL);
	set.status = (char *)unit_file("status.json", status, sizeof(status) - 1);
	ck_assert_int_eq(read_source(&set, &said), 0);
	set.status = (char *)unit_file("status.json", status, sizeof(status) - 5);
	ck_assert_int_eq(read_source(&set, &said), -EBADMSG);
	ck_assert(strstr(said, "status.json is invalid: line 1") != NULL);
}
END_TEST

START_TEST(usual_socket)
{
	struct ts_map_settings set = { 0 };
	const char *said;
	static const char answer[] = "HTTP/1.0 200 OK\r\n\r\n{\"BackendState\":\"Running\"}";

	setenv("PATH", unit_dir, 1);
	/* $XDG_RUNTIME_DIR/tailscaled.sock is one of the places. */
	start(ANSWER, answer, sizeof(answer) - 1);
	ck_assert_int_eq(read_source(&set, &said), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tool_source");
	TCase *t = tcase_create("source");

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, localapi_answers, 0, sizeof(answers) / sizeof(*answers));
	tcase_add_loop_test(t, localapi_that_hangs, 0, 2);
	tcase_add_test(t, localapi_that_never_ends);
	tcase_add_test(t, localapi_with_a_full_backlog);
	tcase_add_test(t, localapi_that_is_none);
	tcase_add_test(t, localapi_of_another_user);
	tcase_add_test(t, files);
	tcase_add_test(t, unreadable_file);
	tcase_add_test(t, standard_input);
	tcase_add_test(t, choice_of_source);
	tcase_add_test(t, usual_socket);
	return unit_run(s);
}
