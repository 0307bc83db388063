/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/vconsole.c src/virtio/vconsole_control.c src/virtio/virtio_pci.c
 *	src/virtio/virtio.c src/virtio/virtq.c src/virtio/virtq_chain.c src/virtio/mem.c
 *	src/pci/host.c src/pci/function.c src/pci/msix.c src/util/log.c src/util/err.c
 *	src/vm/channels.c src/host/chardev.c src/host/chardev_file.c src/host/chardev_pty.c
 *	src/host/chardev_socket.c src/host/chardev_stdio.c tests/fake/virtio_guest.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <endian.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_pci.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ccr/virtio_pci.h"
#include "../../src/vm/internal.h"
#include "../fake/virtio_guest.h"

#define BIT(n)      (1ull << (n))
#define FEATURES    (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(1))
#define RINGS(n)    (GUEST_RAM_BASE + 0x1000 * ((n) + 1ull))
#define DATA        (GUEST_RAM_BASE + 0x20000)
#define MESSAGES    (GUEST_RAM_BASE + 0x30000)
#define NEEDS_RESET 0x4f

enum { INPUT, OUTPUT, CONTROL_IN, CONTROL_OUT, A_INPUT, A_OUTPUT, B_INPUT, B_OUTPUT, NR_QUEUES };

/* Ports, and channels of the host. */
enum { CONSOLE, A, B };

static const char *const names[] = {"org.example.a", "b"};
static const unsigned sizes[NR_QUEUES] = {4, 16, 2, 16, 2, 16, 2, 16};

struct bench {
	struct guest *guest;
	struct vconsole console;
	struct virtio_pci transport;
	struct guest_device device;
	struct guest_queue queues[NR_QUEUES];
	char messages[512]; /* from the device, as text */
};

static void start(struct bench *b)
{
	guest_negotiate(&b->device, FEATURES);
	for (unsigned i = 0; i < NR_QUEUES; i++) {
		guest_queue_place(&b->queues[i], b->guest, RINGS(i), sizes[i]);
		guest_enable_queue(&b->device, i, &b->queues[i]);
	}
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(guest_status(&b->device), 0xf);
}

static int bench_begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct virtio_setup setup;

	assert_non_null(b);
	b->guest = guest_create();
	assert_non_null(b->guest);
	setup = guest_setup(b->guest);
	assert_int_equal(vconsole_init(&b->console, names, 2, &setup), 0);
	virtio_pci_init(&b->transport, &b->console.virtio);
	assert_int_equal(pci_host_add(&b->guest->pci, &b->transport.function), 0);
	b->device = guest_probe(b->guest, 0);
	start(b);
	*state = b;
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	virtio_pci_done(&b->transport);
	vconsole_done(&b->console);
	guest_destroy(b->guest);
	free(b);
	return 0;
}

static bool say_bytes(struct bench *b, const void *bytes, uint32_t size)
{
	const struct guest_piece piece = {MESSAGES, size, false};
	struct vring_used_elem elem;

	memcpy(guest_ram(&b->guest->mem, MESSAGES), bytes, size);
	guest_add(&b->queues[CONTROL_OUT], &piece, 1);
	virtio_service(&b->console.virtio);
	return guest_take_used(&b->queues[CONTROL_OUT], &elem);
}

static void say(struct bench *b, uint32_t id, uint16_t event, uint16_t value)
{
	const struct virtio_console_control message = {htole32(id), htole16(event), htole16(value)};

	assert_true(say_bytes(b, &message, sizeof(message)));
}

static const char *event_name(unsigned event)
{
	static const char *const event_names[] = {
		[VIRTIO_CONSOLE_PORT_ADD] = "add",
		[VIRTIO_CONSOLE_CONSOLE_PORT] = "console",
		[VIRTIO_CONSOLE_PORT_OPEN] = "open",
		[VIRTIO_CONSOLE_PORT_NAME] = "name",
	};

	assert_true(event < sizeof(event_names) / sizeof(event_names[0]) && event_names[event]);
	return event_names[event];
}

static void note_message(struct bench *b, const uint8_t *bytes, uint32_t size)
{
	struct virtio_console_control header;
	char text[128];

	assert_true(size >= sizeof(header));
	memcpy(&header, bytes, sizeof(header));
	(void)snprintf(text, sizeof(text), "%u %s %u%s%.*s\n", le32toh(header.id),
		       event_name(le16toh(header.event)), le16toh(header.value),
		       size > sizeof(header) ? " " : "", (int)(size - sizeof(header)),
		       (const char *)bytes + sizeof(header));
	assert_true(strlen(b->messages) + strlen(text) < sizeof(b->messages));
	strcat(b->messages, text);
}

/* What the device has to say, one buffer at a time, as a slow driver would take it. */
static const char *hear(struct bench *b)
{
	const struct guest_piece piece = {MESSAGES + 0x1000, 256, true};
	struct vring_used_elem elem;

	b->messages[0] = '\0';
	for (unsigned i = 0; i < 20; i++) {
		if (b->queues[CONTROL_IN].avail_index == b->queues[CONTROL_IN].used_seen)
			guest_add(&b->queues[CONTROL_IN], &piece, 1);
		virtio_service(&b->console.virtio);
		if (!guest_take_used(&b->queues[CONTROL_IN], &elem))
			break;
		note_message(b, guest_ram(&b->guest->mem, piece.at), elem.len);
	}
	return b->messages;
}

static void get_ready(struct bench *b)
{
	say(b, 0xffffffff, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (unsigned i = 0; i < 3; i++)
		say(b, i, VIRTIO_CONSOLE_PORT_READY, 1);
	hear(b);
}

static bool print(struct bench *b, unsigned queue, const char *text)
{
	const struct guest_piece piece = {DATA, (uint32_t)strlen(text), false};
	struct vring_used_elem elem;

	memcpy(guest_ram(&b->guest->mem, DATA), text, strlen(text));
	guest_add(&b->queues[queue], &piece, 1);
	virtio_service(&b->console.virtio);
	return guest_take_used(&b->queues[queue], &elem);
}

static void test_device(void **state)
{
	struct bench *b = *state;

	assert_int_equal(guest_offered(&b->device) & 7, 3);
	assert_int_equal(guest_mem_read(b->guest, b->device.config + 4, 4), 3);
	assert_int_equal(guest_common_read(&b->device, VIRTIO_PCI_COMMON_NUMQ, 2), NR_QUEUES);
}

static void test_introduction(void **state)
{
	struct bench *b = *state;

	assert_string_equal(hear(b), "");
	vconsole_set_connected(&b->console, A, true);
	say(b, 0xffffffff, VIRTIO_CONSOLE_DEVICE_READY, 1);
	assert_string_equal(hear(b), "0 add 1\n1 add 1\n2 add 1\n");
	say(b, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_string_equal(hear(b), "0 console 1\n0 open 1\n");
	say(b, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	say(b, 2, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_string_equal(hear(b), "1 name 1 org.example.a\n1 open 1\n2 name 1 b\n");
	/* And all over again for the next driver. */
	start(b);
	assert_string_equal(hear(b), "");
	say(b, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_string_equal(hear(b), "1 name 1 org.example.a\n1 open 1\n");
}

static void test_peers(void **state)
{
	struct bench *b = *state;

	get_ready(b);
	vconsole_set_connected(&b->console, B, true);
	assert_string_equal(hear(b), "2 open 1\n");
	vconsole_set_connected(&b->console, B, true);
	vconsole_set_connected(&b->console, A, true);
	vconsole_set_connected(&b->console, A, false);
	assert_string_equal(hear(b), "1 open 1\n1 open 0\n");
	vconsole_set_connected(&b->console, B, false);
	assert_string_equal(hear(b), "2 open 0\n");
}

static void test_streams(void **state)
{
	struct bench *b = *state;
	const struct guest_piece piece = {DATA + 0x1000, 8, true};
	struct vring_used_elem elem;
	uint8_t bytes[16];

	get_ready(b);
	vconsole_set_connected(&b->console, A, true);
	vconsole_set_connected(&b->console, B, true);
	assert_true(print(b, A_OUTPUT, "to a"));
	assert_true(print(b, B_OUTPUT, "to b"));
	assert_int_equal(vconsole_peek(&b->console, A, bytes, sizeof(bytes)), 4);
	assert_memory_equal(bytes, "to a", 4);
	assert_int_equal(vconsole_peek(&b->console, CONSOLE, bytes, sizeof(bytes)), 0);
	/* Nobody has opened it in the guest. */
	assert_int_equal(vconsole_room(&b->console, B), 0);
	assert_int_equal(vconsole_receive(&b->console, B, (const uint8_t *)"x", 1), 0);
	say(b, 2, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(vconsole_receive(&b->console, B, (const uint8_t *)"hello", 5), 5);
	guest_add(&b->queues[B_INPUT], &piece, 1);
	virtio_service(&b->console.virtio);
	assert_true(guest_take_used(&b->queues[B_INPUT], &elem));
	assert_int_equal(elem.len, 5);
	assert_memory_equal(guest_ram(&b->guest->mem, piece.at), "hello", 5);
	/* What is left for somebody who has closed it is nobody's. */
	assert_int_equal(vconsole_receive(&b->console, B, (const uint8_t *)"late", 4), 4);
	say(b, 2, VIRTIO_CONSOLE_PORT_OPEN, 0);
	say(b, 2, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(vconsole_room(&b->console, B), VCONSOLE_INPUT_SIZE);
	assert_int_equal(vconsole_get_state(&b->console, B).nr_received, 5);
}

/* Output is for who is there; the end comes after the last input. */
static void test_peer_goes(void **state)
{
	struct bench *b = *state;
	const struct guest_piece piece = {DATA + 0x1000, 8, true};
	uint8_t bytes[16];

	get_ready(b);
	assert_true(print(b, A_OUTPUT, "lost"));
	vconsole_set_connected(&b->console, A, true);
	say(b, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_string_equal(hear(b), "1 open 1\n");
	assert_true(print(b, A_OUTPUT, "also lost"));
	assert_int_equal(vconsole_receive(&b->console, A, (const uint8_t *)"end", 3), 3);
	vconsole_set_connected(&b->console, A, false);
	assert_int_equal(vconsole_peek(&b->console, A, bytes, sizeof(bytes)), 0);
	assert_int_equal(vconsole_get_state(&b->console, A).nr_dropped, 13);
	assert_string_equal(hear(b), "");
	guest_add(&b->queues[A_INPUT], &piece, 1);
	assert_string_equal(hear(b), "1 open 0\n");
	assert_memory_equal(guest_ram(&b->guest->mem, piece.at), "end", 3);
}

static void test_hostile_messages(void **state)
{
	struct bench *b = *state;
	static const uint8_t short_one[7];

	for (unsigned i = 0; i < 1000; i++) {
		say(b, i % 2 ? 3 : 0xfffffffe, (uint16_t)i, 1);
		say(b, i % 3, (uint16_t)(i % 9), (uint16_t)i);
		say(b, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	}
	for (unsigned i = 0; i < 3; i++) {
		say(b, i, VIRTIO_CONSOLE_PORT_READY, 0);
		say(b, i, VIRTIO_CONSOLE_PORT_OPEN, 0xffff);
	}
	say(b, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	/* However much was said, there is only so much to answer. */
	assert_string_equal(hear(b), "0 add 1\n1 add 1\n2 add 1\n");
	assert_false(vconsole_get_state(&b->console, A).is_open);
	assert_false(say_bytes(b, short_one, sizeof(short_one)));
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
}

static void test_small_buffer(void **state)
{
	struct bench *b = *state;
	const struct guest_piece piece = {DATA, 12, true};

	say(b, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	guest_add(&b->queues[CONTROL_IN], &piece, 1);
	virtio_service(&b->console.virtio);
	assert_int_equal(guest_status(&b->device), NEEDS_RESET);
}

/* To a driver that does not know of channels it is a console. */
static void test_without_multiport(void **state)
{
	struct bench *b = *state;

	guest_negotiate(&b->device, FEATURES & ~BIT(1));
	for (unsigned i = 0; i < NR_QUEUES; i++) {
		guest_queue_place(&b->queues[i], b->guest, RINGS(i), sizes[i]);
		guest_enable_queue(&b->device, i, &b->queues[i]);
	}
	guest_add_status(&b->device, VIRTIO_CONFIG_S_DRIVER_OK);
	assert_true(print(b, OUTPUT, "console"));
	assert_false(print(b, A_OUTPUT, "nothing"));
	assert_false(say_bytes(b, "12345678", 8));
}

/* The host's side, over a socket. */

struct line {
	struct channels channels;
	int fd; /* the client's */
	char path[64];
};

static void line_open(struct line *line)
{
	static const char what[] = "channel a";
	struct vm_channel wish = {
		.name = names[0],
		.end = {.kind = CHARDEV_SOCKET, .path = line->path, .what = what, .is_data = true},
	};
	struct ccr_err err = {0};

	(void)snprintf(line->path, sizeof(line->path), "/tmp/ccr-channel-%d", (int)getpid());
	assert_int_equal(channels_open(&line->channels, &wish, 1, &err), 0);
}

static void line_call(struct line *line)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, line->path, sizeof(line->path));
	line->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(line->fd >= 0);
	assert_int_equal(connect(line->fd, (const struct sockaddr *)&address, sizeof(address)), 0);
}

static void turn(struct line *line, struct bench *b)
{
	struct pollfd fds[CHANNELS_NR_FDS];

	for (unsigned i = 0; i < 4; i++) {
		channels_set_fds(&line->channels, &b->console, fds);
		(void)poll(fds, CHANNELS_NR_FDS, 0);
		channels_serve(&line->channels, &b->console, fds);
	}
}

static void test_client(void **state)
{
	struct bench *b = *state;
	const struct guest_piece piece = {DATA + 0x1000, 8, true};
	struct vring_used_elem elem;
	struct line line = {.fd = -1};
	char bytes[16];

	line_open(&line);
	get_ready(b);
	turn(&line, b);
	assert_string_equal(hear(b), "");
	line_call(&line);
	turn(&line, b);
	assert_string_equal(hear(b), "1 open 1\n");
	assert_true(print(b, A_OUTPUT, "hello"));
	turn(&line, b);
	assert_int_equal(read(line.fd, bytes, sizeof(bytes)), 5);
	assert_memory_equal(bytes, "hello", 5);
	/* What was sent before anybody has opened the port is there for who does. */
	assert_int_equal(write(line.fd, "early", 5), 5);
	close(line.fd);
	turn(&line, b);
	assert_string_equal(hear(b), "");
	guest_add(&b->queues[A_INPUT], &piece, 1);
	say(b, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	turn(&line, b);
	assert_true(guest_take_used(&b->queues[A_INPUT], &elem));
	assert_memory_equal(guest_ram(&b->guest->mem, piece.at), "early", 5);
	assert_string_equal(hear(b), "1 open 0\n");
	channels_close(&line.channels);
	assert_int_not_equal(access(line.path, F_OK), 0);
}

/* A client that does not read holds up the guest's program, and loses nothing. */
static void test_slow_client(void **state)
{
	struct bench *b = *state;
	struct line line = {.fd = -1};
	const size_t wanted = 2u * VCONSOLE_RING_SIZE;
	size_t sent = 0, seen = 0;
	static char text[4096];
	char bytes[4096];
	ssize_t got;

	memset(text, 'x', sizeof(text) - 1);
	line_open(&line);
	get_ready(b);
	line_call(&line);
	turn(&line, b);
	while (print(b, A_OUTPUT, text)) {
		sent += sizeof(text) - 1;
		assert_true(sent < 16u * 1024 * 1024);
		turn(&line, b);
	}
	sent += sizeof(text) - 1; /* it waits in the queue */
	assert_true(sent > wanted);
	while (seen < sent) {
		got = read(line.fd, bytes, sizeof(bytes));
		assert_true(got > 0);
		seen += (size_t)got;
		turn(&line, b);
	}
	assert_int_equal(vconsole_get_state(&b->console, A).nr_dropped, 0);
	close(line.fd);
	channels_close(&line.channels);
}

/* What the guest has said before it ended still arrives. */
static void test_drain(void **state)
{
	struct bench *b = *state;
	const struct guest_piece piece = {DATA, 8, false};
	struct line line = {.fd = -1};
	char bytes[16];

	line_open(&line);
	get_ready(b);
	line_call(&line);
	turn(&line, b);
	memcpy(guest_ram(&b->guest->mem, DATA), "lastword", 8);
	guest_add(&b->queues[A_OUTPUT], &piece, 1);
	channels_drain(&line.channels, &b->console, 2000);
	assert_int_equal(read(line.fd, bytes, sizeof(bytes)), 8);
	assert_memory_equal(bytes, "lastword", 8);
	close(line.fd);
	channels_close(&line.channels);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_device),       TEST(test_introduction),
		TEST(test_peers),        TEST(test_streams),
		TEST(test_peer_goes),    TEST(test_hostile_messages),
		TEST(test_small_buffer), TEST(test_without_multiport),
		TEST(test_client),       TEST(test_slow_client),
		TEST(test_drain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
