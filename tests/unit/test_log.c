/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/util/err.c src/util/log.c */
/*
 * stderr is replaced by a datagram socket, where each write(2) is one datagram: what recv() returns
 * is exactly one write of the log's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ccr/log.h"

struct capture {
	int saved_stderr;
	int fd;
	char text[4096];
};

static int capture_begin(void **state)
{
	struct capture *c = calloc(1, sizeof(*c));
	int pair[2];

	assert_non_null(c);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	c->saved_stderr = dup(STDERR_FILENO);
	assert_int_equal(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
	close(pair[1]);
	c->fd = pair[0];
	*state = c;
	log_init(LOG_DEBUG);
	return 0;
}

static int capture_end(void **state)
{
	struct capture *c = *state;

	log_raw_terminal(false);
	dup2(c->saved_stderr, STDERR_FILENO);
	close(c->saved_stderr);
	close(c->fd);
	free(c);
	return 0;
}

/* The next message, or "" if there is none. */
static const char *next(struct capture *c)
{
	ssize_t nr = recv(c->fd, c->text, sizeof(c->text) - 1, MSG_DONTWAIT);

	c->text[nr > 0 ? nr : 0] = '\0';
	return c->text;
}

static void one_write_a_message(void **state)
{
	log_error("no %s", "way");
	log_warn("careful");
	log_info("%d things", 3);
	log_debug("inside");
	assert_string_equal(next(*state), "ccr-run: error: no way\n");
	assert_string_equal(next(*state), "ccr-run: warning: careful\n");
	assert_string_equal(next(*state), "ccr-run: 3 things\n");
	/* Debug messages say when. */
	assert_memory_equal(next(*state), "ccr-run: debug: [0.", 19);
	assert_non_null(strstr(((struct capture *)*state)->text, "] inside\n"));
	assert_string_equal(next(*state), "");
}

static void level_filters(void **state)
{
	log_init(LOG_WARN);
	log_info("not shown");
	log_debug("not shown");
	log_warn("shown");
	assert_string_equal(next(*state), "ccr-run: warning: shown\n");
	log_init(LOG_ERROR);
	log_warn("not shown");
	assert_string_equal(next(*state), "");
}

static void raw_terminal_gets_carriage_returns(void **state)
{
	log_raw_terminal(true);
	log_info("raw");
	log_raw_terminal(false);
	log_info("cooked");
	assert_string_equal(next(*state), "ccr-run: raw\r\n");
	assert_string_equal(next(*state), "ccr-run: cooked\n");
}

static void hostile_text_is_harmless(void **state)
{
	log_info("guest says %s", "\x1b[2J\r\n\xc2\x9b");
	assert_string_equal(next(*state), "ccr-run: guest says ?[2J????\n");
}

static void long_line_is_cut(void **state)
{
	char text[5000];
	const char *line;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	line = next(*state);
	assert_int_equal(strlen(line), strlen("ccr-run: ") + 1023 + 1);
	assert_string_equal(line + strlen(line) - 5, "x...\n");
}

static void errno_survives(void **state)
{
	struct log_limit limit = {0};

	(void)state;
	close(STDERR_FILENO);
	errno = EXDEV;
	log_info("nowhere to go");
	assert_false(log_allow(&limit));
	assert_int_equal(errno, EXDEV);
}

static void budget_is_kept_and_its_end_announced_once(void **state)
{
	struct log_limit limit = {.nr_left = 2};

	assert_true(log_allow(&limit));
	assert_true(log_allow(&limit));
	assert_string_equal(next(*state), "");
	for (int i = 0; i < 1000; i++)
		assert_false(log_allow(&limit));
	assert_string_equal(next(*state),
			    "ccr-run: warning: (further messages of this kind are not shown)\n");
	assert_string_equal(next(*state), "");
}

#define NR_THREADS 4
#define BUDGET     500

struct taker {
	struct log_limit *limit;
	int nr_taken;
};

static void *take(void *arg)
{
	struct taker *taker = arg;

	for (int i = 0; i < BUDGET; i++)
		taker->nr_taken += log_allow(taker->limit);
	return NULL;
}

static void budget_is_shared_by_threads(void **state)
{
	struct log_limit limit = {.nr_left = BUDGET};
	struct taker takers[NR_THREADS] = {0};
	pthread_t threads[NR_THREADS];
	int nr_taken = 0;

	for (int i = 0; i < NR_THREADS; i++) {
		takers[i].limit = &limit;
		assert_int_equal(pthread_create(&threads[i], NULL, take, &takers[i]), 0);
	}
	for (int i = 0; i < NR_THREADS; i++) {
		pthread_join(threads[i], NULL);
		nr_taken += takers[i].nr_taken;
	}
	assert_int_equal(nr_taken, BUDGET);
	assert_int_equal(limit.nr_left, -1);
	assert_string_not_equal(next(*state), "");
	assert_string_equal(next(*state), "");
}

/* What a terminal gets for log_warn("x"); the terminal is a new one of its own. */
static void warn_on_terminal(char text[64])
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	int saved = dup(STDERR_FILENO);
	ssize_t nr;
	int slave;

	if (master < 0)
		skip(); /* a chroot without /dev/pts */
	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	dup2(slave, STDERR_FILENO);
	log_init(LOG_WARN);
	log_warn("x");
	nr = read(master, text, 63);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(slave);
	close(master);
	assert_true(nr > 0);
	text[nr] = '\0';
}

/* The line discipline makes LF into CR LF here. */
static void terminal_gets_colour_unless_told_not_to(void **state)
{
	char text[64];

	(void)state;
	unsetenv("NO_COLOR");
	warn_on_terminal(text);
	assert_string_equal(text, "ccr-run: \x1b[1;33mwarning: \x1b[0mx\r\n");
	setenv("NO_COLOR", "", 1);
	warn_on_terminal(text);
	assert_string_equal(text, "ccr-run: \x1b[1;33mwarning: \x1b[0mx\r\n");
	setenv("NO_COLOR", "1", 1);
	warn_on_terminal(text);
	assert_string_equal(text, "ccr-run: warning: x\r\n");
	unsetenv("NO_COLOR");
}

/* A guest that starts its machine anew has new devices, with new budgets, as often as it likes. */
static void all_budgets_together_have_one(void **state)
{
	unsigned nr = 0, nr_said = 0;

	for (unsigned life = 0; life < 1000; life++) {
		struct log_limit limit = {.nr_left = 8};

		for (unsigned i = 0; i < 10; i++)
			nr += log_allow(&limit);
		for (const char *line = next(*state); *line; line = next(*state))
			nr_said++;
	}
	assert_in_range(nr, 1, 1024);
	assert_in_range(nr_said, 1, 1024 / 8 + 1);
	assert_string_equal(next(*state), "");
}

#define captured(test) cmocka_unit_test_setup_teardown(test, capture_begin, capture_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		captured(one_write_a_message),
		captured(level_filters),
		captured(raw_terminal_gets_carriage_returns),
		captured(hostile_text_is_harmless),
		captured(long_line_is_cut),
		captured(errno_survives),
		captured(budget_is_kept_and_its_end_announced_once),
		captured(budget_is_shared_by_threads),
		captured(terminal_gets_colour_unless_told_not_to),
		/* The last, since nothing is left of it. */
		captured(all_budgets_together_have_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
