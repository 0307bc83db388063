/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the control socket's commands do to a machine.
 *
 *		stop		     reset of a plain VM
 *	RUNNING <---> PAUSED	     keeps the state: a paused machine starts paused
 *	   |	cont	|
 *	   +------+-----+ guest, quit, signal, end of a grace period
 *		  v
 *	       SHUTDOWN, for the rest of the loop's last round
 *
 * A pause is the loop's own pause of the vCPU group. What pauses within it, such as the diagnosis
 * of a silent guest, nests.
 */
#include <errno.h>
#include <unistd.h>
#include <json-c/json.h>

#include "internal.h"

static enum qmp_status status(void *ctx)
{
	struct vm *vm = ctx;

	if (atomic_load(&vm->loop.ended))
		return QMP_SHUTDOWN;
	return vm->control->paused ? QMP_PAUSED : QMP_RUNNING;
}

static int stop(void *ctx, struct ccr_err *err)
{
	struct vm *vm = ctx;

	if (vm->control->paused)
		return 0;
	if (vcpu_group_pause(&vm->vcpus, NULL))
		return err_set(err, -ESHUTDOWN, "the machine is ending");
	vm->control->paused = true;
	log_info("paused");
	control_event(vm->control, "STOP", NULL);
	return 0;
}

static int cont(void *ctx, struct ccr_err *err)
{
	struct vm *vm = ctx;

	(void)err;
	if (!vm->control->paused)
		return 0;
	vm->control->paused = false;
	log_info("resumed");
	control_event(vm->control, "RESUME", NULL);
	vcpu_group_resume(&vm->vcpus, NULL);
	return 0;
}

static int reset(void *ctx, struct ccr_err *err)
{
	struct vm *vm = ctx;

	if (vm->launch->kind != MACHINE_PLAIN)
		return err_set(err, -EOPNOTSUPP,
			       "a realm cannot be reset: end it and launch a new one");
	if (vm->config->no_reboot)
		return err_set(err, -EOPNOTSUPP,
			       "the machine was started with --no-reboot; end it and start it "
			       "again");
	log_info("reset by a control command");
	vm->control->reason = "host-qmp-system-reset";
	vcpu_group_end(&vm->vcpus, VM_RESET, NULL);
	return 0;
}

static void quit(void *ctx)
{
	loop_stop(ctx, "a control command", "host-qmp-quit");
}

/* There is no power button, and nobody in the guest to ask: it may end by itself until then. */
static void powerdown(void *ctx, unsigned grace_s)
{
	struct vm *vm = ctx;

	if (grace_s == 0) {
		quit(vm);
		return;
	}
	log_info("asked to stop: the machine ends in %u s, or before if the guest powers off",
		 grace_s);
	control_event(vm->control, "POWERDOWN", NULL);
	control_end_after(vm->control, grace_s);
}

static int console(void *ctx, int fd, struct ccr_err *err)
{
	struct vm *vm = ctx;
	const int ret = console_attach(vm->console, fd);

	if (ret)
		close(fd);
	if (ret == -EBUSY)
		return err_set(err, ret, "another terminal is attached to its console");
	return ret ? err_set(err, ret, "a terminal is attached by a stream socket") : 0;
}

/* Balloon: QEMU counts what is left to the guest, in bytes. */

static int need_balloon(const struct vm *vm, struct ccr_err *err)
{
	return vm->machine.has_balloon
		       ? 0
		       : err_set(err, -ENODEV, "No balloon device has been activated");
}

static int set_balloon(void *ctx, uint64_t size, struct ccr_err *err)
{
	struct vm *vm = ctx;
	const uint64_t ram_size = gmem_size(vm->gmem);

	if (need_balloon(vm, err))
		return err->code;
	/* As there: more than all is all, and the rest is the guest's to refuse. */
	if (size > ram_size)
		size = ram_size;
	balloon_set_target(&vm->machine.balloon, (uint32_t)((ram_size - size) / BALLOON_PAGE_SIZE));
	return 0;
}

static uint64_t left_to_guest(struct vm *vm)
{
	const struct balloon_state state = balloon_get_state(&vm->machine.balloon);
	const uint64_t taken = (uint64_t)state.actual * BALLOON_PAGE_SIZE;

	/* The guest says so; it may say anything. */
	return taken < gmem_size(vm->gmem) ? gmem_size(vm->gmem) - taken : 0;
}

static int query_balloon(void *ctx, uint64_t *ret_size, struct ccr_err *err)
{
	struct vm *vm = ctx;

	if (need_balloon(vm, err))
		return err->code;
	*ret_size = left_to_guest(vm);
	return 0;
}

void manage_notice(struct vm *vm)
{
	struct json_object *data;

	if (!vm->machine.has_balloon || !balloon_take_change(&vm->machine.balloon))
		return;
	data = json_object_new_object();
	json_object_object_add(data, "actual", json_object_new_uint64(left_to_guest(vm)));
	control_event(vm->control, "BALLOON_CHANGE", data);
}

static void stat(void *ctx, struct json_object *object)
{
	struct vm *vm = ctx;

	stats_fill(vm, status(vm), object);
}

const struct qmp_ops manage_ops = {
	.status = status,
	.stop = stop,
	.cont = cont,
	.reset = reset,
	.powerdown = powerdown,
	.quit = quit,
	.stat = stat,
	.console = console,
	.balloon = set_balloon,
	.query_balloon = query_balloon,
};

/* Why a life has ended, in QEMU's words (ShutdownCause). */
static const char *reason_of(const struct control *control, enum vm_outcome outcome)
{
	static const char *const reasons[] = {
		[VM_POWEROFF] = "guest-shutdown", [VM_RESET] = "guest-reset",
		[VM_CRASH] = "guest-panic",       [VM_STOPPED] = "host-signal",
		[VM_FAILED] = "host-error",       [VM_BROKEN] = "host-error",
	};
	const bool by_host = outcome == VM_STOPPED || outcome == VM_RESET;

	return by_host && control->reason ? control->reason : reasons[outcome];
}

void manage_ended(struct control *control, enum vm_outcome outcome, bool restarts)
{
	const char *reason = reason_of(control, outcome);
	struct json_object *data = json_object_new_object();

	json_object_object_add(data, "guest", json_object_new_boolean(reason[0] == 'g'));
	json_object_object_add(data, "reason", json_object_new_string(reason));
	control_event(control, restarts ? "RESET" : "SHUTDOWN", data);
	control->reason = NULL;
	control->nr_resets += restarts;
}
