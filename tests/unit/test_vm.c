/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: whole-machine
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "../fake/fake_machine.h"
#include "ccr/console.h"
#include "ccr/log.h"
#include "ccr/rsi.h"

#define UART    FAKE_MACHINE_UART
#define RAM     MEMMAP_RAM_BASE
#define VECTORS (RAM + 0x10000)
#define HOLE    0x02000000ull
#define MAX_OPS 200

/* Registers of the serial port. */
#define UART_IER 1
#define UART_LSR 5

struct bench {
	struct fake_machine machine;
	struct fake_op ops[2][MAX_OPS];
	unsigned nr_ops[2];
	atomic_uint nr_called;
};

static struct bench *begin_with(enum machine_kind kind, unsigned nr_vcpus, bool has_pci)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	fake_machine_load(&bench->machine, kind, nr_vcpus, has_pci);
	fake_kvm_begin(&fake_host_default);
	return bench;
}

static struct bench *begin(enum machine_kind kind)
{
	return begin_with(kind, 1, false);
}

static struct fake_op *add(struct bench *bench, unsigned vcpu, const struct fake_op *op)
{
	assert_true(bench->nr_ops[vcpu] < MAX_OPS - 1);
	bench->ops[vcpu][bench->nr_ops[vcpu]] = *op;
	return &bench->ops[vcpu][bench->nr_ops[vcpu]++];
}

static uint64_t shared(const struct bench *bench, uint64_t at)
{
	return fake_machine_shared(&bench->machine, at);
}

static void add_text(struct bench *bench, unsigned vcpu, const char *text)
{
	for (; *text; text++)
		add(bench, vcpu,
		    &(struct fake_op){.kind = FAKE_STORE,
				      .at = shared(bench, UART),
				      .size = 1,
				      .value = (uint8_t)*text});
}

static struct fake_op *add_load(struct bench *bench, unsigned vcpu, uint64_t at, unsigned size)
{
	return add(bench, vcpu, &(struct fake_op){.kind = FAKE_LOAD, .at = at, .size = size});
}

static struct fake_op *add_smc(struct bench *bench, unsigned vcpu, uint64_t fid, uint64_t x1)
{
	return add(bench, vcpu, &(struct fake_op){.kind = FAKE_SMC, .x = {fid, x1, RAM}});
}

static void add_call(struct bench *bench, unsigned vcpu, bool (*call)(void *ctx), void *ctx)
{
	add(bench, vcpu, &(struct fake_op){.kind = FAKE_CALL, .call = call, .ctx = ctx});
}

static void run(struct bench *bench)
{
	fake_kvm_set_guest(1, 0, bench->ops[0]);
	fake_kvm_set_guest(1, 1, bench->ops[1]);
	fake_machine_run(&bench->machine);
	assert_int_equal(bench->machine.ret, 0);
}

static void end(struct bench *bench)
{
	fake_kvm_end();
	fake_machine_done(&bench->machine);
	free(bench);
}

/* How machines end. */

static void test_poweroff(void **state)
{
	static const enum machine_kind kinds[] = {MACHINE_PLAIN, MACHINE_EMULATED};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct bench *bench = begin_with(kinds[i / 2], 1, i % 2);

		add_text(bench, 0, "hello\r\n");
		add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
		run(bench);
		assert_int_equal(bench->machine.outcome, VM_POWEROFF);
		assert_int_equal(bench->machine.err.code, 0);
		assert_string_equal(bench->machine.output, "hello\r\n");
		end(bench);
	}
}

/* Guest bytes are the guest's: whatever they are, they come out as they went in. */
static void test_output_is_unchanged(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);
	char all[128];

	(void)state;
	for (unsigned i = 0; i < 127; i++)
		all[i] = (char)(2 * i + 1);
	all[127] = '\0';
	add_text(bench, 0, all);
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench);
	assert_string_equal(bench->machine.output, all);
	end(bench);
}

static void test_much_output(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);

	(void)state;
	add(bench, 0,
	    &(struct fake_op){
		    .kind = FAKE_STORE, .at = UART, .size = 1, .value = 'x', .times = 20000});
	add_text(bench, 0, "!");
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench);
	assert_int_equal(strspn(bench->machine.output, "x"), 20000);
	assert_string_equal(bench->machine.output + 20000, "!");
	end(bench);
}

static void run_reset(struct bench *bench, struct fake_op *second)
{
	add_text(bench, 0, "1");
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_RESET, 0);
	fake_kvm_set_guest(2, 0, second);
	run(bench);
}

static void test_reset(void **state)
{
	struct fake_op second[] = {
		{.kind = FAKE_STORE, .at = UART, .size = 1, .value = '2'},
		/* Memory and registers are those of a new machine. */
		{.kind = FAKE_LOAD, .at = RAM + 0x100000, .size = 8, .value = 1},
		{.kind = FAKE_SMC, .x = {FAKE_PSCI_SYSTEM_OFF}},
		{.kind = FAKE_END},
	};
	struct bench *bench = begin(MACHINE_PLAIN);

	(void)state;
	add(bench, 0,
	    &(struct fake_op){.kind = FAKE_STORE, .at = RAM + 0x100000, .size = 8, .value = ~0ull});
	run_reset(bench, second);
	assert_int_equal(bench->machine.outcome, VM_POWEROFF);
	assert_string_equal(bench->machine.output, "12");
	assert_int_equal(second[1].nr_done, 1);
	assert_int_equal(second[1].value, 0);
	end(bench);
}

/* The kernel's file, for writing. */
static int open_kernel(const struct bench *bench)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", bench->machine.launch.kernel.fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

#define STALE_TEXT \
	"the file has changed since the launch; start the machine again to boot what is in it now"

/* Write where it does not show in the size, and later than the file's last change. */
static void change(int fd, off_t offset)
{
	const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};

	assert_int_equal(pwrite(fd, "changed", 7, offset), 7);
	assert_int_equal(futimens(fd, times), 0);
}

/* The head, by which the guest was laid out, and what is behind it in the file. */
static void test_image_is_loaded(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);
	struct fake_op *first, *header, *behind, *last;

	(void)state;
	assert_true(bench->machine.launch.kernel.in_file);
	first = add_load(bench, 0, RAM, 8);
	header = add_load(bench, 0, RAM + 56, 4);
	behind = add_load(bench, 0, RAM + 64, 4);
	last = add_load(bench, 0, RAM + 8184, 8);
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench);
	assert_int_equal(first->value, 0x1f1f1f1f1f1f1f1f);
	assert_memory_equal(&header->value, "ARM\x64", 4);
	assert_int_equal(behind->value, 0x1f1f1f1f);
	assert_int_equal(last->value, 0x1f1f1f1f1f1f1f1f);
	end(bench);
}

/* In its head, which was read at the launch, or behind it. */
static void test_image_is_another(void **state)
{
	static const off_t places[] = {32, 64, 8185};

	(void)state;
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct bench *bench = begin(MACHINE_PLAIN);
		const int fd = open_kernel(bench);

		change(fd, places[i]);
		fake_machine_run(&bench->machine);
		assert_int_equal(bench->machine.ret, -ESTALE);
		assert_string_equal(bench->machine.err.msg, "kernel: " STALE_TEXT);
		close(fd);
		end(bench);
	}
}

/* Longer or shorter, it is another kernel. */
static void test_image_has_another_size(void **state)
{
	static const off_t sizes[] = {8191, 8193, 63, 0};

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bench *bench = begin(MACHINE_PLAIN);
		const int fd = open_kernel(bench);

		assert_int_equal(ftruncate(fd, sizes[i]), 0);
		fake_machine_run(&bench->machine);
		assert_int_equal(bench->machine.ret, -ESTALE);
		assert_string_equal(bench->machine.err.msg, "kernel: " STALE_TEXT);
		close(fd);
		end(bench);
	}
}

static void test_initrd_is_loaded(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);
	struct launch *launch = &bench->machine.launch;
	const int kernel = open_kernel(bench), initrd = memfd_create("initrd", MFD_CLOEXEC);
	char kernel_path[64], initrd_path[64];
	const struct launch_options options = {
		.kind = MACHINE_PLAIN,
		.kernel = kernel_path,
		.initrd = initrd_path,
		.ram_size = 64ull << 20,
		.nr_vcpus = 1,
		.hash_algo = HASH_SHA256,
	};
	struct fake_op *load;

	(void)state;
	snprintf(kernel_path, sizeof(kernel_path), "/proc/self/fd/%d", kernel);
	snprintf(initrd_path, sizeof(initrd_path), "/proc/self/fd/%d", initrd);
	assert_int_equal(write(initrd, "an initrd", 9), 9);
	launch_done(launch);
	assert_int_equal(launch_load(launch, &options, &bench->machine.err), 0);
	assert_true(launch->initrd.in_file);
	load = add_load(bench, 0, launch->layout.initrd_base.v, 8);
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench);
	assert_memory_equal(&load->value, "an initr", 8);

	/* The next machine is told that it is another one. */
	assert_int_equal(write(initrd, "2", 1), 1);
	fake_machine_run(&bench->machine);
	assert_int_equal(bench->machine.ret, -ESTALE);
	assert_string_equal(bench->machine.err.msg, "initrd: " STALE_TEXT);
	close(kernel);
	close(initrd);
	end(bench);
}

static bool shorten(void *ctx)
{
	const int *fd = ctx;

	assert_int_equal(ftruncate(*fd, 4096), 0);
	return false;
}

static bool rewrite(void *ctx)
{
	const int *fd = ctx;

	change(*fd, 4096);
	return false;
}

/* A reset boots what was launched, or nothing. */
static void test_image_changes_before_reset(void **state)
{
	bool (*const changes[])(void *ctx) = {shorten, rewrite};

	(void)state;
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct fake_op second[] = {{.kind = FAKE_END}};
		struct bench *bench = begin(MACHINE_PLAIN);
		int fd = open_kernel(bench);

		add_call(bench, 0, changes[i], &fd);
		add_smc(bench, 0, FAKE_PSCI_SYSTEM_RESET, 0);
		fake_kvm_set_guest(1, 0, bench->ops[0]);
		fake_kvm_set_guest(2, 0, second);
		fake_machine_run(&bench->machine);
		assert_int_equal(bench->machine.ret, 0);
		assert_int_equal(bench->machine.outcome, VM_FAILED);
		assert_string_equal(bench->machine.err.msg, "kernel: " STALE_TEXT);
		close(fd);
		end(bench);
	}
}

static void test_reset_without_reboot(void **state)
{
	struct fake_op second[] = {{.kind = FAKE_END}};
	struct bench *bench = begin(MACHINE_PLAIN);

	(void)state;
	bench->machine.config.no_reboot = true;
	run_reset(bench, second);
	assert_int_equal(bench->machine.outcome, VM_RESET);
	assert_string_equal(bench->machine.output, "1");
	end(bench);
}

/* A realm cannot be reset: its measurement was taken once. */
static void test_reset_of_realm(void **state)
{
	struct fake_op second[] = {{.kind = FAKE_END}};
	struct bench *bench = begin(MACHINE_EMULATED);

	(void)state;
	run_reset(bench, second);
	assert_int_equal(bench->machine.outcome, VM_RESET);
	end(bench);
}

static void test_crash(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);

	(void)state;
	add(bench, 0, &(struct fake_op){.kind = FAKE_SET_VBAR, .at = HOLE});
	add(bench, 0,
	    &(struct fake_op){.kind = FAKE_LOAD, .at = HOLE, .size = 4, .times = UINT_MAX});
	run(bench);
	assert_int_equal(bench->machine.outcome, VM_CRASH);
	assert_int_equal(bench->machine.err.code, -EFAULT);
	assert_non_null(strstr(bench->machine.err.msg, "guest crashed: the exception vectors"));
	end(bench);
}

static void test_unclaimed_access(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);
	struct fake_op *load;

	(void)state;
	add(bench, 0, &(struct fake_op){.kind = FAKE_SET_VBAR, .at = VECTORS});
	load = add_load(bench, 0, HOLE, 4);
	add(bench, 0, &(struct fake_op){.kind = FAKE_ERET});
	add_text(bench, 0, "survived");
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench);
	assert_int_equal(bench->machine.outcome, VM_POWEROFF);
	assert_int_equal(load->nr_aborts, 1);
	assert_string_equal(bench->machine.output, "survived");
	end(bench);
}

/* In a realm the serial port is not where a plain machine has it. */
static void test_protected_uart(void **state)
{
	struct bench *bench = begin(MACHINE_EMULATED);
	struct fake_op *store;

	(void)state;
	store = add(bench, 0,
		    &(struct fake_op){.kind = FAKE_STORE, .at = UART, .size = 1, .value = 'x'});
	add_text(bench, 0, "y");
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench);
	assert_int_equal(store->nr_aborts, 1);
	assert_string_equal(bench->machine.output, "y");
	end(bench);
}

static void test_rsi(void **state)
{
	struct bench *bench = begin(MACHINE_EMULATED);
	const struct fake_op *version, *plain;

	(void)state;
	version = add_smc(bench, 0, RSI_VERSION, RSI_ABI_1_0);
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench);
	assert_int_equal(version->x[0], RSI_SUCCESS);
	assert_int_equal(version->x[1], RSI_ABI_1_0);
	end(bench);

	/* A plain machine is no realm, and says so. */
	bench = begin(MACHINE_PLAIN);
	plain = add_smc(bench, 0, RSI_VERSION, RSI_ABI_1_0);
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench);
	assert_int_equal(plain->x[0], UINT64_MAX);
	end(bench);
}

static void test_page_size(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);

	(void)state;
	bench->machine.launch.image.page_size = 16384;
	fake_machine_run(&bench->machine);
	assert_int_equal(bench->machine.ret, -EOPNOTSUPP);
	assert_non_null(strstr(bench->machine.err.msg, "the kernel uses pages of 16 KiB"));
	end(bench);
}

static bool spin(void *ctx)
{
	atomic_uint *count = ctx;

	atomic_fetch_add(count, 1);
	return true;
}

/* One vCPU ends the machine, whatever the others do. */
static void test_two_vcpus(void **state)
{
	struct bench *bench = begin_with(MACHINE_PLAIN, 2, true);

	(void)state;
	add_smc(bench, 0, FAKE_PSCI_CPU_ON, 1);
	add_call(bench, 0, spin, &bench->nr_called);
	add_text(bench, 1, "second");
	add_smc(bench, 1, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench);
	assert_int_equal(bench->machine.outcome, VM_POWEROFF);
	assert_string_equal(bench->machine.output, "second");
	end(bench);
}

#define VIRTIO 0x03000000ull

/* virtio without PCI: the devices that there are, places without one, and nothing behind them. */
static void check_virtio_mmio(enum machine_kind kind)
{
	static const struct {
		uint64_t at, value;
	} known[] = {
		{VIRTIO, 0x74726976},         {VIRTIO + 8, 3},     {VIRTIO + 0x208, 4},
		{VIRTIO + 0x400, 0x74726976}, {VIRTIO + 0x408, 0}, {VIRTIO + 31 * 0x200 + 4, 2},
	};
	struct bench *bench = begin_with(kind, 2, false);
	struct fake_op *loads[sizeof(known) / sizeof(known[0])];
	const unsigned nr = sizeof(known) / sizeof(known[0]);

	bench->machine.launch.has_virtio_mmio = true;
	for (unsigned i = 0; i < nr; i++)
		loads[i] = add_load(bench, 0, shared(bench, known[i].at), 4);
	/* The rng's queue is notified, without a driver. */
	add(bench, 0,
	    &(struct fake_op){.kind = FAKE_STORE, .at = shared(bench, VIRTIO + 0x250), .size = 4});
	add_text(bench, 0, "there");
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench);
	assert_int_equal(bench->machine.outcome, VM_POWEROFF);
	assert_string_equal(bench->machine.output, "there");
	for (unsigned i = 0; i < nr; i++)
		assert_int_equal(loads[i]->value, known[i].value);
	end(bench);
}

static void test_virtio_mmio(void **state)
{
	(void)state;
	check_virtio_mmio(MACHINE_PLAIN);
	check_virtio_mmio(MACHINE_EMULATED);
}

/* @ctx: where this vCPU's thread may run */
static bool where_am_i(void *ctx)
{
	assert_int_equal(sched_getaffinity(0, sizeof(cpu_set_t), ctx), 0);
	return false;
}

static void test_affinity(void **state)
{
	struct bench *bench = begin_with(MACHINE_PLAIN, 2, false);
	cpu_set_t all, first, second;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	assert_true(CPU_ISSET(0, &all));
	bench->machine.config.vcpu_affinity = "0=0";
	add_call(bench, 0, where_am_i, &first);
	add_smc(bench, 0, FAKE_PSCI_CPU_ON, 1);
	add_call(bench, 0, spin, &bench->nr_called);
	add_call(bench, 1, where_am_i, &second);
	add_smc(bench, 1, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench);
	assert_int_equal(bench->machine.outcome, VM_POWEROFF);
	assert_int_equal(CPU_COUNT(&first), 1);
	assert_true(CPU_ISSET(0, &first));
	assert_true(CPU_EQUAL(&second, &all));
	end(bench);
}

static void test_affinity_refused(void **state)
{
	struct bench *bench = begin_with(MACHINE_PLAIN, 2, false);

	(void)state;
	bench->machine.config.vcpu_affinity = "1=1023";
	fake_kvm_set_guest(1, 0, bench->ops[0]);
	fake_kvm_set_guest(1, 1, bench->ops[1]);
	fake_machine_run(&bench->machine);
	assert_int_equal(bench->machine.ret, -EINVAL);
	assert_non_null(strstr(bench->machine.err.msg, "vCPU 1 cannot run there"));
	end(bench);
}

/* Requests from outside. */

/* @ctx: milliseconds left */
static bool until_later(void *ctx)
{
	unsigned *ms = ctx;

	usleep(1000);
	return --*ms > 0;
}

static bool send_signal(void *ctx)
{
	kill(getpid(), *(const int *)ctx);
	return false;
}

static void test_signals(void **state)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct bench *bench = begin_with(MACHINE_PLAIN, 2, false);
		int number = numbers[i];
		sigset_t mask;

		add_text(bench, 0, "up");
		add_call(bench, 0, send_signal, &number);
		run(bench);
		pthread_sigmask(SIG_SETMASK, NULL, &mask);
		assert_int_equal(sigismember(&mask, number), 0);
		assert_int_equal(bench->machine.outcome, VM_STOPPED);
		assert_int_equal(bench->machine.err.code, 0);
		assert_string_equal(bench->machine.output, "up");
		end(bench);
	}
}

/* One that comes while the machine is set up does not end the process. A realm is not completed. */
static void test_early_signal(void **state)
{
	static const enum machine_kind kinds[] = {MACHINE_PLAIN, MACHINE_EMULATED};
	sigset_t set, old;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	for (unsigned i = 0; i < 2; i++) {
		struct bench *bench = begin(kinds[i]);

		add_text(bench, 0, "up");
		kill(getpid(), SIGTERM);
		run(bench);
		assert_int_equal(bench->machine.outcome, VM_STOPPED);
		assert_int_equal(bench->machine.err.code, 0);
		if (kinds[i] == MACHINE_EMULATED)
			assert_string_equal(bench->machine.output, "");
		end(bench);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* A guest that prints without end is stopped all the same. */
static void test_signal_to_chatterbox(void **state)
{
	struct bench *bench = begin_with(MACHINE_PLAIN, 2, false);
	int number = SIGTERM;
	unsigned ms = 100;

	(void)state;
	add_smc(bench, 0, FAKE_PSCI_CPU_ON, 1);
	add_call(bench, 0, until_later, &ms);
	add_call(bench, 0, send_signal, &number);
	add(bench, 1,
	    &(struct fake_op){
		    .kind = FAKE_STORE, .at = UART, .size = 1, .value = 'x', .times = UINT_MAX});
	bench->machine.drains_output = true;
	run(bench);
	assert_int_equal(bench->machine.outcome, VM_STOPPED);
	end(bench);
}

/* Input. */

static bool until_irq(void *ctx)
{
	(void)ctx;
	return !fake_kvm_irq_level(0);
}

static void test_input(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);
	const struct fake_op *bytes[3], *status;

	(void)state;
	bench->machine.input = "Q\n";
	add(bench, 0,
	    &(struct fake_op){.kind = FAKE_STORE, .at = UART + UART_IER, .size = 1, .value = 1});
	for (unsigned i = 0; i < 2; i++) {
		add_call(bench, 0, until_irq, NULL);
		bytes[i] = add_load(bench, 0, UART, 1);
	}
	status = add_load(bench, 0, UART + UART_LSR, 1);
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench);
	assert_int_equal(bytes[0]->value, 'Q');
	assert_int_equal(bytes[1]->value, '\n');
	assert_int_equal(status->value & 1, 0);
	assert_int_equal(bench->machine.outcome, VM_POWEROFF);
	end(bench);
}

/* Keys of the terminal's are not looked for in what comes from a pipe. */
static void test_input_without_terminal(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);
	const struct fake_op *bytes[2];

	(void)state;
	bench->machine.input = "\x01x";
	add(bench, 0,
	    &(struct fake_op){.kind = FAKE_STORE, .at = UART + UART_IER, .size = 1, .value = 1});
	for (unsigned i = 0; i < 2; i++) {
		add_call(bench, 0, until_irq, NULL);
		bytes[i] = add_load(bench, 0, UART, 1);
	}
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench);
	assert_int_equal(bytes[0]->value, 1);
	assert_int_equal(bytes[1]->value, 'x');
	end(bench);
}

static void test_stdout_is_gone(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);

	(void)state;
	bench->machine.closes_output = true;
	add_text(bench, 0, "nobody hears this");
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench);
	assert_int_equal(bench->machine.outcome, VM_POWEROFF);
	end(bench);
}

/* The console can be elsewhere. Then stdin and stdout are unused. */
static void test_console_elsewhere(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);
	char path[] = "/tmp/test-vm-XXXXXX", text[16] = "";
	const int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	bench->machine.config.console = (struct chardev_config){.kind = CHARDEV_FILE, .path = path};
	bench->machine.input = "\x01x";
	add_text(bench, 0, "to a file");
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench);
	assert_int_equal(bench->machine.outcome, VM_POWEROFF);
	assert_string_equal(bench->machine.output, "");
	assert_int_equal(read(fd, text, sizeof(text)), 9);
	assert_string_equal(text, "to a file");
	close(fd);
	unlink(path);
	end(bench);
}

struct client {
	char path[32];
	int fd;
};

static bool dial(void *ctx)
{
	struct client *client = ctx;
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, client->path);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		client->fd = -1;
	return false;
}

/* A client that does not read does not stop the guest, nor the machine from ending. */
static void test_unread_socket(void **state)
{
	struct bench *bench = begin_with(MACHINE_PLAIN, 1, false);
	struct client client = {"/tmp/test-vm-XXXXXX", -1};
	unsigned ms = 2 * CHARDEV_STALL_MS;
	char bytes[4096], last = 0;
	ssize_t size;

	(void)state;
	assert_non_null(mkdtemp(client.path));
	assert_int_equal(rmdir(client.path), 0);
	bench->machine.config.console =
		(struct chardev_config){.kind = CHARDEV_SOCKET, .path = client.path};
	add_call(bench, 0, dial, &client);
	add(bench, 0,
	    &(struct fake_op){
		    .kind = FAKE_STORE, .at = UART, .size = 1, .value = 'x', .times = 1000000});
	add_call(bench, 0, until_later, &ms);
	add_text(bench, 0, ".");
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	run(bench);
	assert_int_equal(bench->machine.outcome, VM_POWEROFF);
	assert_true(client.fd >= 0);
	while ((size = read(client.fd, bytes, sizeof(bytes))) > 0)
		last = bytes[size - 1];
	assert_int_equal(last, 'x');
	assert_int_equal(access(client.path, F_OK), -1);
	close(client.fd);
	end(bench);
}

/* Terminals. */

struct terminal {
	int master, slave;
	struct termios before;
	pid_t child;
};

/* Run in a child whose terminal this is, and wait until it is raw. @verdict is its status. */
static void terminal_run(struct terminal *terminal, struct bench *bench,
			 int (*verdict)(const struct bench *bench))
{
	struct termios now;

	terminal->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(terminal->master >= 0);
	assert_int_equal(grantpt(terminal->master), 0);
	assert_int_equal(unlockpt(terminal->master), 0);
	terminal->slave = open(ptsname(terminal->master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(terminal->slave >= 0);
	assert_int_equal(tcgetattr(terminal->slave, &terminal->before), 0);

	fflush(NULL);
	terminal->child = fork();
	if (terminal->child == 0) {
		setsid();
		ioctl(terminal->slave, TIOCSCTTY, 0);
		bench->machine.terminal = terminal->slave;
		run(bench);
		_exit(verdict(bench));
	}
	now = terminal->before;
	for (unsigned ms = 0; ms < 10000 && now.c_lflag & ICANON; ms++) {
		usleep(1000);
		assert_int_equal(tcgetattr(terminal->slave, &now), 0);
	}
	assert_int_equal(now.c_lflag & (ICANON | ECHO | ISIG), 0);
}

/* Return: the child's status. The terminal is what it was. */
static int terminal_end(struct terminal *terminal)
{
	struct termios now;
	int status = 0;

	assert_int_equal(waitpid(terminal->child, &status, 0), terminal->child);
	assert_true(WIFEXITED(status));
	assert_int_equal(tcgetattr(terminal->slave, &now), 0);
	assert_int_equal(now.c_iflag, terminal->before.c_iflag);
	assert_int_equal(now.c_oflag, terminal->before.c_oflag);
	assert_int_equal(now.c_lflag, terminal->before.c_lflag);
	close(terminal->slave);
	close(terminal->master);
	return WEXITSTATUS(status);
}

static void type(const struct terminal *terminal, const char *keys)
{
	assert_int_equal(write(terminal->master, keys, strlen(keys)), strlen(keys));
}

static int was_stopped(const struct bench *bench)
{
	return bench->machine.outcome == VM_STOPPED ? 42 : 1;
}

static void test_terminal_escape(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);
	struct terminal terminal;

	(void)state;
	terminal_run(&terminal, bench, was_stopped);
	type(&terminal, "\x01x");
	assert_int_equal(terminal_end(&terminal), 42);
	end(bench);
}

static void test_terminal_after_signal(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);
	struct terminal terminal;

	(void)state;
	terminal_run(&terminal, bench, was_stopped);
	kill(terminal.child, SIGTERM);
	assert_int_equal(terminal_end(&terminal), 42);
	end(bench);
}

static int has_read_keys(const struct bench *bench)
{
	return bench->machine.outcome == VM_POWEROFF && bench->ops[0][2].value == 3 &&
			       bench->ops[0][4].value == 1
		       ? 42
		       : 1;
}

/* Ctrl-c is a key like others; Ctrl-a has to be typed twice. */
static void test_terminal_keys(void **state)
{
	struct bench *bench = begin(MACHINE_PLAIN);
	struct terminal terminal;

	(void)state;
	add(bench, 0,
	    &(struct fake_op){.kind = FAKE_STORE, .at = UART + UART_IER, .size = 1, .value = 1});
	for (unsigned i = 0; i < 2; i++) {
		add_call(bench, 0, until_irq, NULL);
		add_load(bench, 0, UART, 1);
	}
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	terminal_run(&terminal, bench, has_read_keys);
	type(&terminal, "\x03\x01\x01");
	assert_int_equal(terminal_end(&terminal), 42);
	end(bench);
}

static void assert_filtered(struct console *console, const char *typed, const char *left,
			    enum console_request request)
{
	uint8_t bytes[64];
	size_t size = 99;

	memcpy(bytes, typed, strlen(typed));
	assert_int_equal(console_filter(console, bytes, strlen(typed), &size), request);
	assert_int_equal(size, strlen(left));
	assert_memory_equal(bytes, left, size);
}

static void test_keys(void **state)
{
	struct console console = {.base.is_terminal = true};

	(void)state;
	assert_filtered(&console, "", "", CONSOLE_NONE);
	assert_filtered(&console, "plain\r\x03\x1b[A", "plain\r\x03\x1b[A", CONSOLE_NONE);
	assert_filtered(&console,
			"a\x01\x01"
			"b",
			"a\x01"
			"b",
			CONSOLE_NONE);
	assert_filtered(&console, "a\x01hb", "ab", CONSOLE_HELP);
	assert_filtered(&console, "a\x01?b", "ab", CONSOLE_HELP);
	/* What the escape is not for is dropped with it. */
	assert_filtered(&console, "a\x01qb", "ab", CONSOLE_NONE);
	assert_filtered(&console, "a\x01xb", "a", CONSOLE_QUIT);
	assert_false(console.escaped);
	/* Keys come one by one. */
	assert_filtered(&console, "\x01", "", CONSOLE_NONE);
	assert_true(console.escaped);
	assert_filtered(&console, "", "", CONSOLE_NONE);
	assert_filtered(&console, "x", "", CONSOLE_QUIT);
	assert_filtered(&console, "x", "x", CONSOLE_NONE);

	console.base.is_terminal = false;
	assert_filtered(&console, "\x01x\x01", "\x01x\x01", CONSOLE_NONE);
}

/* Silent guests: what is said about them, and that is it. */

static int complain(const char *messages, const char *text, bool expected)
{
	if (!strstr(messages, text) == !expected)
		return 0;
	fprintf(stderr, "%s \"%s\" in:\n%s", expected ? "no" : "there is", text, messages);
	return 1;
}

struct silence {
	enum machine_kind kind;
	uint64_t access, fid;
	const char *text; /* that the guest prints */
	const char *expected[4];
	const char *unexpected;
};

/* In a child, so that several of them can wait at the same time. */
static int be_silent(const struct silence *silence)
{
	struct bench *bench = begin_with(silence->kind, 2, true);
	unsigned ms = 1200;
	int bad = 0;

	if (silence->access)
		add_load(bench, 0, silence->access, 4);
	if (silence->fid)
		add_smc(bench, 0, silence->fid, RSI_ABI_1_0);
	add_text(bench, 0, silence->text);
	add_call(bench, 0, until_later, &ms);
	add_smc(bench, 0, FAKE_PSCI_SYSTEM_OFF, 0);
	bench->machine.config.quiet_s = 1;
	bench->machine.wants_messages = true;
	log_init(LOG_WARN);
	run(bench);
	for (unsigned i = 0; i < 4 && silence->expected[i]; i++)
		bad += complain(bench->machine.messages, silence->expected[i], true);
	if (silence->unexpected)
		bad += complain(bench->machine.messages, silence->unexpected, false);
	end(bench);
	return bad;
}

enum { NR_SILENCES = 4 };

struct children {
	pid_t pids[NR_SILENCES];
};

/* They wait beside the other tests. */
static int start_silences(void **state)
{
	static const struct silence silences[NR_SILENCES] = {
		{
			.kind = MACHINE_PLAIN,
			.text = "",
			.expected = {"printed nothing for 1 s", "PSCI has 1 of 2 vCPUs on",
				     "console= names another device"},
			.unexpected = "RSI_VERSION",
		},
		{
			.kind = MACHINE_PLAIN,
			.text = "x",
			.unexpected = "printed nothing",
		},
		{
			.kind = MACHINE_EMULATED,
			.text = "Booting",
			.expected = {"has not asked for RSI_VERSION", "RSI calls (last: none)",
				     "older than Linux 6.13"},
			.unexpected = "printed nothing",
		},
		{
			.kind = MACHINE_EMULATED,
			.access = UART,
			.fid = RSI_VERSION,
			.text = "",
			.expected =
				{"printed nothing", "last: RSI_VERSION", "1 aborts",
				 "earlycon= at a protected address; in this realm the UART is at "
				 "0x101000000"},
			.unexpected = "has not asked",
		},
	};
	struct children *children = malloc(sizeof(*children));

	assert_non_null(children);
	fflush(NULL);
	for (unsigned i = 0; i < NR_SILENCES; i++) {
		children->pids[i] = fork();
		if (children->pids[i] == 0)
			_exit(be_silent(&silences[i]));
	}
	*state = children;
	return 0;
}

static int free_silences(void **state)
{
	free(*state);
	return 0;
}

static void test_silence(void **state)
{
	const struct children *children = *state;

	for (unsigned i = 0; i < NR_SILENCES; i++) {
		int status = -1;

		assert_int_equal(waitpid(children->pids[i], &status, 0), children->pids[i]);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_poweroff),
		cmocka_unit_test(test_output_is_unchanged),
		cmocka_unit_test(test_much_output),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_image_is_loaded),
		cmocka_unit_test(test_image_is_another),
		cmocka_unit_test(test_image_has_another_size),
		cmocka_unit_test(test_initrd_is_loaded),
		cmocka_unit_test(test_image_changes_before_reset),
		cmocka_unit_test(test_reset_without_reboot),
		cmocka_unit_test(test_reset_of_realm),
		cmocka_unit_test(test_crash),
		cmocka_unit_test(test_unclaimed_access),
		cmocka_unit_test(test_protected_uart),
		cmocka_unit_test(test_rsi),
		cmocka_unit_test(test_page_size),
		cmocka_unit_test(test_two_vcpus),
		cmocka_unit_test(test_virtio_mmio),
		cmocka_unit_test(test_affinity),
		cmocka_unit_test(test_affinity_refused),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_early_signal),
		cmocka_unit_test(test_signal_to_chatterbox),
		cmocka_unit_test(test_input),
		cmocka_unit_test(test_input_without_terminal),
		cmocka_unit_test(test_stdout_is_gone),
		cmocka_unit_test(test_console_elsewhere),
		cmocka_unit_test(test_unread_socket),
		cmocka_unit_test(test_terminal_escape),
		cmocka_unit_test(test_terminal_after_signal),
		cmocka_unit_test(test_terminal_keys),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_silence),
	};

	log_init(LOG_ERROR);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, start_silences, free_silences);
}
