/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/host/vsock_host.c src/util/parse.c src/util/err.c */
/*
 * Property: what a program sends that has connected to a vsock's socket, in two pieces, is waited
 * for only while it may still become a line of CONNECT and a port; it is taken if it is one, and
 * then what stands behind the line, and nothing else, is left for the guest.
 *
 * The first byte of an input is the size of the first piece.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ccr/vsock_host.h"
#include "fuzz.h"

#define GREETING      "CONNECT "
#define GREETING_SIZE (sizeof(GREETING) - 1)
#define MAX_LINE      (sizeof("CONNECT 4294967295\n") - 1)

/* Return: its value as a hexadecimal digit; 16 if it is none. */
static unsigned value_of(uint8_t byte)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = byte ? strchr(digits, tolower(byte)) : NULL;

	return at ? (unsigned)(at - digits) : 16;
}

/* The grammar, written differently: @line ends before its newline. */
static bool is_greeting(const uint8_t *line, size_t size, uint64_t *ret_port)
{
	const uint8_t *at = line + GREETING_SIZE, *const end = line + size;
	unsigned base = 10;

	if (size <= GREETING_SIZE || memcmp(line, GREETING, GREETING_SIZE) != 0)
		return false;
	if (end - at > 2 && at[0] == '0' && at[1] == 'x') {
		base = 16;
		at += 2;
	}
	for (*ret_port = 0; at < end; at++) {
		if (value_of(*at) >= base)
			return false;
		*ret_port = *ret_port * base + value_of(*at);
	}
	return *ret_port <= UINT32_MAX;
}

/* What is left of @size bytes at @data, and nothing more. */
static void check_rest(int fd, const uint8_t *data, size_t size)
{
	uint8_t bytes[256];
	ssize_t done;

	while ((done = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
		require((size_t)done <= size && !memcmp(bytes, data, (size_t)done));
		data += done;
		size -= (size_t)done;
	}
	require(size == 0);
}

/* After @size bytes of the stream. Return: there is nothing more to wait for. */
static bool check_greeting(int fd, const uint8_t *data, size_t size)
{
	const size_t room = size < MAX_LINE ? size : MAX_LINE;
	const uint8_t *end = room > 0 ? memchr(data, '\n', room) : NULL;
	uint32_t port = 0;
	const int ret = vsock_host_greet(fd, &port);
	uint64_t wanted;

	if (!end) {
		require(ret == (room == MAX_LINE ? -EPROTO : -EAGAIN));
		return ret != -EAGAIN;
	}
	if (!is_greeting(data, (size_t)(end - data), &wanted)) {
		require(ret == -EPROTO);
		return true;
	}
	require(ret == 0 && port == wanted);
	check_rest(fd, end + 1, size - (size_t)(end + 1 - data));
	return true;
}

static void deliver(int fd, const uint8_t *data, size_t size)
{
	require(size == 0 || send(fd, data, size, 0) == (ssize_t)size);
}

static void check(int client, int fd, const uint8_t *data, size_t size, size_t first)
{
	uint32_t port;

	deliver(client, data, first);
	if (check_greeting(fd, data, first))
		return;
	deliver(client, data + first, size - first);
	if (check_greeting(fd, data, size))
		return;
	/* Nobody will write the rest of the line. */
	recv(fd, (uint8_t[MAX_LINE]){0}, MAX_LINE, 0);
	shutdown(client, SHUT_WR);
	require(vsock_host_greet(fd, &port) == -ECONNRESET);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int pair[2];

	/* More would not fit into a socket at once, and is never looked at. */
	if (size == 0 || size > 4096)
		return 0;
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	check(pair[0], pair[1], data + 1, size - 1, data[0] < size - 1 ? data[0] : size - 1);
	close(pair[0]);
	close(pair[1]);
	return 0;
}
