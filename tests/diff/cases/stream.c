/* SPDX-License-Identifier: MIT */
/* Standard I/O on a connection that is still being made: libc reads and writes by itself, and must find the stream that there will be. */
#include "../case.h"

#include <wchar.h>

static void show_line(FILE *f)
{
	char line[64];

	errno = 0;
	if (fgets(line, sizeof(line), f))
		say("\"%s\"", bytes_name(line, (long)strlen(line)));
	else
		say("nothing, error %d, end %d, %s", ferror(f) != 0, feof(f) != 0, err_name(errno));
	clearerr(f);
}

static void show_written(FILE *f, const char *text)
{
	errno = 0;
	say("%d %d %s", fputs(text, f) < 0, fflush(f), err_name(errno));
	clearerr(f);
}

/* What it reads first is what the far side says first. */
CASE(reads)
{
	int fd = pending(PEER, FIRST);
	FILE *f = fdopen(fd, "r");

	show_line(f);
	show_line(f);
	wait_connected(fd);
	await(fd);
	show_line(f);
	show_line(f);
}

CASE(reads_unbuffered)
{
	int fd = pending(PEER, FIRST);
	FILE *f = fdopen(fd, "r");

	setvbuf(f, NULL, _IONBF, 0);
	T(fgetc(f));
	clearerr(f);
	wait_connected(fd);
	await(fd);
	T(fgetc(f));
	show_line(f);
}

CASE(reads_wide)
{
	int fd = pending(PEER, FIRST);
	FILE *f = fdopen(fd, "r");

	T((int)fgetwc(f) == -1);
	clearerr(f);
	wait_connected(fd);
	await(fd);
	T((int)fgetwc(f));
}

CASE(reads_blocking)
{
	int fd = pending(PEER, FIRST);
	FILE *f = fdopen(fd, "r");

	set_nonblock(fd, false);
	show_line(f);
}

CASE(writes)
{
	int fd = pending(PEER, ECHO);
	FILE *f = fdopen(fd, "w");

	show_written(f, "early\n");
	wait_connected(fd);
	show_written(f, "late\n");
	await(fd);
	show_read(fd, 64, 0);
}

CASE(writes_blocking)
{
	int fd = pending(PEER, ECHO);
	FILE *f = fdopen(fd, "r+");

	set_nonblock(fd, false);
	setvbuf(f, NULL, _IOLBF, 4096);
	show_written(f, "at once\n");
	show_line(f);
}

CASE(refused)
{
	int fd = pending(PEER, REFUSED);
	FILE *f = fdopen(fd, "r+");

	set_nonblock(fd, false);
	show_line(f);
	show_line(f);
	show_written(f, "x\n");
}

CASE(opened_before)
{
	int fd = sock(SOCK_NONBLOCK);
	FILE *f = fdopen(fd, "r");

	T(connect(fd, TO(PEER, FIRST)));
	show_line(f);
	wait_connected(fd);
	await(fd);
	show_line(f);
}

CASE(standard_input)
{
	int fd = pending(PEER, FIRST);

	dup2(fd, 0);
	show_line(stdin);
	wait_connected(fd);
	await(fd);
	show_line(stdin);
}

/* Standard input before it is connected at all. */
CASE(standard_input_later)
{
	close(0);
	say("%d", sock(SOCK_NONBLOCK));
	T(connect(0, TO(PEER, FIRST)));
	show_line(stdin);
	wait_connected(0);
	await(0);
	show_line(stdin);
}
