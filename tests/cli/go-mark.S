/* SPDX-License-Identifier: MIT */
/* What the Go linker leaves in a program: with GO_NOTE the build ID's note, else the section of build information. */
#ifdef GO_NOTE
	.section .note.go.buildid, "a", %note
	.long 4, 4, 4
	.ascii "Go\0\0"
	.long 0
#else
	.section .go.buildinfo, "aw"
	.ascii "\377 Go buildinf:"
#endif
	.section .note.GNU-stack, "", %progbits
