/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/host/vhost_user.c src/host/vhost.c tests/fake/vhost_backend.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ccr/vhost.h"
#include "../fake/vhost_backend.h"

#define BIT(n)      (1ull << (n))
#define BASE        0x80000000ull
#define SIZE        0x10000u
#define SHARED      (1ull << 32)
#define WANTED      (VHOST_USER_MQ | VHOST_USER_REPLY_ACK | VHOST_USER_CONFIG)
#define PATIENCE_MS 5000u
#define SHORT_MS    50u

struct bench {
	struct vhost_backend *backend;
	struct vhost vhost;
	int memory_fd, kick_fd, call_fd;
};

static int begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->backend = backend_create();
	b->memory_fd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(b->memory_fd, SIZE), 0);
	b->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	b->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(b->kick_fd >= 0 && b->call_fd >= 0);
	*state = b;
	return 0;
}

static int end(void **state)
{
	struct bench *b = *state;

	close(b->memory_fd);
	close(b->kick_fd);
	close(b->call_fd);
	backend_destroy(b->backend);
	free(b);
	return 0;
}

static int open_it(struct bench *b, uint64_t wanted, unsigned patience_ms)
{
	return vhost_user_init(&b->vhost, backend_start(b->backend), wanted, patience_ms);
}

/* Return: what the back end was asked. */
static const char *close_it(struct bench *b)
{
	vhost_close(&b->vhost);
	backend_stop(b->backend);
	return b->backend->log;
}

static int set_memory(struct bench *b)
{
	const struct vhost_region regions[] = {
		{BASE, SIZE, BASE, b->memory_fd, 0},
		{BASE | SHARED, SIZE, BASE | SHARED, b->memory_fd, 0},
	};

	return b->vhost.carrier->set_memory(&b->vhost, regions, 2);
}

static int start_queue(struct bench *b, unsigned index)
{
	const struct vhost_queue queue = {
		.size = 64,
		.base = 7,
		.desc = BASE,
		.avail = BASE + 0x1000,
		.used = BASE + 0x2000,
		.kick_fd = b->kick_fd,
		.call_fd = b->call_fd,
	};

	return b->vhost.carrier->start_queue(&b->vhost, index, &queue);
}

static void test_agrees(void **state)
{
	struct bench *b = *state;

	b->backend->features |= BIT(5);
	assert_int_equal(open_it(b, WANTED | VHOST_USER_BACKEND_REQ, PATIENCE_MS), 0);
	assert_int_equal(b->vhost.features, BIT(VIRTIO_F_VERSION_1) | BIT(5));
	assert_int_equal(b->vhost.protocol, WANTED | VHOST_USER_BACKEND_REQ);
	assert_int_equal(b->vhost.nr_queues, BACKEND_MAX_QUEUES);
	assert_true(b->vhost.request_fd >= 0);
	assert_string_equal(close_it(b), "GET_FEATURES; SET_OWNER; GET_PROTOCOL_FEATURES; "
					 "SET_PROTOCOL_FEATURES 0x229; GET_QUEUE_NUM; "
					 "SET_BACKEND_REQ_FD");
}

static void test_back_end_knows_less(void **state)
{
	struct bench *b = *state;

	b->backend->protocol = VHOST_USER_CONFIG;
	assert_int_equal(open_it(b, WANTED, PATIENCE_MS), 0);
	assert_int_equal(b->vhost.protocol, VHOST_USER_CONFIG);
	assert_int_equal(b->vhost.nr_queues, 0);
	assert_int_equal(b->vhost.request_fd, -1);
	assert_string_equal(close_it(b), "GET_FEATURES; SET_OWNER; GET_PROTOCOL_FEATURES; "
					 "SET_PROTOCOL_FEATURES 0x200");
}

static void test_back_end_knows_nothing(void **state)
{
	struct bench *b = *state;
	uint8_t config[8];

	b->backend->features = BIT(VIRTIO_F_VERSION_1);
	assert_int_equal(open_it(b, WANTED, PATIENCE_MS), 0);
	assert_int_equal(b->vhost.protocol, 0);
	assert_int_equal(b->vhost.carrier->get_config(&b->vhost, config, 8), -EOPNOTSUPP);
	assert_int_equal(b->vhost.carrier->set_features(&b->vhost, BIT(VIRTIO_F_VERSION_1)), 0);
	assert_int_equal(set_memory(b), 0);
	assert_int_equal(start_queue(b, 0), 0);
	/* There is nothing to enable; the answer shows that all was seen. */
	assert_int_equal(b->vhost.carrier->run(&b->vhost, 1), 0);
	assert_string_equal(close_it(b),
			    "GET_FEATURES; SET_OWNER; SET_FEATURES 0x100000000; SET_MEM_TABLE 2; "
			    "SET_VRING_NUM 0=64; SET_VRING_BASE 0=7; SET_VRING_ADDR 0=0x80000000; "
			    "SET_VRING_CALL 0; SET_VRING_KICK 0; GET_FEATURES");
}

/* Where the questions of the beginning end in the log. */
static const char *behind_agreement(const char *log)
{
	static const char last[] = "GET_QUEUE_NUM; ";
	const char *at = strstr(log, last);

	assert_non_null(at);
	return at + strlen(last);
}

static void test_runs_a_queue(void **state)
{
	struct bench *b = *state;
	uint16_t base = 0;

	assert_int_equal(open_it(b, WANTED, PATIENCE_MS), 0);
	assert_int_equal(b->vhost.carrier->set_features(&b->vhost, BIT(VIRTIO_F_VERSION_1)), 0);
	assert_int_equal(set_memory(b), 0);
	assert_int_equal(start_queue(b, 1), 0);
	assert_int_equal(b->vhost.carrier->run(&b->vhost, 1u << 1), 0);
	assert_int_equal(b->vhost.carrier->set_call(&b->vhost, 1, b->call_fd), 0);
	assert_int_equal(b->vhost.carrier->stop_queue(&b->vhost, 1, &base), 0);
	assert_int_equal(base, 7);
	assert_int_equal(b->vhost.carrier->reset(&b->vhost), 0);
	assert_string_equal(behind_agreement(close_it(b)),
			    "SET_FEATURES 0x140000000; SET_MEM_TABLE 2; SET_VRING_NUM 1=64; "
			    "SET_VRING_BASE 1=7; SET_VRING_ADDR 1=0x80000000; SET_VRING_CALL 1; "
			    "SET_VRING_KICK 1; SET_VRING_ENABLE 1=1; "
			    "SET_VRING_CALL 1; GET_VRING_BASE 1=7");
}

static void test_resets(void **state)
{
	struct bench *b = *state;

	assert_int_equal(open_it(b, WANTED | VHOST_USER_RESET_DEVICE, PATIENCE_MS), 0);
	assert_int_equal(b->vhost.carrier->reset(&b->vhost), 0);
	assert_string_equal(behind_agreement(close_it(b)), "RESET_DEVICE");
}

static void test_rings_outside_memory(void **state)
{
	struct bench *b = *state;
	struct vhost_queue queue = {.size = 64, .desc = BASE + SIZE, .avail = BASE, .used = BASE};

	assert_int_equal(open_it(b, WANTED, PATIENCE_MS), 0);
	assert_int_equal(set_memory(b), 0);
	assert_int_equal(b->vhost.carrier->start_queue(&b->vhost, 0, &queue), -EFAULT);
	close_it(b);
}

static void test_reads_config(void **state)
{
	struct bench *b = *state;
	uint8_t config[60];

	for (unsigned i = 0; i < sizeof(config); i++)
		b->backend->config[i] = (uint8_t)(i + 1);
	assert_int_equal(open_it(b, WANTED, PATIENCE_MS), 0);
	assert_int_equal(b->vhost.carrier->get_config(&b->vhost, config, sizeof(config)), 0);
	assert_memory_equal(config, b->backend->config, sizeof(config));
	assert_int_equal(b->vhost.carrier->get_config(&b->vhost, config, VHOST_MAX_CONFIG + 1),
			 -EOPNOTSUPP);
	assert_string_equal(behind_agreement(close_it(b)), "GET_CONFIG 60");
}

/* Each answer, wrong in each way. */

enum { GET_VRING_BASE = 11, GET_CONFIG = 24 };

/* Everything there is, until something fails. */
static int whole_life(struct bench *b, unsigned patience_ms)
{
	uint8_t config[16];
	uint16_t base;
	int ret = open_it(b, WANTED, patience_ms);

	if (ret)
		return ret;
	ret = b->vhost.carrier->get_config(&b->vhost, config, sizeof(config));
	if (!ret)
		ret = b->vhost.carrier->set_features(&b->vhost, BIT(VIRTIO_F_VERSION_1));
	if (!ret)
		ret = set_memory(b);
	if (!ret)
		ret = start_queue(b, 0);
	if (!ret)
		ret = b->vhost.carrier->run(&b->vhost, 1);
	return ret ? ret : b->vhost.carrier->stop_queue(&b->vhost, 0, &base);
}

static unsigned nr_open_fds(void)
{
	unsigned nr = 0;

	for (int fd = 0; fd < 256; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

static void try_fault(struct bench *b, uint32_t at, enum backend_fault fault, int wanted)
{
	const unsigned patience_ms = wanted == -ETIMEDOUT ? SHORT_MS : PATIENCE_MS;
	const unsigned nr_fds = nr_open_fds();

	b->backend->fault = fault;
	b->backend->fault_at = at;
	b->backend->log[0] = '\0';
	assert_int_equal(whole_life(b, patience_ms), wanted);
	close_it(b);
	b->vhost = (struct vhost){0};
	assert_int_equal(nr_open_fds(), nr_fds);
}

static void test_wrong_answers(void **state)
{
	static const struct {
		enum backend_fault fault;
		int wanted;
	} faults[] = {
		{BACKEND_SILENT, -ETIMEDOUT},     {BACKEND_HANGS_UP, -ECONNRESET},
		{BACKEND_HALF, -ECONNRESET},      {BACKEND_OTHER_REQUEST, -EPROTO},
		{BACKEND_TOO_LONG, -EPROTO},      {BACKEND_TOO_SHORT, -EPROTO},
		{BACKEND_HUGE, -EPROTO},          {BACKEND_OTHER_VERSION, -EPROTO},
		{BACKEND_NO_REPLY_FLAG, -EPROTO}, {BACKEND_WITH_FD, -EPROTO},
	};
	static const uint32_t requests[] = {1, 2, 5, 8, 9, 10, 11, 12, 13, 15, 17, 18, 24};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		for (size_t j = 0; j < sizeof(faults) / sizeof(faults[0]); j++)
			try_fault(*state, requests[i], faults[j].fault, faults[j].wanted);
	}
}

static void test_refusals(void **state)
{
	static const uint32_t requests[] = {2, 5, 8, 9, 10, 12, 13, 18};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		try_fault(*state, requests[i], BACKEND_REFUSES, -EREMOTEIO);
}

static void test_lies(void **state)
{
	struct bench *b = *state;

	try_fault(b, GET_VRING_BASE, BACKEND_OTHER_INDEX, -EPROTO);
	try_fault(b, GET_VRING_BASE, BACKEND_LARGE_BASE, -EPROTO);
	try_fault(b, GET_CONFIG, BACKEND_OTHER_CONFIG, -EPROTO);
	b->backend->nr_queues = 0;
	try_fault(b, 0, BACKEND_HONEST, -EPROTO);
	b->backend->nr_queues = 1ull << 40;
	try_fault(b, 0, BACKEND_HONEST, -EPROTO);
}

static void test_nobody_is_there(void **state)
{
	struct vhost vhost = {.fd = -1, .carrier = NULL};
	struct bench *b = *state;
	uint16_t base;

	vhost_close(&vhost);
	assert_int_equal(open_it(b, WANTED, PATIENCE_MS), 0);
	vhost_close(&b->vhost);
	assert_int_equal(b->vhost.fd, -1);
	assert_int_equal(b->vhost.carrier->stop_queue(&b->vhost, 0, &base), -ECONNRESET);
	close_it(b);
}

/* What a back end asks. */

struct header {
	uint32_t request, flags, size;
};

static void back_end_asks(struct bench *b, uint32_t request, uint32_t flags, uint32_t size)
{
	const struct header header = {request, flags, size};

	assert_int_equal(write(b->backend->request_fd, &header, sizeof(header)), sizeof(header));
}

static void want_answer(struct bench *b, uint32_t request, uint64_t wanted)
{
	struct {
		struct header header;
		uint64_t number;
	} __attribute__((packed)) answer;

	assert_int_equal(read(b->backend->request_fd, &answer, sizeof(answer)), sizeof(answer));
	assert_int_equal(answer.header.request, request);
	assert_int_equal(answer.header.flags, 1 | 1 << 2);
	assert_int_equal(answer.header.size, 8);
	assert_int_equal(answer.number, wanted);
}

static void test_requests(void **state)
{
	struct bench *b = *state;

	assert_int_equal(open_it(b, WANTED | VHOST_USER_BACKEND_REQ, SHORT_MS), 0);
	back_end_asks(b, 2, 1, 0);
	assert_int_equal(vhost_user_serve(&b->vhost), VHOST_USER_REQUEST_CONFIG);
	back_end_asks(b, 2, 1 | 1 << 3, 0);
	assert_int_equal(vhost_user_serve(&b->vhost), VHOST_USER_REQUEST_CONFIG);
	want_answer(b, 2, 0);
	back_end_asks(b, 3, 1 | 1 << 3, 8);
	assert_int_equal(write(b->backend->request_fd, "12345678", 8), 8);
	assert_int_equal(vhost_user_serve(&b->vhost), VHOST_USER_REQUEST_NONE);
	want_answer(b, 3, 1);
	assert_true(b->vhost.request_fd >= 0);
	close_it(b);
}

static void want_channel_lost(struct bench *b)
{
	assert_int_equal(vhost_user_serve(&b->vhost), VHOST_USER_REQUEST_NONE);
	assert_int_equal(b->vhost.request_fd, -1);
	assert_true(b->vhost.fd >= 0);
	close_it(b);
}

static void test_request_is_cut_off(void **state)
{
	struct bench *b = *state;

	assert_int_equal(open_it(b, WANTED | VHOST_USER_BACKEND_REQ, SHORT_MS), 0);
	back_end_asks(b, 3, 1, 8);
	want_channel_lost(b);
}

static void test_request_is_too_long(void **state)
{
	struct bench *b = *state;

	assert_int_equal(open_it(b, WANTED | VHOST_USER_BACKEND_REQ, SHORT_MS), 0);
	back_end_asks(b, 3, 1, UINT32_MAX);
	want_channel_lost(b);
}

static void test_request_is_an_answer(void **state)
{
	struct bench *b = *state;

	assert_int_equal(open_it(b, WANTED | VHOST_USER_BACKEND_REQ, SHORT_MS), 0);
	back_end_asks(b, 2, 1 | 1 << 2, 0);
	want_channel_lost(b);
}

static void test_request_channel_is_closed(void **state)
{
	struct bench *b = *state;

	assert_int_equal(open_it(b, WANTED | VHOST_USER_BACKEND_REQ, SHORT_MS), 0);
	shutdown(b->backend->request_fd, SHUT_RDWR);
	want_channel_lost(b);
}

/* Sockets by name. */

static void test_connects(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char longer[sizeof(address.sun_path) + 1];
	const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd;

	(void)state;
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/ccr-test-vhost-%d", getpid());
	assert_int_equal(vhost_user_connect(address.sun_path), -ENOENT);
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(vhost_user_connect(address.sun_path), -ECONNREFUSED);
	assert_int_equal(listen(listener, 1), 0);
	fd = vhost_user_connect(address.sun_path);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	close(listener);
	unlink(address.sun_path);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(vhost_user_connect(longer), -ENAMETOOLONG);
}

static void test_says_what_is_wrong(void **state)
{
	(void)state;
	assert_string_equal(vhost_strerror(-ECONNRESET), "it has closed the connection");
	assert_string_equal(vhost_strerror(-ETIMEDOUT), "it does not answer");
	assert_string_equal(vhost_strerror(-EPROTO), "it does not keep the protocol");
	assert_string_equal(vhost_strerror(-EREMOTEIO), "it has refused a request");
	assert_string_equal(vhost_strerror(-ENOENT), "No such file or directory");
}

static void test_translates(void **state)
{
	const struct vhost vhost = {
		.nr_regions = 2,
		.regions = {{0x1000, 0x1000, 0x70000, -1, 0}, {0x8000, 0x1000, 0x70000, -1, 0}},
	};
	uint64_t at = 0;

	(void)state;
	assert_int_equal(vhost_translate(&vhost, 0x1ff0, 0x10, &at), 0);
	assert_int_equal(at, 0x70ff0);
	assert_int_equal(vhost_translate(&vhost, 0x8008, 8, &at), 0);
	assert_int_equal(at, 0x70008);
	assert_int_equal(vhost_translate(&vhost, 0x1ff0, 0x11, &at), -EFAULT);
	assert_int_equal(vhost_translate(&vhost, 0, 1, &at), -EFAULT);
	assert_int_equal(vhost_translate(&vhost, UINT64_MAX, 2, &at), -EFAULT);
}

#define test(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_agrees),
		test(test_back_end_knows_less),
		test(test_back_end_knows_nothing),
		test(test_runs_a_queue),
		test(test_resets),
		test(test_rings_outside_memory),
		test(test_reads_config),
		test(test_wrong_answers),
		test(test_refusals),
		test(test_lies),
		test(test_nobody_is_there),
		test(test_requests),
		test(test_request_is_cut_off),
		test(test_request_is_too_long),
		test(test_request_is_an_answer),
		test(test_request_channel_is_closed),
		cmocka_unit_test(test_connects),
		cmocka_unit_test(test_says_what_is_wrong),
		cmocka_unit_test(test_translates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
