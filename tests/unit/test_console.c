/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/vm/console.c src/host/chardev.c src/host/chardev_file.c src/host/chardev_pty.c
 *	src/host/chardev_socket.c src/host/chardev_stdio.c src/util/err.c src/util/log.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ccr/console.h"
#include "ccr/log.h"

/* A console of two sockets: what it is based on, and who is attached. */
struct bench {
	struct console console;
	int base, client;
};

static int attach(struct bench *bench)
{
	int fds[2], ret;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	ret = console_attach(&bench->console, fds[0]);
	if (ret) {
		close(fds[0]);
		close(fds[1]);
	} else {
		bench->client = fds[1];
	}
	return ret;
}

static int begin(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int fds[2];

	assert_non_null(bench);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	assert_int_equal(chardev_adopt(&bench->console.base, fds[0]), 0);
	bench->base = fds[1];
	bench->client = -1;
	*state = bench;
	return 0;
}

static int end(void **state)
{
	struct bench *bench = *state;

	console_close(&bench->console);
	close(bench->base);
	close(bench->client);
	free(bench);
	return 0;
}

static void serve(struct console *console, bool wants_input)
{
	struct pollfd fds[CONSOLE_NR_FDS];

	console_set_fds(console, wants_input, fds);
	poll(fds, CONSOLE_NR_FDS, 0);
	console_serve(console, fds);
}

static void put(struct console *console, const char *text)
{
	console_write(console, (const uint8_t *)text, strlen(text));
}

static void type(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* What has arrived at @fd is exactly @text. */
static void assert_got(int fd, const char *text)
{
	char bytes[64];
	const ssize_t size = read(fd, bytes, sizeof(bytes));

	assert_int_equal(size < 0 ? 0 : size, strlen(text));
	assert_memory_equal(bytes, text, strlen(text));
}

static void assert_read(struct console *console, const char *text, enum console_request request)
{
	uint8_t bytes[64];
	size_t size = 99;

	serve(console, true);
	assert_int_equal(console_read(console, bytes, sizeof(bytes), &size), request);
	assert_int_equal(size, strlen(text));
	assert_memory_equal(bytes, text, size);
}

static void test_output_goes_to_both(void **state)
{
	struct bench *bench = *state;

	put(&bench->console, "alone ");
	assert_int_equal(attach(bench), 0);
	put(&bench->console, "both ");
	console_detach(&bench->console);
	put(&bench->console, "alone again");
	assert_got(bench->base, "alone both alone again");
	assert_got(bench->client, "both ");
	assert_got(bench->client, "");
}

static void test_input_comes_from_both(void **state)
{
	struct bench *bench = *state;

	bench->console.base.is_terminal = true;
	assert_int_equal(attach(bench), 0);
	assert_read(&bench->console, "", CONSOLE_NONE);
	type(bench->base, "a\x01\x01");
	assert_read(&bench->console, "a\x01", CONSOLE_NONE);
	/* Our keys are not the client's. */
	type(bench->client, "b\x01x");
	assert_read(&bench->console, "b\x01x", CONSOLE_NONE);
	type(bench->base, "c\x01xd");
	type(bench->client, "e");
	assert_read(&bench->console, "c", CONSOLE_QUIT);
	assert_read(&bench->console, "e", CONSOLE_NONE);
	assert_read(&bench->console, "", CONSOLE_NONE);
}

static void test_one_client(void **state)
{
	struct bench *bench = *state;
	int first;

	assert_int_equal(console_attach(&bench->console, STDERR_FILENO), -ENOTSOCK);
	assert_int_equal(attach(bench), 0);
	first = bench->client;
	assert_int_equal(attach(bench), -EBUSY);
	assert_int_equal(bench->client, first);
	/* It hangs up. What it has typed last waits, but holds up nobody. */
	type(first, "never read");
	close(first);
	serve(&bench->console, false);
	assert_int_equal(attach(bench), 0);
	put(&bench->console, "x");
	assert_got(bench->client, "x");
	console_detach(&bench->console);
	console_detach(&bench->console);
	assert_false(chardev_is_open(&bench->console.client));
}

static void fill(struct console *console)
{
	static const uint8_t zeros[256];
	size_t room;

	while ((room = console_room(console)) > 0)
		console_write(console, zeros, room < sizeof(zeros) ? room : sizeof(zeros));
}

static void test_patience(void **state)
{
	struct bench *bench = *state;
	struct chardev *base = &bench->console.base;

	base->is_patient = true;
	fill(&bench->console);
	assert_true(console_has_output(&bench->console));
	assert_false(console_is_stalled(&bench->console));
	assert_in_range(console_timeout_ms(&bench->console), 1, CHARDEV_STALL_MS);
	base->moved_ms -= CHARDEV_STALL_MS;
	assert_int_equal(console_timeout_ms(&bench->console), 0);
	serve(&bench->console, false);
	assert_true(console_is_stalled(&bench->console));
	assert_int_equal(console_timeout_ms(&bench->console), -1);
	assert_int_equal(console_room(&bench->console), 0);

	/* Who is attached does not have to wait for it. */
	assert_int_equal(attach(bench), 0);
	assert_false(console_is_stalled(&bench->console));
	assert_int_equal(console_room(&bench->console), CHARDEV_QUEUE_SIZE);
	put(&bench->console, "news");
	assert_got(bench->client, "news");
	console_detach(&bench->console);
	assert_int_equal(console_room(&bench->console), 0);
}

/* Nobody waits for a client that takes nothing. */
static void test_slow_client(void **state)
{
	struct bench *bench = *state;
	char bytes[4096];

	assert_int_equal(attach(bench), 0);
	while (console_room(&bench->console) > 0) {
		fill(&bench->console);
		while (read(bench->base, bytes, sizeof(bytes)) > 0)
			serve(&bench->console, false);
	}
	assert_false(chardev_has_output(&bench->console.base));
	assert_in_range(console_timeout_ms(&bench->console), 1, CHARDEV_STALL_MS);
	bench->console.client.moved_ms -= CHARDEV_STALL_MS;
	serve(&bench->console, false);
	assert_int_equal(console_room(&bench->console), CHARDEV_QUEUE_SIZE);
	put(&bench->console, "news");
	assert_got(bench->base, "news");
}

static void test_open(void **state)
{
	const struct chardev_config none = {.kind = CHARDEV_NONE};
	struct console console;
	struct ccr_err err = {0};

	(void)state;
	assert_int_equal(console_open(&console, &none, &err), 0);
	put(&console, "x");
	assert_false(console_has_output(&console));
	console_close(&console);
	console_close(&console);
}

#define with_bench(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_bench(test_output_goes_to_both), with_bench(test_input_comes_from_both),
		with_bench(test_one_client),          with_bench(test_patience),
		with_bench(test_slow_client),         cmocka_unit_test(test_open),
	};

	log_init(LOG_ERROR);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
