/* SPDX-License-Identifier: MIT */
/* Descriptors that have nothing to do with a tailnet, of each kind and by each way in which a process can come by one. */
#ifndef SILENT_SUBJECTS_H
#define SILENT_SUBJECTS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(call) \
	({ \
		__typeof__(call) result_ = (call); \
		if ((long)result_ == -1) { \
			perror(#call); \
			exit(1); \
		} \
		result_; \
	})

struct subject {
	const char *kind;
	int fd;
	bool stream, datagram, inet, socket;
};

#define SUBJECTS_MAX 128

extern struct subject subjects[SUBJECTS_MAX];
extern int subject_count;

/* Makes them; `numbers` (from subjects_numbers) names those that came over exec. */
void subjects_make(const char *numbers);
/* Clears close-on-exec of some, and writes their numbers for the program that is started next. */
void subjects_numbers(char *out, size_t len);

/* A new one of each kind. */
int fresh_tcp(void);
int fresh_udp(void);
int fresh_unix(void);
int fresh_file(void);
/* The address of a TCP listener and of a UDP socket here, on 127.0.0.1. */
extern struct sockaddr_in tcp_here, udp_here;
extern struct sockaddr_in6 tcp6_here, udp6_here;

#define EACH(s) for (struct subject *s = subjects; s < subjects + subject_count; s++)
#define EACH_SOCKET(s) EACH(s) if (s->socket)

#endif
