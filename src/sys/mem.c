/* SPDX-License-Identifier: MIT */
/*
 * The few string functions the compiler and our code call. Own copies, hidden, because the object has no libc
 * of its own and must not depend on which version of memcpy the program's libc exports.
 * KEEP stops the compiler from recognising a loop as the very function that it implements.
 */
#include <string.h>

#define KEEP(p) __asm__ volatile("" : "+r"(p))

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	unsigned char *d = dst;
	const unsigned char *s = src;

	for (; n >= sizeof(long); n -= sizeof(long), d += sizeof(long), s += sizeof(long)) {
		__builtin_memcpy(d, s, sizeof(long));
		KEEP(d);
	}
	for (; n; n--) {
		*d++ = *s++;
		KEEP(d);
	}
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	unsigned char *d = dst;
	const unsigned char *s = src;

	if (d <= s || d >= s + n)
		return memcpy(dst, src, n);
	while (n) {
		n--;
		d[n] = s[n];
		KEEP(d);
	}
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	unsigned char *d = dst;
	unsigned long word = (unsigned char)c * (~0ul / 255);

	for (; n >= sizeof(word); n -= sizeof(word), d += sizeof(word)) {
		__builtin_memcpy(d, &word, sizeof(word));
		KEEP(d);
	}
	for (; n; n--) {
		*d++ = (unsigned char)c;
		KEEP(d);
	}
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;
	unsigned long x, y;

	for (; n >= sizeof(x); n -= sizeof(x), p += sizeof(x), q += sizeof(x)) {
		__builtin_memcpy(&x, p, sizeof(x));
		__builtin_memcpy(&y, q, sizeof(y));
		if (x != y)
			break;
	}
	for (; n; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	const unsigned char *p = s;

	for (; n; n--, p++)
		if (*p == (unsigned char)c)
			return (void *)p;
	return NULL;
}

size_t strlen(const char *s)
{
	const char *p = s;

	while (*p) {
		p++;
		KEEP(p);
	}
	return (size_t)(p - s);
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
		KEEP(a);
	}
	return (unsigned char)*a - (unsigned char)*b;
}
