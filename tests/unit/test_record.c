/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of what is asked of KVM.
 *
 * links: src/kvm/record.c src/kvm/describe.c src/kvm/exit.c src/util/err.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ccr/kvm.h"
#include "ccr/record.h"
#include "uapi/kvm_realm.h"

/* Descriptors are numbers here: nothing is opened. */
#define KVM  100
#define VM   101
#define VCPU 102
#define GMEM 103
#define GIC  104
#define ITS  105

#define MAX_EXITS 4000

static char path[] = "/tmp/ccr-test-record-XXXXXX";
static struct kvm_run run;

static void call(int fd, unsigned long request, const void *arg, int ret)
{
	struct kvm_call made;

	kvm_record_ioctl(&made, fd, request, arg);
	kvm_record_result(&made, ret);
}

static void number(int fd, unsigned long request, unsigned long arg, int ret)
{
	call(fd, request, (const void *)(uintptr_t)arg, ret);
}

/* What has been written since the last look. */
static const char *written(void)
{
	static char text[1 << 20];
	static long seen;
	FILE *file = fopen(path, "r");
	size_t size;

	assert_non_null(file);
	assert_int_equal(fseek(file, seen, SEEK_SET), 0);
	size = fread(text, 1, sizeof(text) - 1, file);
	text[size] = '\0';
	seen += (long)size;
	fclose(file);
	return text;
}

static void test_needs_a_file(void **state)
{
	struct ccr_err err = {0};

	(void)state;
	/* Before it is started everything is ignored. */
	number(KVM, KVM_CREATE_VM, 0x121, VM);
	kvm_record_close(VM);
	assert_int_equal(kvm_record_start("/nonexistent/file", &err), -ENOENT);
	assert_string_equal(err.msg, "record /nonexistent/file: cannot be created: No such file or "
				     "directory");
	err_clear(&err);
	assert_int_equal(kvm_record_start(path, &err), 0);
	assert_string_equal(written(), "");
}

static void test_names(void **state)
{
	struct kvm_create_device device = {.type = KVM_DEV_TYPE_ARM_VGIC_V3, .fd = GIC};
	const struct kvm_realm_create_guest_memfd gmem = {.size = 0x200000};
	const struct kvm_enable_cap create = {.cap = 300, .args = {KVM_REALM_ACTION_CREATE}};

	(void)state;
	kvm_record_open("/dev/kvm", KVM);
	number(KVM, KVM_CREATE_VM, 0x40000021, -EINVAL);
	number(KVM, KVM_CREATE_VM, 0x121, VM);
	kvm_record_close(VM);
	number(KVM, KVM_CREATE_VM, 0x121, VM);
	number(VM, KVM_CREATE_VCPU, 3, VCPU);
	call(VM, KVM_CREATE_DEVICE, &device, 0);
	device = (struct kvm_create_device){.type = KVM_DEV_TYPE_ARM_VGIC_ITS, .fd = ITS};
	call(VM, KVM_CREATE_DEVICE, &device, 0);
	call(VM, KVM_REALM_CREATE_GUEST_MEMFD, &gmem, GMEM);
	call(VM, KVM_ENABLE_CAP, &create, -EEXIST);
	kvm_record_punch(GMEM, 0x1000, 0x2000, 0);
	kvm_record_close(ITS);
	kvm_record_close(GIC);
	number(VM, 0xae7777, 0, -ENOTTY);
	/* What was never created, and what no table has room for. */
	number(7, KVM_CREATE_VCPU, 0, -EBADF);
	number(VM, KVM_CREATE_VCPU, 4, 5000);
	number(5000, KVM_GET_MP_STATE, 0, -EBADF);
	kvm_record_close(5000);
	assert_string_equal(written(),
			    "open /dev/kvm = kvm\n"
			    "ioctl kvm KVM_CREATE_VM type=0x40000021 = -EINVAL\n"
			    "ioctl kvm KVM_CREATE_VM type=0x121 = vm1\n"
			    "close vm1\n"
			    "ioctl kvm KVM_CREATE_VM type=0x121 = vm2\n"
			    "ioctl vm2 KVM_CREATE_VCPU id=0x3 = vcpu3\n"
			    "ioctl vm2 KVM_CREATE_DEVICE type=7 = 0\n"
			    "ioctl vm2 KVM_CREATE_DEVICE type=8 = 0\n"
			    "ioctl vm2 KVM_CREATE_GUEST_MEMFD size=0x200000 flags=0 = gmem\n"
			    "ioctl vm2 KVM_ENABLE_CAP 300 CREATE = -EEXIST\n"
			    "punch gmem offset=0x1000 size=0x2000 = 0\n"
			    "close its\n"
			    "close gic\n"
			    "ioctl vm2 0xae7777 = -ENOTTY\n"
			    "ioctl ? KVM_CREATE_VCPU id=0x0 = -EBADF\n"
			    "ioctl vm2 KVM_CREATE_VCPU id=0x4 = vcpu4\n"
			    "ioctl ? KVM_GET_MP_STATE = -EBADF\n");
}

static void exits_with(uint32_t reason, int ret)
{
	run.exit_reason = reason;
	number(VCPU, KVM_RUN, 0, ret);
}

/* Exits: what they are about, and no content; those that say nothing new are left out. */
static void test_exits(void **state)
{
	struct kvm_realm_memory_fault fault = {.gpa = 0x80400000, .size = 0x3000};

	(void)state;
	kvm_record_map(VCPU, 0x1000, &run, 0);
	exits_with(0, -EPERM);
	run.mmio.phys_addr = 0x1000000;
	run.mmio.len = 4;
	run.mmio.is_write = 1;
	memset(run.mmio.data, 0x5e, sizeof(run.mmio.data));
	exits_with(KVM_EXIT_MMIO, 0);
	exits_with(KVM_EXIT_MMIO, 0);
	run.mmio.phys_addr = 0x1000004;
	exits_with(KVM_EXIT_MMIO, 0);
	memcpy(&run.mmio, &fault, sizeof(fault));
	exits_with(KVM_REALM_EXIT_MEMORY_FAULT, -EFAULT);
	exits_with(KVM_REALM_EXIT_MEMORY_FAULT, -EFAULT);
	fault.flags = KVM_REALM_FAULT_PRIVATE;
	memcpy(&run.mmio, &fault, sizeof(fault));
	exits_with(KVM_REALM_EXIT_MEMORY_FAULT, 0);
	exits_with(KVM_EXIT_INTR, -EINTR);
	exits_with(KVM_EXIT_INTR, -EINTR);
	run.internal.suberror = 9;
	exits_with(KVM_EXIT_INTERNAL_ERROR, 0);
	run.system_event.type = KVM_SYSTEM_EVENT_SHUTDOWN;
	exits_with(KVM_EXIT_SYSTEM_EVENT, 0);
	kvm_record_unmap(&run);
	assert_string_equal(
		written(),
		"map vcpu3 size=0x1000 = 0\n"
		"ioctl vcpu3 KVM_RUN = -EPERM\n"
		"ioctl vcpu3 KVM_RUN = 0 MMIO at=0x1000000 size=4 write=1\n"
		"ioctl vcpu3 KVM_RUN = 0 MMIO at=0x1000004 size=4 write=1\n"
		"ioctl vcpu3 KVM_RUN = -EFAULT MEMORY_FAULT private=0 at=0x80400000 size=0x3000\n"
		"ioctl vcpu3 KVM_RUN = -EFAULT MEMORY_FAULT private=0 at=0x80400000 size=0x3000\n"
		"ioctl vcpu3 KVM_RUN = 0 MEMORY_FAULT private=1 at=0x80400000 size=0x3000\n"
		"ioctl vcpu3 KVM_RUN = -EINTR interrupted\n"
		"ioctl vcpu3 KVM_RUN = 0 reason=17 detail=0x9\n"
		"ioctl vcpu3 KVM_RUN = 0 power-off\n"
		"unmap vcpu3\n");
}

/* A guest can exit for ever; the end is recorded nevertheless. */
static void test_exits_have_an_end(void **state)
{
	const char *text;
	unsigned nr_lines = 0;

	(void)state;
	kvm_record_map(VCPU, 0x1000, &run, 0);
	for (unsigned i = 0; i < 2 * MAX_EXITS; i++) {
		run.mmio.phys_addr = 0x1000000 + i % 2;
		run.mmio.len = 1;
		exits_with(KVM_EXIT_MMIO, 0);
	}
	kvm_record_close(VCPU);
	text = written();
	assert_non_null(strstr(text, "\n# further exits are left out\nclose vcpu3\n"));
	for (const char *c = text; *c; c++)
		nr_lines += *c == '\n';
	assert_in_range(nr_lines, MAX_EXITS - 20, MAX_EXITS + 3);
}

static int make_file(void **state)
{
	const int fd = mkstemp(path);

	(void)state;
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_needs_a_file),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_exits),
		cmocka_unit_test(test_exits_have_an_end),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
