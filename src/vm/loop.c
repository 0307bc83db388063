/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* How long the last output may take to leave once the machine has ended. */
#define DRAIN_MS 2000

/* How long the terminal may take nothing before the virtio console stops waiting for it. */
#define STALL_MS 1000

enum {
	SOURCE_WAKE,
	SOURCE_SIGNAL,
	SOURCE_TIMER,
	SOURCE_INPUT,
	SOURCE_OUTPUT,
	SOURCE_CONSOLE,
	SOURCE_RNG,
	SOURCE_VIEWER,
	SOURCE_CONTROL,
	NR_SOURCES = SOURCE_CONTROL + CONTROL_NR_SOURCES
};

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
void loop_stop(struct vm *vm, const char *who, const char *reason)
{
	if (atomic_load(&vm->loop.ended))
		return;
	log_info("stopped by %s", who);
	vm->control->reason = reason;
	vcpu_group_end(&vm->vcpus, VM_STOPPED, NULL);
}

static void on_signal(struct vm *vm)
{
	struct signalfd_siginfo info;

	if (read(vm->loop.signal_fd, &info, sizeof(info)) == sizeof(info))
		loop_stop(vm,
			  info.ssi_signo == SIGTERM  ? "SIGTERM"
			  : info.ssi_signo == SIGINT ? "SIGINT"
						     : "SIGHUP",
			  "host-signal");
}

/*
 * Keys go to the console on which the guest has spoken last: the serial port until the driver of
 * the virtio console has taken over.
 */
static bool hvc_is_console(struct vm *vm)
{
	return vm->loop.hvc_spoke_last && vm->machine.has_pci;
}

static size_t input_room(struct vm *vm)
{
	return hvc_is_console(vm) ? vconsole_room(&vm->machine.console)
				  : uart_rx_room(&vm->machine.uart);
}

static void give_input(struct vm *vm, const uint8_t *bytes, size_t size)
{
	if (hvc_is_console(vm))
		vconsole_receive(&vm->machine.console, bytes, size);
	else
		uart_receive(&vm->machine.uart, bytes, size);
}

static void on_input(struct vm *vm)
{
	uint8_t bytes[UART_FIFO_SIZE];
	const size_t room = input_room(vm);
	ssize_t got;
	size_t left = 0;

	/* The guest may have closed its receiver since; to read nothing would look like the end. */
	if (room == 0)
		return;
	got = read(vm->console->in_fd, bytes, room < sizeof(bytes) ? room : sizeof(bytes));
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got <= 0) {
		vm->console->in_fd = -1;
		return;
	}
	switch (console_filter(vm->console, bytes, (size_t)got, &left)) {
	case CONSOLE_QUIT:
		loop_stop(vm, "Ctrl-a x", "host-ui");
		break;
	case CONSOLE_DETACH:
		log_info("this terminal is the machine's own; Ctrl-a x ends the machine");
		break;
	case CONSOLE_HELP:
		log_info("Ctrl-a x ends the machine, Ctrl-a Ctrl-a sends one Ctrl-a");
		break;
	case CONSOLE_NONE:
		break;
	}
	give_input(vm, bytes, left);
}

/* Keys of an attached terminal; its escapes are its own business. */
static void on_viewer(struct vm *vm, short events)
{
	uint8_t bytes[UART_FIFO_SIZE];
	const size_t room = input_room(vm);
	ssize_t got;

	if (room == 0) {
		if (events & (POLLHUP | POLLERR))
			control_detach(vm->control);
		return;
	}
	got = recv(vm->control->console_fd, bytes, room < sizeof(bytes) ? room : sizeof(bytes),
		   MSG_DONTWAIT);
	if (got > 0)
		give_input(vm, bytes, (size_t)got);
	else if (got == 0 || (errno != EAGAIN && errno != EINTR))
		control_detach(vm->control);
}

static uint64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Return: bytes that stdout has taken; all of them once it is gone. */
static size_t put_output(struct vm *vm, const uint8_t *bytes, size_t size)
{
	int done;

	if (vm->loop.output_lost)
		return size;
	done = console_write(vm->console, bytes, size);
	if (done >= 0)
		return (size_t)done;
	log_warn("console: stdout is gone (%s); what the guest prints is lost from now on",
		 strerror(-done));
	vm->loop.output_lost = true;
	return size;
}

/* Move output on. Return: bytes moved, 0 if nothing could be. */
static size_t on_output(struct vm *vm)
{
	uint8_t bytes[4096];
	size_t size = uart_peek(&vm->machine.uart, bytes, sizeof(bytes)), done;

	if (size > 0) {
		done = put_output(vm, bytes, size);
		control_show(vm->control, bytes, done);
		uart_consume(&vm->machine.uart, done);
		vm->loop.hvc_spoke_last = false;
		return done;
	}
	if (!vm->machine.has_pci)
		return 0;
	size = vconsole_peek(&vm->machine.console, bytes, sizeof(bytes));
	if (size == 0)
		return 0;
	done = put_output(vm, bytes, size);
	control_show(vm->control, bytes, done);
	vconsole_consume(&vm->machine.console, done);
	vm->loop.hvc_spoke_last = true;
	if (done > 0)
		vm->loop.hvc_moved_ms = monotonic_ms();
	return done;
}

static void on_wake(struct loop *loop)
{
	uint64_t count;

	if (read(loop->wake_fd, &count, sizeof(count)) < 0)
		return;
}

static bool hvc_has_output(struct vm *vm)
{
	uint8_t byte;

	return vm->machine.has_pci && vconsole_peek(&vm->machine.console, &byte, 1) > 0;
}

static bool has_output(struct vm *vm)
{
	uint8_t byte;

	return uart_peek(&vm->machine.uart, &byte, 1) > 0 || hvc_has_output(vm);
}

static struct pollfd wait_for(int fd, short events)
{
	return (struct pollfd){.fd = fd, .events = events};
}

static void set_sources(struct vm *vm, struct pollfd sources[NR_SOURCES])
{
	const bool room = input_room(vm) > 0, output = has_output(vm), pci = vm->machine.has_pci;
	const struct virtio_slot *slots = vm->machine.slots;

	sources[SOURCE_WAKE] = wait_for(vm->loop.wake_fd, POLLIN);
	sources[SOURCE_SIGNAL] = wait_for(vm->loop.signal_fd, POLLIN);
	sources[SOURCE_TIMER] = wait_for(vm->loop.timer_fd, POLLIN);
	sources[SOURCE_INPUT] = wait_for(room ? vm->console->in_fd : -1, POLLIN);
	sources[SOURCE_OUTPUT] = wait_for(output ? vm->console->out_fd : -1, POLLOUT);
	sources[SOURCE_CONSOLE] = wait_for(pci ? slots[SLOT_CONSOLE].kick_fd : -1, POLLIN);
	sources[SOURCE_RNG] = wait_for(pci ? slots[SLOT_RNG].kick_fd : -1, POLLIN);
	sources[SOURCE_VIEWER] = wait_for(vm->control->console_fd, room ? POLLIN : 0);
	control_set_sources(vm->control, &sources[SOURCE_CONTROL]);
}

/* Milliseconds until something is due that no descriptor announces; -1 for nothing. */
static int set_timeout(struct vm *vm)
{
	uint64_t rng_ns;
	int timeout = control_timeout(vm->control);

	if (!vm->machine.has_pci)
		return timeout;
	if (hvc_has_output(vm) && (timeout < 0 || timeout > STALL_MS))
		timeout = STALL_MS;
	rng_ns = vrng_wait_ns(&vm->machine.rng);
	if (rng_ns != VRNG_NO_WAIT && (timeout < 0 || rng_ns / 1000000 < (uint64_t)timeout))
		timeout = (int)(rng_ns / 1000000) + 1;
	return timeout;
}

static void serve_devices(struct vm *vm, const struct pollfd sources[NR_SOURCES])
{
	if (!vm->machine.has_pci)
		return;
	if (sources[SOURCE_CONSOLE].revents)
		pcibus_serve(&vm->machine, SLOT_CONSOLE);
	if (sources[SOURCE_RNG].revents || vrng_wait_ns(&vm->machine.rng) == 0)
		pcibus_serve(&vm->machine, SLOT_RNG);
	if (!hvc_has_output(vm))
		vm->loop.hvc_moved_ms = monotonic_ms();
	else if (monotonic_ms() - vm->loop.hvc_moved_ms >= STALL_MS)
		vconsole_set_stalled(&vm->machine.console);
}

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
		if (poll(sources, NR_SOURCES, set_timeout(vm)) < 0)
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
		if (sources[SOURCE_VIEWER].revents)
			on_viewer(vm, sources[SOURCE_VIEWER].revents);
		serve_devices(vm, sources);
		control_serve(vm->control, &sources[SOURCE_CONTROL]);
	}
	drain_output(vm);
}
