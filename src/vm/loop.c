/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* How long the last output may take to leave once the machine has ended. */
#define DRAIN_MS 2000

enum { SOURCE_WAKE, SOURCE_SIGNAL, SOURCE_TIMER, SOURCE_INPUT, SOURCE_OUTPUT, NR_SOURCES };

static void end_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

int loop_init(struct loop *loop, struct ccr_err *err)
{
	sigset_t set;

	*loop = (struct loop){.wake_fd = -1, .signal_fd = -1, .timer_fd = -1};
	end_signals(&set);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd >= 0)
		loop->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (loop->signal_fd >= 0)
		loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->timer_fd < 0)
		return err_set(err, -errno, "event loop: no descriptor: %s", strerror(errno));
	return 0;
}

void loop_done(struct loop *loop)
{
	const int fds[] = {loop->wake_fd, loop->signal_fd, loop->timer_fd};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

void loop_block_signals(sigset_t *ret_old)
{
	sigset_t set;

	end_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, ret_old);
}

void loop_wake(struct loop *loop)
{
	const uint64_t one = 1;

	/* It can only fail with EAGAIN, when the loop is about to wake anyway. */
	if (write(loop->wake_fd, &one, sizeof(one)) < 0)
		return;
}

void loop_end(struct loop *loop, enum vm_outcome outcome, const struct ccr_err *err)
{
	loop->outcome = outcome;
	if (err)
		loop->err = *err;
	atomic_store(&loop->ended, true);
	loop_wake(loop);
}

/* The loop's own reason to end competes with the vCPUs': the first one counts. */
static void stop_by_request(struct vm *vm, const char *who)
{
	log_info("stopped by %s", who);
	vcpu_group_end(&vm->vcpus, VM_STOPPED, NULL);
}

static void on_signal(struct vm *vm)
{
	struct signalfd_siginfo info;

	if (read(vm->loop.signal_fd, &info, sizeof(info)) == sizeof(info))
		stop_by_request(vm, info.ssi_signo == SIGTERM  ? "SIGTERM"
				    : info.ssi_signo == SIGINT ? "SIGINT"
							       : "SIGHUP");
}

static void on_input(struct vm *vm)
{
	uint8_t bytes[UART_FIFO_SIZE];
	const size_t room = uart_rx_room(&vm->machine.uart);
	ssize_t got;
	size_t left = 0;

	/* The guest may have closed its receiver since; to read nothing would look like the end. */
	if (room == 0)
		return;
	got = read(vm->console->in_fd, bytes, room);
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got <= 0) {
		vm->console->in_fd = -1;
		return;
	}
	switch (console_filter(vm->console, bytes, (size_t)got, &left)) {
	case CONSOLE_QUIT:
		stop_by_request(vm, "Ctrl-a x");
		break;
	case CONSOLE_HELP:
		log_info("Ctrl-a x ends the machine, Ctrl-a Ctrl-a sends one Ctrl-a");
		break;
	case CONSOLE_NONE:
		break;
	}
	uart_receive(&vm->machine.uart, bytes, left);
}

/* Move output on. Return: bytes moved, 0 if nothing could be. */
static size_t on_output(struct vm *vm)
{
	uint8_t bytes[4096];
	const size_t size = uart_peek(&vm->machine.uart, bytes, sizeof(bytes));
	int done = (int)size;

	if (size == 0)
		return 0;
	if (!vm->loop.output_lost)
		done = console_write(vm->console, bytes, size);
	if (done < 0) {
		log_warn("console: stdout is gone (%s); what the guest prints is lost from now on",
			 strerror(-done));
		vm->loop.output_lost = true;
		done = (int)size;
	}
	uart_consume(&vm->machine.uart, (size_t)done);
	return (size_t)done;
}

static void on_wake(struct loop *loop)
{
	uint64_t count;

	if (read(loop->wake_fd, &count, sizeof(count)) < 0)
		return;
}

static bool has_output(struct vm *vm)
{
	uint8_t byte;

	return uart_peek(&vm->machine.uart, &byte, 1) > 0;
}

static void set_sources(struct vm *vm, struct pollfd sources[NR_SOURCES])
{
	const bool room = uart_rx_room(&vm->machine.uart) > 0;

	sources[SOURCE_WAKE] = (struct pollfd){.fd = vm->loop.wake_fd, .events = POLLIN};
	sources[SOURCE_SIGNAL] = (struct pollfd){.fd = vm->loop.signal_fd, .events = POLLIN};
	sources[SOURCE_TIMER] = (struct pollfd){.fd = vm->loop.timer_fd, .events = POLLIN};
	sources[SOURCE_INPUT] =
		(struct pollfd){.fd = room ? vm->console->in_fd : -1, .events = POLLIN};
	sources[SOURCE_OUTPUT] =
		(struct pollfd){.fd = has_output(vm) ? vm->console->out_fd : -1, .events = POLLOUT};
}

/* What was in the ring when the machine ended; vCPUs that still run may print without end. */
static void drain_output(struct vm *vm)
{
	struct pollfd out = {.fd = vm->console->out_fd, .events = POLLOUT};
	size_t left = UART_RING_SIZE;
	int budget_ms = DRAIN_MS;

	while (left > 0 && has_output(vm) && budget_ms > 0) {
		const size_t done = poll(&out, 1, 100) > 0 ? on_output(vm) : 0;

		if (done == 0)
			budget_ms -= 100;
		left -= done < left ? done : left;
	}
}

static void arm_timer(struct loop *loop, unsigned seconds)
{
	const struct itimerspec when = {.it_value.tv_sec = seconds};

	timerfd_settime(loop->timer_fd, 0, &when, NULL);
}

void loop_run(struct vm *vm)
{
	struct pollfd sources[NR_SOURCES];

	arm_timer(&vm->loop, vm->config->quiet_s);
	while (!atomic_load(&vm->loop.ended)) {
		set_sources(vm, sources);
		if (poll(sources, NR_SOURCES, -1) < 0)
			continue;
		if (sources[SOURCE_WAKE].revents)
			on_wake(&vm->loop);
		if (sources[SOURCE_SIGNAL].revents)
			on_signal(vm);
		if (sources[SOURCE_TIMER].revents) {
			arm_timer(&vm->loop, 0);
			watch_report(vm);
		}
		if (sources[SOURCE_INPUT].revents)
			on_input(vm);
		if (sources[SOURCE_OUTPUT].revents)
			on_output(vm);
	}
	drain_output(vm);
}
