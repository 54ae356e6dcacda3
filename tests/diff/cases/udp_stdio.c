/* SPDX-License-Identifier: MIT */
/* Streams (FILE) of datagram sockets: libc reads and writes by itself. */
#include "udp_case.h"

#include <wchar.h>

static int fd;

static FILE *begin(const char *mode)
{
	fd = udp(0);
	MUST(connect(fd, TO(PEER, ECHO)));
	return fdopen(fd, mode);
}

static void ask(const char *text)
{
	MUST(send(fd, text, strlen(text), 0));
	await(fd);
}

static void show(const char *what, const char *text)
{
	say("%s: \"%s\"", what, text ? bytes_name(text, (long)strlen(text)) : "nothing");
}

CASE_FAMILIES(reads)
{
	FILE *f = begin("r");
	char line[200] = "", *lines = NULL;
	size_t room = 0;
	int a = 0, b = 0;

	ask("first\nsecond\n");
	show("fgets", fgets(line, sizeof(line), f));
	T(getc(f));
	T(ungetc('S', f));
	show("fgets", fgets(line, sizeof(line), f));
	ask("third line\n");
	T(getline(&lines, &room, f));
	show("getline", lines);
	ask("12 34 x");
	T(fscanf(f, "%d %d", &a, &b));
	say("%d %d", a, b);
	T(getc_unlocked(f));
	T(fgetc(f));
	ask("0123456789");
	memset(line, 0, sizeof(line));
	T(fread(line, 1, 10, f));
	show("fread", line);
	ask("a,b");
	T(getdelim(&lines, &room, ',', f));
	show("getdelim", lines);
	T(fileno(f) == fd);
	T(fclose(f));
	T(fcntl(fd, F_GETFD));
}

/* A buffer's worth of a datagram that is longer; and more at once than the buffer holds. */
CASE_FAMILIES(large)
{
	static char text[6000], in[12000];
	FILE *f = begin("r");
	long n = 0;

	memset(text, 'x', sizeof(text) - 1);
	set_nonblock(fd, true);
	ask(text);
	while (getc(f) == 'x')
		n++;
	say("%ld, %d", n, ferror(f));
	clearerr(f);
	ask(text);
	T(fread(in, 1, sizeof(in), f));
	say("%s", bytes_name(in, 4));
	clearerr(f);
	T(setvbuf(f, NULL, _IONBF, 0));
	ask("unbuffered");
	T(getc(f));
	T(getc(f));
	clearerr(f);
	ask("unbuffered");
	memset(in, 0, sizeof(in));
	T(fread(in, 1, 10, f));
	show("fread", in);
}

/* Nothing there, an error, an end. */
CASE_FAMILIES(ends)
{
	FILE *f = begin("r+");
	struct timeval tv = { .tv_usec = 1000 * quarters(2) };
	char line[100];

	set_nonblock(fd, true);
	T(getc(f));
	say("eof %d error %d", feof(f), ferror(f));
	clearerr(f);
	ask("");
	T(getc(f));
	say("eof %d error %d", feof(f), ferror(f));
	clearerr(f);
	set_nonblock(fd, false);
	MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	T(getc(f));
	clearerr(f);
	T(fseek(f, 0, SEEK_SET));
	T(ftell(f));
	fprintf(f, "written\n");
	T(fflush(f));
	show("fgets", fgets(line, sizeof(line), f));
	close(fd);
	T(getc(f));
	say("eof %d error %d", feof(f), ferror(f));
	clearerr(f);
	T(putc('x', f));
	T(fflush(f));
	say("error %d", ferror(f));
}

CASE_FAMILIES(writes)
{
	static char text[5000];
	FILE *f = begin("w");

	setvbuf(f, NULL, _IONBF, 0);
	T(fputs("unbuffered", f) >= 0);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(fprintf(f, "%d and %s", 5, "more"));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	T(putc('c', f));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	setvbuf(f, NULL, _IOLBF, 0);
	T(fputs("line\nnext", f) >= 0);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	show_quiet(fd);
	T(fputs(" ends\n", f) >= 0);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	f = fdopen(fd, "w");
	memset(text, 'y', sizeof(text));
	T(fwrite(text, 1, sizeof(text), f));
	await(fd);
	show_from(fd, 60000, MSG_DONTWAIT);
	T(fflush(NULL));
	await(fd);
	show_from(fd, 60000, MSG_DONTWAIT);
	T(dprintf(fd, "by number"));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	show_quiet(fd);
}

CASE_FAMILIES(wide)
{
	FILE *f = begin("r+");
	wchar_t line[20] = L"";

	ask("wide\n");
	T(fwide(f, 1) > 0);
	T(fgetws(line, 20, f) != NULL);
	say("%ls", line);
	T(fputws(L"written\n", f) >= 0);
	T(fflush(f));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

/* Made before the socket turns to the tailnet. */
CASE_FAMILIES(early)
{
	char line[100];
	FILE *f;

	fd = udp(0);
	f = fdopen(fd, "r+");
	fputs("early\n", f);
	T(connect(fd, TO(PEER, ECHO)));
	T(fflush(f));
	show("fgets", fgets(line, sizeof(line), f));
	fputs("later\n", f);
	T(fflush(f));
	show("fgets", fgets(line, sizeof(line), f));
	T(connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
	fputs("nowhere\n", f);
	T(fflush(f));
	T(connect(fd, TO(PEER, ECHO)));
	fputs("again\n", f);
	T(fflush(f));
	show("fgets", fgets(line, sizeof(line), f));
	T(connect(fd, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
	fputs("nowhere\n", f);
	T(fclose(f));
}

/* What a program leaves behind. */
CASE_FAMILIES(left)
{
	FILE *f = begin("w");
	pid_t child;

	fflush(stdout);
	fputs("left to exit", f);
	child = fork();
	if (child == 0)
		exit(0);
	waitpid(child, NULL, 0);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	show_quiet(fd);
	T(fflush(f));
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
}

/* Standard input and output, of this program and of another. */
CASE_ATTR(answers, "sub")
{
	char line[100];

	for (int i = 0; i < 2; i++) {
		if (!fgets(line, sizeof(line), stdin))
			break;
		fprintf(stderr, "read: %s", line);
		if (!i)
			printf("answer to %s", line);
		fflush(stdout);
	}
	printf("left at the end");
}

CASE_FAMILIES(standard)
{
	pid_t child;

	begin("r");
	ask("question\n");
	child = fork();
	if (child == 0) {
		dup2(1, 2);
		dup2(fd, 0);
		dup2(fd, 1);
		execl(case_self, case_self, "answers", NULL);
		_exit(1);
	}
	waitpid(child, NULL, 0);
	await(fd);
	show_from(fd, 100, MSG_DONTWAIT);
	show_quiet(fd);
}

CASE_FAMILIES(exchanged)
{
	FILE *f = begin("r+"), *other;
	char line[100];

	ask("one\n");
	T((other = fdopen(dup(fd), "r")) != NULL);
	show("fgets", fgets(line, sizeof(line), other));
	T(fclose(other));
	other = freopen("/dev/null", "r+", f);
	T(other == f && fileno(f) == fd);
	T(getc(f));
	T(feof(f) != 0);
	T(fclose(f));
}

static void *read_it(void *arg)
{
	char line[100];

	show("fgets", fgets(line, sizeof(line), arg));
	return NULL;
}

/* A thread that waits in libc as the socket turns to the tailnet, the first or not. */
CASE_FAMILIES(turned)
{
	int other = udp(0);
	pthread_t t;

	MUST(connect(other, TO(PEER, ECHO)));
	fd = udp(0);
	t = thread(read_it, fdopen(fd, "r"));
	nap(2);
	give(fd, PEER, ECHO, "turned\n");
	join(t);
}
