/* SPDX-License-Identifier: MIT */
/* The least: as a program it exits with 42, as a library it does nothing. */
int main(void);

int main(void)
{
	return 42;
}
