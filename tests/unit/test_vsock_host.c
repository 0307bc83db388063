/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/host/vsock_host.c src/util/parse.c src/util/err.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ccr/vsock_host.h"

struct bench {
	char dir[32];
	char path[64];
	struct vsock_host_socket socket;
	struct ccr_err err;
};

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	strcpy(b->dir, "/tmp/test_vsock.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/vsock", b->dir);
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;
	int ret;

	unlink(b->path);
	ret = rmdir(b->dir);
	free(b);
	return ret;
}

static int client(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void test_accept(void **state)
{
	struct bench *b = *state;
	struct stat st;
	int fd, far;

	assert_int_equal(vsock_host_listen(&b->socket, b->path, &b->err), 0);
	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(vsock_host_accept(&b->socket), -EAGAIN);
	far = client(b->path);
	fd = vsock_host_accept(&b->socket);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	close(far);
	vsock_host_close(&b->socket);
	assert_int_equal(access(b->path, F_OK), -1);
}

static void test_path(void **state)
{
	struct bench *b = *state;
	struct vsock_host_socket other;
	char longest[128];
	int fd;

	assert_int_equal(vsock_host_listen(&b->socket, b->path, &b->err), 0);
	assert_int_equal(vsock_host_listen(&other, b->path, &b->err), -EADDRINUSE);
	assert_non_null(strstr(b->err.msg, "another program listens there"));
	/* Left by a program that was killed. */
	close(b->socket.fd);
	assert_int_equal(vsock_host_listen(&other, b->path, &b->err), 0);
	vsock_host_close(&other);
	free(b->socket.path);

	err_clear(&b->err);
	fd = open(b->path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(vsock_host_listen(&other, b->path, &b->err), -EEXIST);
	assert_non_null(strstr(b->err.msg, "a file that is no socket"));
	close(fd);
	unlink(b->path);

	err_clear(&b->err);
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[97] = '\0';
	assert_int_equal(vsock_host_listen(&other, longest, &b->err), -ENAMETOOLONG);
	assert_non_null(strstr(b->err.msg, "96 characters"));
	assert_int_equal(vsock_host_listen(&other, "/nowhere/vsock", &b->err), -ENOENT);
}

static void test_relative(void **state)
{
	struct bench *b = *state;
	char here[256];

	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir(b->dir), 0);
	assert_int_equal(vsock_host_listen(&b->socket, "vsock", &b->err), 0);
	assert_int_equal(chdir(here), 0);
	assert_string_equal(b->socket.path, b->path);
	vsock_host_close(&b->socket);
}

static int greet(const char *text, uint32_t *ret_port, char *rest)
{
	int pair[2], ret;
	ssize_t size;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	if (*text)
		assert_true(send(pair[0], text, strlen(text), 0) > 0);
	else
		shutdown(pair[0], SHUT_WR);
	ret = vsock_host_greet(pair[1], ret_port);
	size = recv(pair[1], rest, 63, 0);
	rest[size > 0 ? size : 0] = '\0';
	close(pair[0]);
	close(pair[1]);
	return ret;
}

static void test_greet(void **state)
{
	static const char *const wrong[] = {
		"CONNECT\n",        "CONNECT \n",   "CONNECT 4294967296\n",
		"CONNECT -1\n",     "CONNECT 5 \n", "connect 5\n",
		"GET / HTTP/1.1\n", "\n",           "CONNECT 00000000000000000000000000000005\n",
	};
	uint32_t port;
	char rest[64];

	(void)state;
	assert_int_equal(greet("CONNECT 52\n", &port, rest), 0);
	assert_int_equal(port, 52);
	assert_string_equal(rest, "");
	assert_int_equal(greet("CONNECT 4294967295\nGET /\n", &port, rest), 0);
	assert_int_equal(port, 4294967295u);
	assert_string_equal(rest, "GET /\n");
	assert_int_equal(greet("CONNECT 5", &port, rest), -EAGAIN);
	assert_string_equal(rest, "CONNECT 5");
	assert_int_equal(greet("", &port, rest), -ECONNRESET);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(greet(wrong[i], &port, rest), -EPROTO);
}

/* A NUL is neither the end of the line nor of the port. */
static void test_greet_nul(void **state)
{
	static const struct {
		char text[12];
		int ret;
	} lines[] = {{"CONNECT 5\0", -EAGAIN}, {"CONNECT 5\0\n", -EPROTO}};
	uint32_t port;
	int pair[2];

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
		assert_int_equal(send(pair[0], lines[i].text, 10 + i, 0), 10 + i);
		assert_int_equal(vsock_host_greet(pair[1], &port), lines[i].ret);
		close(pair[0]);
		close(pair[1]);
	}
}

static void test_accepted(void **state)
{
	char line[32];
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	vsock_host_accepted(pair[0], 4294967295u);
	assert_int_equal(recv(pair[1], line, sizeof(line), 0), 14);
	assert_memory_equal(line, "OK 4294967295\n", 14);
	close(pair[1]);
	/* No signal ends the machine. */
	vsock_host_accepted(pair[0], 1);
	close(pair[0]);
}

/* The other end of vsock_host_call(): what a machine would do with the greeting. */
struct machine {
	const struct vsock_host_socket *socket;
	const char *answer; /* NULL for none */
	uint32_t port;
};

static void *machine_main(void *arg)
{
	struct machine *machine = arg;
	int fd, ret = -EAGAIN;

	while ((fd = vsock_host_accept(machine->socket)) == -EAGAIN)
		usleep(1000);
	while ((ret = vsock_host_greet(fd, &machine->port)) == -EAGAIN)
		usleep(1000);
	if (machine->answer) {
		assert_int_equal(ret, 0);
		assert_true(send(fd, machine->answer, strlen(machine->answer), 0) > 0);
	}
	close(fd);
	return NULL;
}

static int call(struct bench *b, const char *answer, uint32_t *ret_port)
{
	struct machine machine = {.socket = &b->socket, .answer = answer};
	pthread_t thread;
	int ret;

	assert_int_equal(pthread_create(&thread, NULL, machine_main, &machine), 0);
	ret = vsock_host_call(b->path, 4294967295u, 30);
	pthread_join(thread, NULL);
	*ret_port = machine.port;
	return ret;
}

static void test_call(void **state)
{
	struct bench *b = *state;
	uint32_t port;
	char rest[8];
	int fd;

	assert_int_equal(vsock_host_call(b->path, 1, 1), -ENOENT);
	assert_int_equal(vsock_host_listen(&b->socket, b->path, &b->err), 0);
	fd = call(b, "OK 4294967295\nrest", &port);
	assert_true(fd >= 0);
	assert_int_equal(port, 4294967295u);
	assert_int_equal(recv(fd, rest, sizeof(rest), 0), 4);
	assert_memory_equal(rest, "rest", 4);
	close(fd);
	assert_int_equal(call(b, NULL, &port), -ECONNREFUSED);
	assert_int_equal(call(b, "220 mail.example\n", &port), -EPROTO);
	assert_int_equal(call(b, "OK 000000000000000000000000001\n", &port), -EPROTO);
	/* Nobody accepts: the time is over. */
	assert_int_equal(vsock_host_call(b->path, 1, 1), -EAGAIN);
	close(b->socket.fd);
	assert_int_equal(vsock_host_call(b->path, 1, 1), -ENOTCONN);
	free(b->socket.path);
}

#define HOST_TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOST_TEST(test_accept),          HOST_TEST(test_path),
		HOST_TEST(test_relative),        HOST_TEST(test_call),
		cmocka_unit_test(test_greet),    cmocka_unit_test(test_greet_nul),
		cmocka_unit_test(test_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
