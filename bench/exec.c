/* SPDX-License-Identifier: MIT */
/*
 * exec ROUNDS < VARIANTS: what starting a program costs. Every variant is started once a round, so that whatever else the
 * machine does meets all alike. posix_spawn is a vfork here: this process is small, and its own cost is the same for all.
 *
 * A variant is a line: NAME, tab, environment, tab, command; words are separated by the unit separator (0x1f).
 * Output: a line for each: NAME, tab, median in ns, tab, median of its differences to the first variant of the same round, in ns.
 */
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define VARIANTS_MAX 32
#define WORDS_MAX 32

struct variant {
	char *name;
	char *env[WORDS_MAX + 1], *argv[WORDS_MAX + 1];
	int64_t *ns;
};

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void split(char *s, char *out[WORDS_MAX + 1])
{
	int n = 0;

	for (char *word = strtok(s, "\x1f"); word && n < WORDS_MAX; word = strtok(NULL, "\x1f"))
		out[n++] = word;
	out[n] = NULL;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Of the values, or of what they are above `base`. */
static int64_t median(const int64_t *ns, int n, const int64_t *base)
{
	int64_t *sorted = malloc(sizeof(*sorted) * (size_t)n), result;

	for (int i = 0; i < n; i++)
		sorted[i] = ns[i] - (base ? base[i] : 0);
	qsort(sorted, (size_t)n, sizeof(*sorted), compare);
	result = sorted[n / 2];
	free(sorted);
	return result;
}

static int64_t start_once(struct variant *v)
{
	int64_t start = now();
	int status;
	pid_t pid;

	if (posix_spawn(&pid, v->argv[0], NULL, NULL, v->argv, v->env) != 0 || waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "exec: %s: %s failed\n", v->name, v->argv[0]);
		exit(1);
	}
	return now() - start;
}

int main(int argc, char **argv)
{
	static struct variant all[VARIANTS_MAX];
	int rounds = argc > 1 ? atoi(argv[1]) : 100, count = 0;
	char line[8192];

	while (count < VARIANTS_MAX && fgets(line, sizeof(line), stdin)) {
		struct variant *v = &all[count++];
		char *text = strdup(line), *env, *command;

		text[strcspn(text, "\n")] = '\0';
		env = strchr(text, '\t');
		command = env ? strchr(env + 1, '\t') : NULL;
		if (!command) {
			fprintf(stderr, "exec: a variant is NAME, tab, environment, tab, command\n");
			return 2;
		}
		*env++ = *command++ = '\0';
		v->name = text;
		split(env, v->env);
		split(command, v->argv);
		v->ns = calloc((size_t)rounds, sizeof(*v->ns));
		start_once(v);
	}
	for (int r = 0; r < rounds; r++)
		for (int i = 0; i < count; i++) {
			struct variant *v = &all[(i + r) % count];

			v->ns[r] = start_once(v);
		}
	for (int i = 0; i < count; i++) {
		long long whole = median(all[i].ns, rounds, NULL), more = median(all[i].ns, rounds, all[0].ns);

		printf("%s\t%lld\t%lld\n", all[i].name, whole, more);
	}
	return 0;
}
