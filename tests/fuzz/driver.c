/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target over the files of its corpus, as a plain test. libFuzzer brings a main of its own. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int run_file(const char *dir, const char *name)
{
	static uint8_t buf[1 << 20];
	char path[4096];
	uint8_t *exact;
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rb");
	if (!f) {
		perror(path);
		return 1;
	}
	len = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	/* On a block of just that size, so that a sanitizer sees the first byte too far. */
	exact = malloc(len ? len : 1);
	if (!exact)
		return 1;
	for (size_t i = 0; i < len; i++)
		exact[i] = buf[i];
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned files = 0;
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		DIR *d = opendir(argv[i]);
		struct dirent *e;

		if (!d) {
			perror(argv[i]);
			return 1;
		}
		while ((e = readdir(d)) != NULL) {
			if (e->d_name[0] == '.')
				continue;
			failed |= run_file(argv[i], e->d_name);
			files++;
		}
		closedir(d);
	}
	printf("%s: %u inputs\n", argv[0], files);
	return failed || files == 0;
}
