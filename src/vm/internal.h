/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/vm share about a machine. */
#ifndef VM_INTERNAL_H
#define VM_INTERNAL_H

#include <signal.h>

#include "ccr/console.h"
#include "ccr/rtc.h"
#include "ccr/uart.h"
#include "ccr/vcpu.h"
#include "ccr/vm.h"

/**
 * struct machine - the devices of a machine; machine.c has their table
 */
struct machine {
	struct bus bus;
	struct uart uart;
	struct rtc rtc;
	bool has_uart;
};

/**
 * machine_init() - create all devices and put them on the bus, in the table's order
 *
 * Return: 0, or -errno with @err set; machine_done() is needed either way.
 */
int machine_init(struct machine *machine, const struct uart_host *uart_host, struct ccr_err *err);
void machine_done(struct machine *machine);

/**
 * struct loop - the event loop
 * @wake_fd: eventfd; UART output has come, or @ended was set
 * @signal_fd, @timer_fd: as their names say
 * @ended, @outcome, @err: why the machine ended; @outcome and @err are valid once @ended is set
 */
struct loop {
	int wake_fd;
	int signal_fd;
	int timer_fd;
	bool output_lost;
	atomic_bool ended;
	enum vm_outcome outcome;
	struct ccr_err err;
};

/**
 * struct vm - one life of a machine, from creation to its end; a reset begins another
 */
struct vm {
	const struct vm_config *config;
	const struct launch *launch;
	struct console *console;
	struct gmem *gmem;
	struct arch_vm arch;
	struct vcpu_group vcpus;
	struct machine machine;
	struct emulated emulated;
	struct realm_kvm realm;
	struct loop loop;
};

/** loop_init() - create the descriptors. Return: 0 or -errno with @err set. */
int loop_init(struct loop *loop, struct ccr_err *err);
void loop_done(struct loop *loop);

/**
 * loop_block_signals() - from now on SIGTERM, SIGINT and SIGHUP come through the loop
 * @ret_old: the mask to restore in the end
 *
 * Before the terminal is made raw, which they must not leave so, and before the vCPU threads are
 * created, which inherit the mask.
 */
void loop_block_signals(sigset_t *ret_old);

/** loop_wake() - from any thread */
void loop_wake(struct loop *loop);

/** loop_end() - from any thread, once: the machine has ended. @err may be NULL. */
void loop_end(struct loop *loop, enum vm_outcome outcome, const struct ccr_err *err);

/** loop_run() - serve console, signals and timers until the machine has ended */
void loop_run(struct vm *vm);

/** watch_report() - if the guest has been silent since its start, say so and what was seen */
void watch_report(struct vm *vm);

#endif
