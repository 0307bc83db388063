/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ccr/trim.h"
#include "internal.h"

/* How long the last output may take to leave once the machine has ended. */
#define DRAIN_MS      2000
#define DRAIN_STEP_MS 100

/* Output that is moved on at a time, between looks at everything else. */
#define MOVE_SIZE 4096

enum {
	SOURCE_WAKE,
	SOURCE_SIGNAL,
	SOURCE_TIMER,
	SOURCE_PCIBUS,
	SOURCE_CONSOLE = SOURCE_PCIBUS + PCIBUS_NR_SOURCES,
	SOURCE_CHANNELS = SOURCE_CONSOLE + CONSOLE_NR_FDS,
	SOURCE_CONTROL = SOURCE_CHANNELS + CHANNELS_NR_FDS,
	NR_SOURCES = SOURCE_CONTROL + CONTROL_NR_SOURCES
};

static void end_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

/* syscalls(build): eventfd2 signalfd4 timerfd_create */
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

/* Return: the name of a signal that is to end the machine; NULL if there is none. */
/* syscalls(loop): read */
static const char *take_signal(struct vm *vm)
{
	struct signalfd_siginfo info;

	if (read(vm->loop.signal_fd, &info, sizeof(info)) != sizeof(info))
		return NULL;
	return info.ssi_signo == SIGTERM  ? "SIGTERM"
	       : info.ssi_signo == SIGINT ? "SIGINT"
					  : "SIGHUP";
}

static void on_signal(struct vm *vm)
{
	const char *name = take_signal(vm);

	if (name)
		loop_stop(vm, name, "host-signal");
}

bool loop_is_stopped_early(struct vm *vm)
{
	const char *name = take_signal(vm);

	if (name && !vm->loop.stopped_early) {
		log_info("stopped by %s, before the guest ran", name);
		vm->control->reason = "host-signal";
		vm->loop.stopped_early = true;
	}
	return vm->loop.stopped_early;
}

/*
 * Keys go to the console on which the guest has spoken last: the serial port until the driver of
 * the virtio console has taken over.
 */
static bool hvc_is_console(struct vm *vm)
{
	return vm->loop.hvc_spoke_last && vm->machine.has_virtio;
}

static size_t input_room(struct vm *vm)
{
	return hvc_is_console(vm) ? vconsole_room(&vm->machine.console, VCONSOLE_PORT)
				  : uart_rx_room(&vm->machine.uart);
}

static void give_input(struct vm *vm, const uint8_t *bytes, size_t size)
{
	if (hvc_is_console(vm))
		vconsole_receive(&vm->machine.console, VCONSOLE_PORT, bytes, size);
	else
		uart_receive(&vm->machine.uart, bytes, size);
}

static void on_input(struct vm *vm)
{
	uint8_t bytes[UART_FIFO_SIZE];
	const size_t room = input_room(vm);
	size_t size;

	/* The guest may have closed its receiver since it was asked for room. */
	if (room == 0)
		return;
	switch (console_read(vm->console, bytes, room < sizeof(bytes) ? room : sizeof(bytes),
			     &size)) {
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
	give_input(vm, bytes, size);
}

/* Move output on. Return: bytes moved, 0 if there are none or the console takes none. */
static size_t on_output(struct vm *vm)
{
	uint8_t bytes[MOVE_SIZE];
	size_t room = console_room(vm->console), size;

	if (room > sizeof(bytes))
		room = sizeof(bytes);
	size = uart_peek(&vm->machine.uart, bytes, room);
	if (size > 0) {
		console_write(vm->console, bytes, size);
		uart_consume(&vm->machine.uart, size);
		vm->loop.hvc_spoke_last = false;
		return size;
	}
	if (!vm->machine.has_virtio)
		return 0;
	size = vconsole_peek(&vm->machine.console, VCONSOLE_PORT, bytes, room);
	if (size > 0) {
		console_write(vm->console, bytes, size);
		vconsole_consume(&vm->machine.console, VCONSOLE_PORT, size);
		vm->loop.hvc_spoke_last = true;
	}
	return size;
}

/* syscalls(loop): read */
static void on_wake(struct loop *loop)
{
	uint64_t count;

	if (read(loop->wake_fd, &count, sizeof(count)) < 0)
		return;
}

static bool hvc_has_output(struct vm *vm)
{
	uint8_t byte;

	return vm->machine.has_virtio &&
	       vconsole_peek(&vm->machine.console, VCONSOLE_PORT, &byte, 1) > 0;
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
	sources[SOURCE_WAKE] = wait_for(vm->loop.wake_fd, POLLIN);
	sources[SOURCE_SIGNAL] = wait_for(vm->loop.signal_fd, POLLIN);
	sources[SOURCE_TIMER] = wait_for(vm->loop.timer_fd, POLLIN);
	pcibus_set_sources(&vm->machine, sources + SOURCE_PCIBUS);
	console_set_fds(vm->console, input_room(vm) > 0, sources + SOURCE_CONSOLE);
	channels_set_fds(vm->channels, &vm->machine.console, sources + SOURCE_CHANNELS);
	control_set_sources(vm->control, sources + SOURCE_CONTROL);
}

/* Of two numbers of milliseconds, of which -1 is for ever. */
static int earlier(int a, int b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

/* Milliseconds until something is due that no descriptor announces; -1 for nothing. */
static int set_timeout(struct vm *vm)
{
	const int timeout = earlier(console_timeout_ms(vm->console), control_timeout(vm->control));

	if ((has_output(vm) && console_room(vm->console) > 0) ||
	    channels_are_busy(vm->channels, &vm->machine.console))
		return 0;
	return earlier(timeout, pcibus_timeout_ms(&vm->machine));
}

static void serve_devices(struct vm *vm, const struct pollfd sources[NR_SOURCES])
{
	pcibus_serve(&vm->machine, sources + SOURCE_PCIBUS);
	if (hvc_has_output(vm) && console_is_stalled(vm->console))
		vconsole_set_stalled(&vm->machine.console);
}

static void serve_console(struct vm *vm, const struct pollfd *sources)
{
	console_serve(vm->console, sources + SOURCE_CONSOLE);
	on_input(vm);
	on_output(vm);
	channels_serve(vm->channels, &vm->machine.console, sources + SOURCE_CHANNELS);
}

/* Let it take some of what it has queued. Return: about how long that took, at least 1. */
/* syscalls(loop): ppoll */
static int wait_for_console(struct vm *vm)
{
	struct pollfd sources[CONSOLE_NR_FDS];

	console_set_fds(vm->console, false, sources);
	if (poll(sources, CONSOLE_NR_FDS, DRAIN_STEP_MS) <= 0)
		return DRAIN_STEP_MS;
	console_serve(vm->console, sources);
	return 1;
}

/* Only what has been said by now: the vCPUs may still be talking. */
static void drain_output(struct vm *vm)
{
	size_t left = UART_RING_SIZE;
	int budget_ms = DRAIN_MS;

	while (budget_ms > 0) {
		const size_t done = left > 0 ? on_output(vm) : 0;

		left -= done < left ? done : left;
		if (done > 0)
			continue;
		if (!console_has_output(vm->console))
			break;
		budget_ms -= wait_for_console(vm);
	}
}

/* syscalls(loop): timerfd_settime */
static void arm_timer(struct loop *loop, unsigned seconds)
{
	const struct itimerspec when = {.it_value.tv_sec = seconds};

	timerfd_settime(loop->timer_fd, 0, &when, NULL);
}

/* What the launch needed is given back when the guest has let us rest for that long. */
#define REST_MS 1000

/* Return: as poll(). @is_trimmed: once it was. */
/* syscalls(loop): ppoll */
static int wait_for_work(struct vm *vm, struct pollfd sources[NR_SOURCES], bool *is_trimmed)
{
	int timeout, ret;

	set_sources(vm, sources);
	timeout = set_timeout(vm);
	if (*is_trimmed || earlier(timeout, REST_MS) < REST_MS)
		return poll(sources, NR_SOURCES, timeout);
	ret = poll(sources, NR_SOURCES, REST_MS);
	if (ret == 0) {
		trim_memory();
		*is_trimmed = true;
	}
	return ret;
}

void loop_run(struct vm *vm)
{
	struct pollfd sources[NR_SOURCES];
	bool is_trimmed = false;

	arm_timer(&vm->loop, vm->config->quiet_s);
	while (!atomic_load(&vm->loop.ended)) {
		if (wait_for_work(vm, sources, &is_trimmed) < 0)
			continue;
		if (sources[SOURCE_WAKE].revents)
			on_wake(&vm->loop);
		if (sources[SOURCE_SIGNAL].revents)
			on_signal(vm);
		if (sources[SOURCE_TIMER].revents) {
			arm_timer(&vm->loop, 0);
			watch_report(vm);
		}
		serve_devices(vm, sources);
		serve_console(vm, sources);
		control_serve(vm->control, sources + SOURCE_CONTROL);
		manage_notice(vm);
	}
	drain_output(vm);
	channels_drain(vm->channels, &vm->machine.console, DRAIN_MS);
}
