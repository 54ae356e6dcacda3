/* SPDX-License-Identifier: MIT */
/*
 * A Go program gets no tailnet names, because it would connect to them by itself, in the clear; other names are as
 * ever.
 */
/*
 * status: names.json
 * dns: www.example.com,192.0.2.60
 * expect: error -2
 * expect: error -2
 * expect: error -2
 * expect: 127.0.0.1
 * expect: 192.0.2.60
 */
#include "names_state.h"

/* What cmd/link leaves in every Go executable: a note of owner "Go", type 4 (ELF_NOTE_GOBUILDID_TAG). */
__asm__(".section .note.go.buildid, \"a\", @note\n"
	"	.balign 4\n"
	"	.long 4, 4, 4\n"
	"	.asciz \"Go\"\n"
	"	.byte 0\n"
	"	.ascii \"abcd\"\n"
	".text\n");

int main(void)
{
	static const char *const names[] = { "db", "db.tail1.ts.net", "none.tail1.ts.net", "localhost", "www.example.com" };

	for (int i = 0; i < 5; i++)
		printf("%s\n", look_up(names[i]));
	return 0;
}
