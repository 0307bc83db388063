/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/host/chardev.c src/host/chardev_file.c src/host/chardev_pty.c
 *	src/host/chardev_socket.c src/host/chardev_stdio.c src/host/disk.c src/util/err.c
 *	src/util/log.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ccr/chardev.h"
#include "ccr/disk.h"
#include "ccr/log.h"

#define WAIT_MS 10000 /* generous: only a failure waits so long */

struct bench {
	char dir[32];
	char path[64];
	struct chardev dev;
	struct ccr_err err;
};

static int begin(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	strcpy(bench->dir, "/tmp/test-chardev-XXXXXX");
	assert_non_null(mkdtemp(bench->dir));
	snprintf(bench->path, sizeof(bench->path), "%s/it", bench->dir);
	*state = bench;
	return 0;
}

static int end(void **state)
{
	struct bench *bench = *state;

	chardev_close(&bench->dev);
	unlink(bench->path);
	assert_int_equal(rmdir(bench->dir), 0);
	free(bench);
	return 0;
}

static int try_open(struct bench *bench, enum chardev_kind kind)
{
	const struct chardev_config config = {.kind = kind, .path = bench->path};

	err_clear(&bench->err);
	return chardev_open(&bench->dev, &config, &bench->err);
}

static void open_kind(struct bench *bench, enum chardev_kind kind)
{
	assert_int_equal(try_open(bench, kind), 0);
	assert_true(chardev_is_open(&bench->dev));
}

static void assert_refused(struct bench *bench, enum chardev_kind kind, int code, const char *text)
{
	assert_int_equal(try_open(bench, kind), code);
	assert_int_equal(bench->err.code, code);
	assert_non_null(strstr(bench->err.msg, text));
	assert_false(chardev_is_open(&bench->dev));
}

/* One round of an event loop. Return: descriptors that were ready. */
static int serve(struct chardev *dev, bool wants_input, int wait_ms)
{
	struct pollfd fds[CHARDEV_NR_FDS];
	int nr_ready;

	chardev_set_fds(dev, wants_input, fds);
	nr_ready = poll(fds, CHARDEV_NR_FDS, wait_ms);
	chardev_serve(dev, fds);
	return nr_ready;
}

/* Rounds until there is nothing to do; an end that stays ready for ever fails. */
static void settle(struct chardev *dev)
{
	unsigned nr = 0;

	while (serve(dev, false, 50) > 0)
		assert_true(++nr < 100);
}

static void put(struct chardev *dev, const char *text)
{
	chardev_write(dev, (const uint8_t *)text, strlen(text));
}

/* Output of @size bytes, that differ. */
static void put_much(struct chardev *dev, size_t size)
{
	uint8_t byte;

	for (size_t i = 0; i < size; i++) {
		byte = (uint8_t)('a' + i % 26);
		chardev_write(dev, &byte, 1);
	}
}

/* The guest reads what it is given: exactly @text. */
static void assert_input(struct chardev *dev, const char *text)
{
	uint8_t bytes[256];
	size_t size = 0;

	while (size < strlen(text)) {
		assert_true(serve(dev, true, WAIT_MS) > 0);
		size += chardev_read(dev, bytes + size, sizeof(bytes) - size);
	}
	assert_int_equal(size, strlen(text));
	assert_memory_equal(bytes, text, size);
}

/* The peer reads exactly @text, while the end is served. */
static void assert_output(struct chardev *dev, int fd, const char *text)
{
	char bytes[256];
	size_t size = 0;

	while (size < strlen(text)) {
		ssize_t got;

		serve(dev, false, 10);
		got = read(fd, bytes + size, strlen(text) - size);
		assert_true(got > 0);
		size += (size_t)got;
	}
	assert_memory_equal(bytes, text, size);
}

static void assert_file(const char *path, const char *text)
{
	char bytes[256];
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t size = read(fd, bytes, sizeof(bytes));

	close(fd);
	assert_int_equal(size, strlen(text));
	assert_memory_equal(bytes, text, strlen(text));
}

static void make_file(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

/* Names. */

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		enum chardev_kind kind;
		const char *path;
	} good[] = {
		{"stdio", CHARDEV_STDIO, NULL},    {"pty", CHARDEV_PTY, NULL},
		{"none", CHARDEV_NONE, NULL},      {"file:x", CHARDEV_FILE, "x"},
		{"file:a:b", CHARDEV_FILE, "a:b"}, {"socket:/run/x", CHARDEV_SOCKET, "/run/x"},
	};
	static const char *const bad[] = {
		"",      "stdi",   "stdiox",  "stdio:", "stdio:x", "pty:/x", "none:",   "file",
		"file:", "socket", "socket:", ":",      "tty",     "File:x", " file:x", "unix:/x"};
	struct chardev_config config;
	struct ccr_err err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(chardev_parse(good[i].text, &config, &err), 0);
		assert_int_equal(config.kind, good[i].kind);
		if (good[i].path)
			assert_string_equal(config.path, good[i].path);
		else
			assert_null(config.path);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err_clear(&err);
		assert_int_equal(chardev_parse(bad[i], &config, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "not stdio, pty, file:FILE"));
	}
}

static void test_closed(void **state)
{
	struct chardev dev = {0};
	struct pollfd fds[CHARDEV_NR_FDS];
	uint8_t byte;

	(void)state;
	assert_false(chardev_is_open(&dev));
	put(&dev, "x");
	assert_int_equal(chardev_room(&dev), CHARDEV_QUEUE_SIZE);
	assert_false(chardev_has_output(&dev));
	assert_int_equal(chardev_timeout_ms(&dev), -1);
	chardev_set_fds(&dev, true, fds);
	for (unsigned i = 0; i < CHARDEV_NR_FDS; i++) {
		assert_int_equal(fds[i].fd, -1);
		fds[i].revents = POLLIN | POLLOUT | POLLHUP;
	}
	chardev_serve(&dev, fds);
	assert_int_equal(chardev_read(&dev, &byte, 1), 0);
	chardev_close(&dev);
}

static void test_none(void **state)
{
	struct bench *bench = *state;

	open_kind(bench, CHARDEV_NONE);
	put_much(&bench->dev, 2 * CHARDEV_QUEUE_SIZE);
	assert_int_equal(chardev_room(&bench->dev), CHARDEV_QUEUE_SIZE);
	assert_false(chardev_has_output(&bench->dev));
	assert_int_equal(serve(&bench->dev, true, 0), 0);
}

/* Files. */

static void test_file(void **state)
{
	struct bench *bench = *state;

	make_file(bench->path, "what the last run has said");
	open_kind(bench, CHARDEV_FILE);
	put(&bench->dev, "one\n");
	assert_file(bench->path, "one\n");
	assert_int_equal(mode_of(bench->path), 0640);
	/* Somebody rotates it. */
	assert_int_equal(truncate(bench->path, 0), 0);
	put(&bench->dev, "two\n");
	assert_file(bench->path, "two\n");
	assert_int_equal(serve(&bench->dev, true, 0), 0);
	/* It stays when the machine has ended. */
	chardev_close(&bench->dev);
	assert_file(bench->path, "two\n");
}

static void test_new_file(void **state)
{
	struct bench *bench = *state;

	open_kind(bench, CHARDEV_FILE);
	put(&bench->dev, "x");
	assert_int_equal(mode_of(bench->path), 0600);
}

static void test_file_in_use(void **state)
{
	struct bench *bench = *state;
	struct chardev other = {0};
	const struct chardev_config config = {.kind = CHARDEV_FILE, .path = bench->path};
	struct disk disk;
	char sector[DISK_SECTOR_SIZE + 1] = {0};

	assert_int_equal(chardev_open(&other, &config, &bench->err), 0);
	put(&other, "precious");
	assert_refused(bench, CHARDEV_FILE, -EBUSY, "is in use by another machine");
	assert_file(bench->path, "precious");
	chardev_close(&other);

	memset(sector, 'd', DISK_SECTOR_SIZE);
	make_file(bench->path, sector);
	assert_int_equal(disk_open(&disk, bench->path, DISK_READ_ONLY, &bench->err), 0);
	assert_refused(bench, CHARDEV_FILE, -EBUSY, "is in use");
	assert_int_equal(disk.size, DISK_SECTOR_SIZE);
	disk_close(&disk);
}

static void test_not_a_file(void **state)
{
	struct bench *bench = *state;
	const struct chardev_config nowhere = {.kind = CHARDEV_FILE, .path = "/nowhere/at/all"};

	assert_int_equal(mkdir(bench->path, 0700), 0);
	assert_refused(bench, CHARDEV_FILE, -EISDIR, "Is a directory");
	assert_int_equal(rmdir(bench->path), 0);
	assert_int_equal(mkfifo(bench->path, 0600), 0);
	assert_refused(bench, CHARDEV_FILE, -ENXIO, "a pipe that nobody reads");
	assert_int_equal(chardev_open(&bench->dev, &nowhere, &bench->err), -ENOENT);
}

static void test_full_file(void **state)
{
	struct bench *bench = *state;
	const struct chardev_config full = {.kind = CHARDEV_FILE, .path = "/dev/full"};

	assert_int_equal(chardev_open(&bench->dev, &full, &bench->err), 0);
	put(&bench->dev, "x");
	assert_true(bench->dev.drops);
	put_much(&bench->dev, 2 * CHARDEV_QUEUE_SIZE);
	assert_int_equal(chardev_room(&bench->dev), CHARDEV_QUEUE_SIZE);
	assert_int_equal(serve(&bench->dev, true, 0), 0);
}

/* Sockets. */

static int unix_socket(void)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval limit = {.tv_sec = WAIT_MS / 1000};

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	return fd;
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, path);
	return address;
}

static int dial(const char *path)
{
	const struct sockaddr_un address = address_of(path);
	const int fd = unix_socket();

	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static int dial_and_settle(struct bench *bench)
{
	const int fd = dial(bench->path);

	settle(&bench->dev);
	return fd;
}

static void assert_end_of(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
}

static void type(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void test_socket(void **state)
{
	struct bench *bench = *state;
	int fd;

	open_kind(bench, CHARDEV_SOCKET);
	assert_int_equal(mode_of(bench->path), 0600);
	assert_int_equal(serve(&bench->dev, true, 0), 0);
	put(&bench->dev, "before ");
	assert_false(chardev_has_output(&bench->dev));
	fd = dial_and_settle(bench);
	put(&bench->dev, "after");
	assert_output(&bench->dev, fd, "before after");
	type(fd, "typed");
	assert_input(&bench->dev, "typed");
	close(fd);
	settle(&bench->dev);

	/* The next one gets what nobody has seen. */
	put(&bench->dev, "between ");
	fd = dial_and_settle(bench);
	put(&bench->dev, "again");
	assert_output(&bench->dev, fd, "between again");
	chardev_close(&bench->dev);
	assert_end_of(fd);
	assert_int_equal(access(bench->path, F_OK), -1);
}

/* A client that the guest's output finds, before the loop does. */
static void test_socket_writes_first(void **state)
{
	struct bench *bench = *state;
	int fd;

	open_kind(bench, CHARDEV_SOCKET);
	fd = dial(bench->path);
	put(&bench->dev, "hello");
	assert_output(&bench->dev, fd, "hello");
	close(fd);
}

static void test_second_client(void **state)
{
	static const char why[] = "ccr-run: this console has another client\r\n";
	struct bench *bench = *state;
	int first, second;

	open_kind(bench, CHARDEV_SOCKET);
	first = dial_and_settle(bench);
	second = dial_and_settle(bench);
	assert_output(&bench->dev, second, why);
	assert_end_of(second);
	put(&bench->dev, "for the first");
	assert_output(&bench->dev, first, "for the first");
	/* One that takes over at once, both seen in the same round. */
	close(first);
	second = dial_and_settle(bench);
	put(&bench->dev, "for the second");
	assert_output(&bench->dev, second, "for the second");
	close(second);
}

/* `echo reboot | nc -UN PATH`: it says something, and then only listens. */
static void test_half_closed(void **state)
{
	struct bench *bench = *state;
	uint8_t byte;
	int fd;

	open_kind(bench, CHARDEV_SOCKET);
	fd = dial_and_settle(bench);
	type(fd, "once");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_input(&bench->dev, "once");
	assert_true(serve(&bench->dev, true, WAIT_MS) > 0);
	assert_int_equal(chardev_read(&bench->dev, &byte, 1), 0);
	/* Its end is seen once, and does not keep the loop busy. */
	assert_int_equal(serve(&bench->dev, true, 0), 0);
	put(&bench->dev, "answer");
	assert_output(&bench->dev, fd, "answer");
	close(fd);
	settle(&bench->dev);
	assert_int_equal(bench->dev.own_fd, -1);
}

/* What was typed before it hung up still reaches the guest, unless another client comes. */
static void test_last_words(void **state)
{
	struct bench *bench = *state;
	int fd;

	open_kind(bench, CHARDEV_SOCKET);
	fd = dial_and_settle(bench);
	type(fd, "bye");
	close(fd);
	settle(&bench->dev);
	assert_input(&bench->dev, "bye");

	fd = dial_and_settle(bench);
	type(fd, "never read");
	close(fd);
	settle(&bench->dev);
	fd = dial_and_settle(bench);
	type(fd, "new");
	assert_input(&bench->dev, "new");
	close(fd);
}

/* It connects and does not read: what it misses is the middle. */
static void test_slow_client(void **state)
{
	struct bench *bench = *state;
	static char bytes[1 << 20];
	size_t size = 0, nr_written = 0, room;
	int fd;

	open_kind(bench, CHARDEV_SOCKET);
	fd = dial_and_settle(bench);
	while ((room = chardev_room(&bench->dev)) > 0 && nr_written < sizeof(bytes)) {
		put_much(&bench->dev, room);
		nr_written += room;
	}
	assert_int_equal(chardev_room(&bench->dev), 0);
	assert_true(chardev_timeout_ms(&bench->dev) > 0);
	/* As long as it may be slow, it loses nothing. */
	assert_int_equal(serve(&bench->dev, false, 0), 0);
	assert_int_equal(chardev_room(&bench->dev), 0);

	bench->dev.moved_ms -= CHARDEV_STALL_MS;
	assert_int_equal(chardev_timeout_ms(&bench->dev), 0);
	assert_int_equal(serve(&bench->dev, false, 0), 0);
	assert_int_equal(chardev_room(&bench->dev), CHARDEV_QUEUE_SIZE);
	assert_int_equal(chardev_timeout_ms(&bench->dev), -1);
	put_much(&bench->dev, 3 * CHARDEV_QUEUE_SIZE);
	put(&bench->dev, "the end");

	/* Once it reads, it gets the latest, and counts as awake. */
	for (ssize_t got = 1; got > 0; size += got > 0 ? (size_t)got : 0) {
		serve(&bench->dev, false, 10);
		got = recv(fd, bytes + size, sizeof(bytes) - size, MSG_DONTWAIT);
	}
	assert_int_equal(size, nr_written);
	assert_memory_equal(bytes + size - 7, "the end", 7);
	assert_false(bench->dev.is_stalled);
	close(fd);
}

static void test_stale_socket(void **state)
{
	struct bench *bench = *state;
	const struct sockaddr_un address = address_of(bench->path);
	const int dead = unix_socket();
	int fd;

	assert_int_equal(bind(dead, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(dead, 1), 0);
	assert_refused(bench, CHARDEV_SOCKET, -EADDRINUSE, "somebody listens on the socket");
	assert_int_equal(access(bench->path, F_OK), 0);
	close(dead);
	open_kind(bench, CHARDEV_SOCKET);
	fd = dial_and_settle(bench);
	put(&bench->dev, "x");
	assert_output(&bench->dev, fd, "x");
	close(fd);
}

static void test_socket_of_running_machine(void **state)
{
	struct bench *bench = *state;
	const struct chardev_config config = {.kind = CHARDEV_SOCKET, .path = bench->path};
	struct chardev other = {0};
	int fds[4];

	/* Also while its queue of clients is full. */
	assert_int_equal(chardev_open(&other, &config, &bench->err), 0);
	assert_refused(bench, CHARDEV_SOCKET, -EADDRINUSE, "somebody listens");
	for (unsigned i = 0; i < 4; i++) {
		const struct sockaddr_un address = address_of(bench->path);

		fds[i] = unix_socket();
		assert_int_equal(fcntl(fds[i], F_SETFL, O_NONBLOCK), 0);
		(void)!connect(fds[i], (const struct sockaddr *)&address, sizeof(address));
	}
	assert_refused(bench, CHARDEV_SOCKET, -EADDRINUSE, "somebody listens");
	for (unsigned i = 0; i < 4; i++)
		close(fds[i]);
	chardev_close(&other);
}

static void test_not_a_socket(void **state)
{
	struct bench *bench = *state;
	char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	const struct chardev_config config = {.kind = CHARDEV_SOCKET, .path = name};

	make_file(bench->path, "precious");
	assert_refused(bench, CHARDEV_SOCKET, -EEXIST, "is not a socket");
	assert_file(bench->path, "precious");
	assert_int_equal(unlink(bench->path), 0);
	assert_int_equal(symlink("/dev/null", bench->path), 0);
	assert_refused(bench, CHARDEV_SOCKET, -EEXIST, "is not a socket");

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	err_clear(&bench->err);
	assert_int_equal(chardev_open(&bench->dev, &config, &bench->err), -ENAMETOOLONG);
	assert_non_null(strstr(bench->err.msg, "longer than 107 bytes"));
}

/* Somebody has put another thing in its place, which is not ours to remove. */
static void test_replaced_socket(void **state)
{
	struct bench *bench = *state;

	open_kind(bench, CHARDEV_SOCKET);
	assert_int_equal(unlink(bench->path), 0);
	make_file(bench->path, "precious");
	chardev_close(&bench->dev);
	assert_file(bench->path, "precious");
}

/* Pseudo-terminals. */

static int open_slave(const struct bench *bench)
{
	const int fd = ioctl(bench->dev.own_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void assert_raw(int fd)
{
	struct termios now;

	assert_int_equal(tcgetattr(fd, &now), 0);
	assert_int_equal(now.c_lflag & (ICANON | ECHO | ISIG | IEXTEN), 0);
	assert_int_equal(now.c_oflag & OPOST, 0);
	assert_int_equal(now.c_iflag & (ICRNL | IXON), 0);
}

static void test_pty(void **state)
{
	struct bench *bench = *state;
	struct termios cooked;
	int fd;

	open_kind(bench, CHARDEV_PTY);
	settle(&bench->dev);
	put(&bench->dev, "before ");
	fd = open_slave(bench);
	assert_raw(fd);
	put(&bench->dev, "after\n\x03");
	assert_output(&bench->dev, fd, "before after\n\x03");
	type(fd, "typed\r\x03");
	assert_input(&bench->dev, "typed\r\x03");

	assert_int_equal(tcgetattr(fd, &cooked), 0);
	cooked.c_lflag |= ICANON | ECHO;
	assert_int_equal(tcsetattr(fd, TCSANOW, &cooked), 0);
	close(fd);
	assert_true(serve(&bench->dev, true, WAIT_MS) > 0);
	assert_int_equal(chardev_read(&bench->dev, (uint8_t[1]){0}, 1), 0);
	settle(&bench->dev);
	assert_int_equal(serve(&bench->dev, true, 0), 0);

	/* It is still there for the next, who finds it raw. */
	put(&bench->dev, "between");
	fd = open_slave(bench);
	assert_raw(fd);
	put(&bench->dev, " again");
	assert_output(&bench->dev, fd, "between again");
	close(fd);
}

/* The guest is silent: it is the key that is noticed. */
static void test_pty_input_first(void **state)
{
	struct bench *bench = *state;

	open_kind(bench, CHARDEV_PTY);
	settle(&bench->dev);
	for (unsigned i = 0; i < 3; i++) {
		const int fd = open_slave(bench);

		type(fd, "key");
		assert_true(serve(&bench->dev, true, WAIT_MS) > 0);
		assert_input(&bench->dev, "key");
		close(fd);
		assert_true(serve(&bench->dev, true, WAIT_MS) > 0);
		assert_int_equal(chardev_read(&bench->dev, (uint8_t[1]){0}, 1), 0);
		settle(&bench->dev);
	}
}

/* As `echo key > /dev/pts/N` does, and somebody who only reads comes after it. */
static void test_pty_input_alone(void **state)
{
	struct bench *bench = *state;
	int fd;

	open_kind(bench, CHARDEV_PTY);
	settle(&bench->dev);
	for (unsigned i = 0; i < 3; i++) {
		fd = open_slave(bench);
		type(fd, "key");
		close(fd);
		assert_true(serve(&bench->dev, true, WAIT_MS) > 0);
		assert_input(&bench->dev, "key");
		assert_true(serve(&bench->dev, true, WAIT_MS) > 0);
		assert_int_equal(chardev_read(&bench->dev, (uint8_t[1]){0}, 1), 0);
		settle(&bench->dev);
		assert_int_equal(serve(&bench->dev, true, 0), 0);
	}
	fd = open_slave(bench);
	put(&bench->dev, "answer");
	assert_output(&bench->dev, fd, "answer");
	close(fd);
}

static void test_pty_without_reader(void **state)
{
	struct bench *bench = *state;
	char bytes[8];
	int fd;

	open_kind(bench, CHARDEV_PTY);
	put_much(&bench->dev, 3 * CHARDEV_QUEUE_SIZE);
	put(&bench->dev, "the end");
	assert_int_equal(chardev_room(&bench->dev), CHARDEV_QUEUE_SIZE);
	settle(&bench->dev);
	fd = open_slave(bench);
	for (size_t left = CHARDEV_QUEUE_SIZE - 7; left > 0; left--) {
		put(&bench->dev, "");
		serve(&bench->dev, false, 0);
		assert_int_equal(read(fd, bytes, 1), 1);
	}
	assert_output(&bench->dev, fd, "the end");

	/* And one who has it open, but sleeps. */
	for (unsigned i = 0; i < 1 << 20 && chardev_room(&bench->dev) > 0; i++)
		put_much(&bench->dev, 1);
	assert_int_equal(chardev_room(&bench->dev), 0);
	bench->dev.moved_ms -= CHARDEV_STALL_MS;
	serve(&bench->dev, false, 0);
	assert_int_equal(chardev_room(&bench->dev), CHARDEV_QUEUE_SIZE);
	close(fd);
}

/* Standard output. */

/* In a child, whose stdout is @fd. Return: its verdict. */
static int with_stdout(int fd, int (*run)(struct chardev *dev))
{
	struct chardev dev = {0};
	struct ccr_err err = {0};

	fflush(NULL);
	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	if (chardev_open(&dev, &(struct chardev_config){0}, &err))
		return 1;
	return run(&dev);
}

/* Nobody reads, and it waits: patiently, but without blocking. Return: 42. */
static int fill(struct chardev *dev)
{
	for (unsigned i = 0; i < 1 << 20 && chardev_room(dev) > 0; i++)
		put_much(dev, 1);
	if (chardev_room(dev) != 0)
		return 2;
	dev->moved_ms -= CHARDEV_STALL_MS;
	serve(dev, false, 0);
	return dev->is_stalled && chardev_room(dev) == 0 ? 42 : 3;
}

static int fill_what_may_block(struct chardev *dev)
{
	dev->own_fd = dup2(STDOUT_FILENO, dev->own_fd);
	dev->may_block = true;
	return fill(dev);
}

static void assert_fills(int fd, int (*run)(struct chardev *dev))
{
	const pid_t child = fork();
	int status = 0;

	if (child == 0) {
		alarm(60);
		_exit(with_stdout(fd, run));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	/* Others that write there too find it as it was. */
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
}

static void test_blocked_stdout(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_fills(fds[1], fill);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_fills(fds[1], fill_what_may_block);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_fills(fds[1], fill);
	close(fds[0]);
	close(fds[1]);
}

/* An attached client. */

static void test_adopt(void **state)
{
	struct bench *bench = *state;
	int fds[2], datagrams[2];

	assert_int_equal(chardev_adopt(&bench->dev, STDERR_FILENO), -ENOTSOCK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, datagrams), 0);
	assert_int_equal(chardev_adopt(&bench->dev, datagrams[0]), -ENOTSOCK);
	assert_int_equal(fcntl(datagrams[0], F_GETFD), FD_CLOEXEC);
	close(datagrams[0]);
	close(datagrams[1]);
	assert_false(chardev_is_open(&bench->dev));

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(chardev_adopt(&bench->dev, fds[0]), 0);
	put(&bench->dev, "out");
	assert_output(&bench->dev, fds[1], "out");
	type(fds[1], "in");
	assert_input(&bench->dev, "in");
	close(fds[1]);
	assert_true(serve(&bench->dev, true, WAIT_MS) > 0);
	assert_int_equal(chardev_read(&bench->dev, (uint8_t[1]){0}, 1), 0);
	assert_false(chardev_is_open(&bench->dev));
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);

	/* One that leaves while it is written to. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(chardev_adopt(&bench->dev, fds[0]), 0);
	close(fds[1]);
	put(&bench->dev, "x");
	serve(&bench->dev, true, 0);
	chardev_read(&bench->dev, (uint8_t[1]){0}, 1);
	assert_false(chardev_is_open(&bench->dev));
}

#define with_bench(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_closed),
		with_bench(test_none),
		with_bench(test_file),
		with_bench(test_new_file),
		with_bench(test_file_in_use),
		with_bench(test_not_a_file),
		with_bench(test_full_file),
		with_bench(test_socket),
		with_bench(test_socket_writes_first),
		with_bench(test_second_client),
		with_bench(test_half_closed),
		with_bench(test_last_words),
		with_bench(test_slow_client),
		with_bench(test_stale_socket),
		with_bench(test_socket_of_running_machine),
		with_bench(test_not_a_socket),
		with_bench(test_replaced_socket),
		with_bench(test_pty),
		with_bench(test_pty_input_first),
		with_bench(test_pty_input_alone),
		with_bench(test_pty_without_reader),
		cmocka_unit_test(test_blocked_stdout),
		with_bench(test_adopt),
	};

	log_init(LOG_ERROR);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
