/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of the kernel's vhost, in which order; open() and ioctl() are the test's own.
 *
 * links: src/host/vhost_kernel.c src/host/vhost.c src/util/err.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vhost.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ccr/vhost.h"

#define BASE   0x80000000ull
#define SIZE   0x10000u
#define SHARED (1ull << 32)
#define USER   0x7f0000000000ull

/* What the kernel was asked; request number @fail_at is refused with @fail_errno. */
static char asked[2048];
static unsigned nr_asked, fail_at;
static int fail_errno;
static unsigned nr_opened, missing_at;

static const struct {
	unsigned long number;
	const char *name;
} requests[] = {
	{VHOST_SET_OWNER, "OWNER"},           {VHOST_GET_FEATURES, "GET_FEATURES"},
	{VHOST_SET_FEATURES, "FEATURES"},     {VHOST_SET_MEM_TABLE, "MEM"},
	{VHOST_SET_VRING_NUM, "NUM"},         {VHOST_SET_VRING_BASE, "BASE"},
	{VHOST_SET_VRING_ADDR, "ADDR"},       {VHOST_SET_VRING_CALL, "CALL"},
	{VHOST_SET_VRING_ERR, "ERR"},         {VHOST_SET_VRING_KICK, "KICK"},
	{VHOST_GET_VRING_BASE, "GET_BASE"},   {VHOST_VSOCK_SET_GUEST_CID, "CID"},
	{VHOST_VSOCK_SET_RUNNING, "RUNNING"}, {VHOST_NET_SET_BACKEND, "BACKEND"},
};

static void note(unsigned long number, void *argument)
{
	const size_t used = strlen(asked);
	const char *name = "unknown";
	uint64_t value = 0;

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (requests[i].number == number)
			name = requests[i].name;
	}
	if (number == VHOST_SET_MEM_TABLE)
		value = ((struct vhost_memory *)argument)->regions[1].userspace_addr;
	else if (number == VHOST_SET_VRING_ADDR)
		value = ((struct vhost_vring_addr *)argument)->used_user_addr;
	else if (number == VHOST_SET_FEATURES || number == VHOST_VSOCK_SET_GUEST_CID)
		value = *(uint64_t *)argument;
	else if (number == VHOST_VSOCK_SET_RUNNING)
		value = *(unsigned *)argument;
	else if (argument && number != VHOST_GET_FEATURES)
		value = ((struct vhost_vring_state *)argument)->num;
	if (number == VHOST_NET_SET_BACKEND)
		value |= (uint64_t)((struct vhost_vring_file *)argument)->index << 32;
	snprintf(asked + used, sizeof(asked) - used, "%s%s %llx", used ? "; " : "", name,
		 (unsigned long long)value);
}

int ioctl(int fd, unsigned long number, ...)
{
	void *argument;
	va_list args;

	(void)fd;
	va_start(args, number);
	argument = va_arg(args, void *);
	va_end(args);
	note(number, argument);
	if (++nr_asked == fail_at) {
		errno = fail_errno;
		return -1;
	}
	if (number == VHOST_GET_FEATURES)
		*(uint64_t *)argument = 1ull << 32 | 2;
	if (number == VHOST_GET_VRING_BASE)
		((struct vhost_vring_state *)argument)->num = 9;
	return 0;
}

int open(const char *path, int flags, ...)
{
	assert_true(!strcmp(path, "/dev/vhost-vsock") || !strcmp(path, "/dev/vhost-net"));
	assert_int_equal(flags, O_RDWR | O_CLOEXEC);
	errno = ENOENT;
	return nr_opened++ == missing_at ? -1 : dup(STDIN_FILENO);
}

static int begin(void **state)
{
	(void)state;
	asked[0] = '\0';
	nr_asked = fail_at = 0;
	nr_opened = 0;
	missing_at = UINT_MAX;
	return 0;
}

static void open_it(struct vhost *vhost)
{
	struct ccr_err err = {0};

	assert_int_equal(vhost_kernel_open_vsock(vhost, 42, &err), 0);
	assert_int_equal(vhost->features, 1ull << 32 | 2);
	assert_null(vhost->carrier->check);
	assert_null(vhost->carrier->get_config);
}

static int live(struct vhost *vhost)
{
	const struct vhost_region regions[] = {
		{BASE, SIZE, USER, -1, 0},
		{BASE | SHARED, SIZE, USER, -1, 0},
	};
	const struct vhost_queue queue = {
		.size = 64,
		.base = 7,
		.desc = BASE,
		.avail = BASE + 0x1000,
		.used = BASE + 0x2000,
		.kick_fd = 5,
		.call_fd = 6,
		.err_fd = 4,
	};
	uint16_t base = 0;
	int ret = vhost->carrier->set_features(vhost, 1ull << 32);

	if (!ret)
		ret = vhost->carrier->set_memory(vhost, regions, 2);
	if (!ret)
		ret = vhost->carrier->start_queue(vhost, 1, &queue);
	if (!ret)
		ret = vhost->carrier->run(vhost, 1u << 1);
	if (!ret)
		ret = vhost->carrier->halt(vhost, 1u << 1);
	if (!ret)
		ret = vhost->carrier->stop_queue(vhost, 1, &base);
	if (!ret)
		assert_int_equal(base, 9);
	return ret;
}

static void test_order(void **state)
{
	struct vhost vhost;

	(void)state;
	open_it(&vhost);
	assert_int_equal(live(&vhost), 0);
	vhost_close(&vhost);
	assert_string_equal(asked, "GET_FEATURES 0; CID 2a; OWNER 0; FEATURES 100000000; "
				   "MEM 7f0000000000; NUM 40; BASE 7; ADDR 7f0000002000; CALL 6; "
				   "ERR 4; KICK 5; RUNNING 1; RUNNING 0; GET_BASE 0");
}

static void test_each_request_refused(void **state)
{
	struct vhost vhost;

	for (unsigned i = 3; i <= 14; i++) {
		begin(state);
		fail_at = i;
		fail_errno = EFAULT;
		open_it(&vhost);
		assert_int_equal(live(&vhost), -EFAULT);
		assert_int_equal(nr_asked, i);
		vhost_close(&vhost);
	}
}

/* The device is kept from one life of the machine to the next. */
static void test_owned_already(void **state)
{
	struct vhost vhost;

	(void)state;
	fail_at = 3;
	fail_errno = EBUSY;
	open_it(&vhost);
	assert_int_equal(live(&vhost), 0);
	vhost_close(&vhost);
}

static void refuse(int wanted, const char *words)
{
	struct ccr_err err = {0};
	struct vhost vhost;

	assert_int_equal(vhost_kernel_open_vsock(&vhost, 42, &err), wanted);
	assert_string_equal(err.msg, words);
}

static void test_missing(void **state)
{
	(void)state;
	missing_at = 0;
	refuse(-ENOENT, "/dev/vhost-vsock: cannot open it: No such file or directory; load "
			"vhost_vsock, or give --vsock a path");
}

static void test_address_in_use(void **state)
{
	(void)state;
	fail_at = 2;
	fail_errno = EADDRINUSE;
	refuse(-EADDRINUSE, "--vsock vhost,cid=42: another guest of this host has the address; "
			    "choose another one");
}

static void test_not_ours(void **state)
{
	(void)state;
	fail_at = 1;
	fail_errno = EBUSY;
	refuse(-EBUSY, "--vsock vhost: the kernel refuses: Device or resource busy");
}

/* Networks: a device for each pair. */

static const int taps[] = {21, 22};

static int live_net(struct vhost *vhost)
{
	const struct vhost_region region = {BASE, SIZE, USER, -1, 0};
	const struct vhost_queue queue = {.size = 64, .desc = BASE, .avail = BASE, .used = BASE};
	const uint32_t which = 1u << 0 | 1u << 3;
	uint16_t base;
	int ret = vhost->carrier->set_features(vhost, 1ull << 32);

	if (!ret)
		ret = vhost->carrier->set_memory(vhost, &region, 1);
	if (!ret)
		ret = vhost->carrier->start_queue(vhost, 3, &queue);
	if (!ret)
		ret = vhost->carrier->run(vhost, which);
	if (!ret)
		ret = vhost->carrier->halt(vhost, which);
	return ret ? ret : vhost->carrier->stop_queue(vhost, 3, &base);
}

/* Queue 3 is the second device's number 1; running is having a tap. */
static void test_net_order(void **state)
{
	struct ccr_err err = {0};
	struct vhost vhost;

	(void)state;
	assert_int_equal(vhost_kernel_open_net(&vhost, taps, 2, &err), 0);
	assert_int_equal(vhost.nr_more, 1);
	assert_int_equal(vhost.nr_queues, 4);
	assert_int_not_equal(vhost.more_fds[0], vhost.fd);
	assert_int_equal(live_net(&vhost), 0);
	vhost_close(&vhost);
	assert_int_equal(vhost.nr_more, 0);
	assert_string_equal(
		asked,
		"GET_FEATURES 0; OWNER 0; FEATURES 100000000; OWNER 0; FEATURES 100000000; "
		"MEM 0; MEM 0; NUM 40; BASE 0; ADDR 7f0000000000; CALL 0; ERR 0; "
		"KICK 0; "
		"BACKEND 15; BACKEND 100000016; BACKEND ffffffff; BACKEND 1ffffffff; GET_BASE 0");
}

static void test_net_missing(void **state)
{
	struct ccr_err err = {0};
	struct vhost vhost;

	for (unsigned i = 0; i < 2; i++) {
		begin(state);
		err = (struct ccr_err){0};
		missing_at = i;
		assert_int_equal(vhost_kernel_open_net(&vhost, taps, 2, &err), -ENOENT);
		assert_string_equal(err.msg, "/dev/vhost-net: cannot open it: No such file or "
					     "directory; load vhost_net, or use vhost=off");
	}
}

static void test_net_refused(void **state)
{
	struct ccr_err err = {0};
	struct vhost vhost;

	for (unsigned i = 2; i <= 18; i++) {
		begin(state);
		fail_at = i;
		fail_errno = EFAULT;
		assert_int_equal(vhost_kernel_open_net(&vhost, taps, 2, &err), 0);
		assert_int_equal(live_net(&vhost), -EFAULT);
		assert_int_equal(nr_asked, i);
		vhost_close(&vhost);
	}
	begin(state);
	fail_at = 1;
	assert_int_equal(vhost_kernel_open_net(&vhost, taps, 1, &err), -EFAULT);
	assert_string_equal(err.msg, "/dev/vhost-net: the kernel refuses: Bad address");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_net_order, begin),
		cmocka_unit_test_setup(test_net_missing, begin),
		cmocka_unit_test_setup(test_net_refused, begin),
		cmocka_unit_test_setup(test_order, begin),
		cmocka_unit_test_setup(test_each_request_refused, begin),
		cmocka_unit_test_setup(test_owned_already, begin),
		cmocka_unit_test_setup(test_missing, begin),
		cmocka_unit_test_setup(test_address_in_use, begin),
		cmocka_unit_test_setup(test_not_ours, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
