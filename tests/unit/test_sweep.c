/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fault sweep: whatever the host refuses, at whatever moment, is told in one sentence, and nothing
 * is left behind.
 *
 * links: whole-machine tests/fake/fake_realm.c tests/fake/fake_realm_run.c
 *	tests/fake/fake_realm_trace.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../fake/fake_machine.h"
#include "../fake/fake_realm.h"
#include "ccr/log.h"
#include "ccr/rsi.h"

#define MAX_CALLS 400 /* more than a launch makes */
#define MAX_FDS   60  /* more than a machine has */

/* A launch, and what must be as it was before. */
struct sweep {
	struct fake_machine machine;
	struct fake_op ops[5];
	struct fake_guest_op realm_ops[5];
	enum fake_generation generation; /* of a realm's host */
	struct fake_host host;
	unsigned nr_fds, nr_maps, nr_threads;
	int disk_fd;
	char disk[32];
};

/* Threads of this process: none may outlive its machine. */
static unsigned nr_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned nr = 0;

	assert_non_null(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr - 2;
}

/*
 * The kernel lets a thread be joined a moment before it takes it off that list.
 * Return: how many there are, once they are no more than @nr or after ten seconds.
 */
static unsigned nr_threads_down_to(unsigned nr)
{
	unsigned now = nr_threads();

	for (unsigned ms = 0; now > nr && ms < 10000; ms++) {
		usleep(1000);
		now = nr_threads();
	}
	return now;
}

/* A guest that shares a page, uses it, takes it back, and ends. */
static void begin_realm(struct sweep *sweep)
{
	const struct fake_realm_host host = {.generation = sweep->generation};
	const uint64_t at = MEMMAP_RAM_BASE + 0x1000000;

	/* Linux allows it, and from v15 on it is needed. */
	const bool lenient = sweep->generation >= FAKE_V15;

	memset(sweep->realm_ops, 0, sizeof(sweep->realm_ops));
	for (unsigned i = 0; i < 3; i++)
		sweep->realm_ops[i] = (struct fake_guest_op){.kind = FAKE_GUEST_RIPAS,
							     .at = at,
							     .size = GRANULE_SIZE,
							     .to_ram = i == 2,
							     .change_destroyed = lenient};
	sweep->realm_ops[1] = (struct fake_guest_op){.kind = FAKE_GUEST_SHARED, .at = at};
	sweep->realm_ops[3] = (struct fake_guest_op){.kind = FAKE_GUEST_OFF};
	fake_realm_begin(&host);
	fake_realm_set_guest(0, sweep->realm_ops);
}

/* A guest that touches a device, makes a call of RSI's, and ends. */
static void begin_other(struct sweep *sweep)
{
	const uint64_t uart = fake_machine_shared(&sweep->machine, FAKE_MACHINE_UART);

	memset(sweep->ops, 0, sizeof(sweep->ops));
	sweep->ops[0] = (struct fake_op){.kind = FAKE_STORE, .at = uart, .size = 1, .value = '!'};
	sweep->ops[1] = (struct fake_op){.kind = FAKE_SMC, .x = {RSI_VERSION, RSI_ABI_1_0}};
	sweep->ops[2] = (struct fake_op){.kind = FAKE_SMC, .x = {FAKE_PSCI_SYSTEM_OFF}};
	fake_kvm_begin(&sweep->host);
	fake_kvm_set_guest(1, 0, sweep->ops);
}

static void sweep_begin(struct sweep *sweep)
{
	if (sweep->machine.launch.kind == MACHINE_REALM)
		begin_realm(sweep);
	else
		begin_other(sweep);
	sweep->nr_fds = fake_machine_nr_fds();
	sweep->nr_maps = fake_machine_nr_maps();
	sweep->nr_threads = nr_threads();
}

static void sweep_end(struct sweep *sweep)
{
	assert_int_equal(fake_machine_nr_fds(), sweep->nr_fds);
	assert_int_equal(fake_machine_nr_maps(), sweep->nr_maps);
	assert_int_equal(sweep->nr_maps, 0);
	assert_int_equal(nr_threads_down_to(sweep->nr_threads), sweep->nr_threads);
	fake_kvm_end();
}

static struct sweep *sweep_create(enum machine_kind kind, bool has_pci)
{
	struct sweep *sweep = calloc(1, sizeof(*sweep));

	assert_non_null(sweep);
	sweep->host = fake_host_default;
	sweep->disk_fd = -1;
	/* Who is not set there to wait would end the realm. */
	fake_machine_load(&sweep->machine, kind, kind == MACHINE_REALM ? 1 : 2, has_pci);
	if (!has_pci)
		return sweep;
	sweep->disk_fd = memfd_create("disk", MFD_CLOEXEC);
	assert_true(sweep->disk_fd >= 0);
	assert_int_equal(ftruncate(sweep->disk_fd, 1 << 20), 0);
	snprintf(sweep->disk, sizeof(sweep->disk), "/proc/self/fd/%d", sweep->disk_fd);
	sweep->machine.config.nr_disks = 1;
	sweep->machine.config.disks[0].path = sweep->disk;
	return sweep;
}

static void sweep_free(struct sweep *sweep)
{
	if (sweep->disk_fd >= 0)
		close(sweep->disk_fd);
	fake_machine_done(&sweep->machine);
	free(sweep);
}

/* One sentence: of words, on one line, without a full stop, and the code that was returned. */
static void assert_sentence(const struct ccr_err *err, int code)
{
	const size_t size = strlen(err->msg);

	assert_int_equal(err->code, code);
	assert_in_range(size, 15, sizeof(err->msg) - 2);
	assert_null(strchr(err->msg, '\n'));
	assert_null(strchr(err->msg, '?'));
	assert_non_null(strchr(err->msg, ' '));
	assert_true(isalnum((unsigned char)err->msg[size - 1]) ||
		    strchr(")'\"%", err->msg[size - 1]));
}

/* A request that only asks which realm interface it is, without what it would take to be done. */
static bool is_probe(const char *call)
{
	const char *config = strstr(call, "CONFIG");

	return strstr(call, "POPULATE NULL") || strstr(call, "POPULATE_V12 NULL") ||
	       (config && config[strlen("CONFIG")] == '\0');
}

/* Without these a machine is as good; and registers are looked at when a vCPU is paused. */
static bool is_optional(const char *call)
{
	static const char *const calls[] = {
		"KVM_CHECK_EXTENSION ARM_VM_IPA_SIZE", /* then it is 40 */
		"KVM_CHECK_EXTENSION ARM_NISV_TO_USER",
		"KVM_ENABLE_CAP ARM_NISV_TO_USER",
		"KVM_CHECK_EXTENSION ARM_PTRAUTH", /* then it has none */
		"KVM_CHECK_EXTENSION IRQFD",       /* then messages are sent by calls */
		"KVM_CHECK_EXTENSION IRQ_ROUTING",
		"KVM_IRQFD",
		"KVM_GET_ONE_REG PC",
		"0x4040aed",
		"0xc040aed",
		"KVM_IRQ_LINE",
		"vcpu1 KVM_RUN", /* the other one may have ended the machine before */
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strstr(call, calls[i]))
			return true;
	}
	return is_probe(call);
}

/* What is not answered is not there: that it is missed is what is told. */
static bool is_question(const char *call)
{
	return strstr(call, "KVM_CHECK_EXTENSION") || strstr(call, "KVM_HAS_DEVICE_ATTR") ||
	       is_probe(call);
}

/* Call @number fails with @error. Return: false if there were not so many. */
static bool launch_with_failed_call(struct sweep *sweep, unsigned number, int error)
{
	struct fake_machine *machine = &sweep->machine;
	char call[128];

	sweep_begin(sweep);
	fake_kvm_fail_call(number, error);
	fake_machine_run(machine);
	snprintf(call, sizeof(call), "%s", fake_kvm_failed_call());
	if (call[0] == '\0') {
		assert_int_equal(machine->ret, 0);
		assert_int_equal(machine->outcome, VM_POWEROFF);
		assert_string_equal(machine->output,
				    machine->launch.kind == MACHINE_REALM ? "" : "!");
	} else if (machine->ret == 0 && machine->outcome == VM_POWEROFF) {
		if (!is_optional(call))
			fail_msg("%s: the machine ran although this failed: %s",
				 fake_generation_name(sweep->generation), call);
	} else if (machine->ret == 0) {
		/* It was running already. */
		assert_int_equal(machine->outcome, VM_FAILED);
		assert_sentence(&machine->err, error);
	} else {
		assert_sentence(&machine->err, is_question(call) ? machine->err.code : error);
		assert_int_equal(machine->err.code, machine->ret);
		assert_string_equal(machine->output, "");
	}
	sweep_end(sweep);
	return call[0] != '\0';
}

static void sweep_calls(enum machine_kind kind, bool has_pci, int error)
{
	struct sweep *sweep = sweep_create(kind, has_pci);
	unsigned number = 1;

	while (launch_with_failed_call(sweep, number, error))
		number++;
	/* The sweep has come through set-up to the guest's end. */
	assert_in_range(number, 36, MAX_CALLS);
	print_message("# %u faults\n", number - 1);
	sweep_free(sweep);
}

/* All that can be asked of a vCPU; there is nothing optional about it then. */
static void test_calls_features(void **state)
{
	struct sweep *sweep = sweep_create(MACHINE_PLAIN, false);
	struct ccr_err err = {0};
	unsigned number = 1;

	(void)state;
	sweep->host.sve_vls = 3;
	sweep->host.pmu_counters = 6;
	sweep->host.ids[FAKE_DFR0] = 5ull << 12 | 3ull << 20;
	sweep->host.ids[FAKE_ISAR0] = 2ull << 20;
	assert_int_equal(features_parse("sve=128,pmu=4,watchpoints=2,lse=off",
					&sweep->machine.launch.features, &err),
			 0);
	while (launch_with_failed_call(sweep, number, -EIO))
		number++;
	assert_in_range(number, 60, MAX_CALLS);
	sweep_free(sweep);
}

static void test_calls_plain(void **state)
{
	(void)state;
	sweep_calls(MACHINE_PLAIN, false, -ENXIO);
}

static void test_calls_plain_pci(void **state)
{
	(void)state;
	sweep_calls(MACHINE_PLAIN, true, -EBUSY);
}

static void test_calls_emulated(void **state)
{
	(void)state;
	sweep_calls(MACHINE_EMULATED, true, -ENOMEM);
}

static void test_calls_realm(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FAKE_NR_REALM_GENERATIONS; i++) {
		struct sweep *sweep = sweep_create(MACHINE_REALM, i % 2);
		unsigned number = 1;

		sweep->generation = i;
		while (launch_with_failed_call(sweep, number, -EIO))
			number++;
		assert_in_range(number, 40, MAX_CALLS);
		print_message("# %u faults on %s\n", number - 1, fake_generation_name(i));
		sweep_free(sweep);
	}
}

/* Descriptors end at @max_fds. Return: were they enough? */
static bool launch_with_few_fds(struct sweep *sweep, unsigned max_fds)
{
	struct fake_machine *machine = &sweep->machine;

	sweep_begin(sweep);
	machine->max_fds = max_fds;
	fake_machine_run(machine);
	if (machine->ret) {
		assert_int_equal(machine->ret, -EMFILE);
		assert_sentence(&machine->err, -EMFILE);
	} else {
		assert_int_equal(machine->outcome, VM_POWEROFF);
	}
	sweep_end(sweep);
	return machine->ret == 0;
}

static void sweep_fds(enum machine_kind kind, bool has_pci)
{
	struct sweep *sweep = sweep_create(kind, has_pci);
	unsigned max_fds = 3, nr_failed = 0;

	for (; !launch_with_few_fds(sweep, max_fds); max_fds++)
		nr_failed++;
	assert_in_range(nr_failed, 8, MAX_FDS);
	sweep_free(sweep);
}

static void test_fds_plain(void **state)
{
	(void)state;
	sweep_fds(MACHINE_PLAIN, false);
}

static void test_fds_plain_pci(void **state)
{
	(void)state;
	sweep_fds(MACHINE_PLAIN, true);
}

static void test_fds_emulated(void **state)
{
	(void)state;
	sweep_fds(MACHINE_EMULATED, true);
}

/* The second life of a plain machine can fail like the first one. Return: as above. */
static bool launch_twice_with_failed_call(struct sweep *sweep, unsigned number, unsigned *nr_late)
{
	struct fake_op first[] = {
		{.kind = FAKE_SMC, .x = {FAKE_PSCI_SYSTEM_RESET}},
		{.kind = FAKE_END},
	};
	struct fake_machine *machine = &sweep->machine;
	bool failed;

	sweep_begin(sweep);
	fake_kvm_begin(&fake_host_default);
	fake_kvm_set_guest(1, 0, first);
	fake_kvm_set_guest(2, 0, sweep->ops);
	fake_kvm_fail_call(number, -EIO);
	fake_machine_run(machine);
	failed = fake_kvm_failed_call()[0] != '\0';
	if (machine->ret || machine->outcome == VM_FAILED) {
		const bool is_late = strstr(fake_kvm_trace(), "close vm2") != NULL;

		assert_sentence(&machine->err, machine->err.code);
		/* Whoever has run once did start. */
		assert_false(is_late && machine->ret);
		*nr_late += is_late;
	} else if (!failed) {
		assert_int_equal(machine->outcome, VM_POWEROFF);
		assert_string_equal(machine->output, "!");
	}
	sweep_end(sweep);
	return failed;
}

static void test_calls_after_reset(void **state)
{
	struct sweep *sweep = sweep_create(MACHINE_PLAIN, false);
	unsigned number = 1, nr_late = 0;

	(void)state;
	while (launch_twice_with_failed_call(sweep, number, &nr_late))
		number++;
	/* How many calls come before differs by one or two, so not all of the 28 need be hit. */
	assert_in_range(nr_late, 20, 30);
	assert_in_range(number, 60, MAX_CALLS);
	sweep_free(sweep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls_plain),       cmocka_unit_test(test_calls_plain_pci),
		cmocka_unit_test(test_calls_emulated),    cmocka_unit_test(test_calls_realm),
		cmocka_unit_test(test_calls_after_reset), cmocka_unit_test(test_fds_plain),
		cmocka_unit_test(test_fds_plain_pci),     cmocka_unit_test(test_fds_emulated),
		cmocka_unit_test(test_calls_features),
	};

	/* What is said to the user is in the records; the log would only be in the way. */
	log_init(LOG_ERROR);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
