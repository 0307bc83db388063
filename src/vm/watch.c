/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The silent launch: a guest that dies before its console works shows nothing at all. Say what was
 * seen from outside and what usually is the cause.
 */
#include <inttypes.h>

#include "internal.h"

struct seen {
	uint64_t nr_mmio, nr_calls, nr_aborts;
	uint32_t last_fid;
	bool knows; /* that it is a realm */
	unsigned nr_on;
	uint64_t pc;
};

static struct seen look(struct vcpu_group *group)
{
	struct seen seen = {.pc = group->vcpus[0].pc};

	for (unsigned i = 0; i < group->nr_vcpus; i++) {
		struct vcpu *vcpu = &group->vcpus[i];
		const uint32_t fid = atomic_load(&vcpu->stats.last_fid);

		seen.nr_mmio += atomic_load(&vcpu->stats.nr_exits[VCPU_EXIT_MMIO]);
		seen.nr_calls += atomic_load(&vcpu->stats.nr_exits[VCPU_EXIT_HYPERCALL]);
		seen.nr_aborts += atomic_load(&vcpu->stats.nr_aborts);
		seen.knows |= atomic_load(&vcpu->stats.knows_realm);
		if (fid)
			seen.last_fid = fid;
		if (kvm_vcpu_is_stopped(vcpu->arch->fd) == 0)
			seen.nr_on++;
	}
	return seen;
}

static const char *call_name(uint32_t fid)
{
	const char *name = rsi_name(fid);

	return fid == 0 ? "none" : name ? name : "unknown";
}

void watch_report(struct vm *vm)
{
	const bool silent =
		uart_nr_written(&vm->machine.uart) == 0 &&
		(!vm->machine.has_virtio ||
		 vconsole_get_state(&vm->machine.console, VCONSOLE_PORT).nr_written == 0);
	const bool realm = vm->launch->kind != MACHINE_PLAIN;
	/* Once a life; how many lives a guest makes of it, the log counts. */
	struct log_limit once = {.nr_left = 1};
	struct seen seen;

	if (vcpu_group_pause(&vm->vcpus, NULL))
		return;
	seen = look(&vm->vcpus);
	vcpu_group_resume(&vm->vcpus, NULL);

	if ((!silent && (!realm || seen.knows)) || !log_allow(&once))
		return;
	if (silent)
		log_warn("the guest has printed nothing for %u s", vm->config->quiet_s);
	if (realm && !seen.knows)
		log_warn("the guest %s: it does not know that it is a realm",
			 vm->vcpus.emulated ? "has not asked for RSI_VERSION"
					    : "has not shared any memory");
	log_warn("seen so far: %" PRIu64 " device accesses, %" PRIu64 " RSI calls (last: %s), "
		 "%" PRIu64 " aborts; PSCI has %u of %u vCPUs on; vCPU 0 is at 0x%" PRIx64,
		 seen.nr_mmio, seen.nr_calls, call_name(seen.last_fid), seen.nr_aborts, seen.nr_on,
		 vm->vcpus.nr_vcpus, seen.pc);
	if (realm && !seen.knows)
		log_warn("likely cause: a guest kernel older than Linux 6.13 or built without "
			 "realm support%s",
			 silent ? ", or earlycon= at a protected address" : "");
	else if (realm && seen.nr_aborts > 0)
		log_warn("likely cause: earlycon= at a protected address; in this realm the UART "
			 "is at 0x%" PRIx64,
			 (uint64_t)MEMMAP_UART_BASE | vm->launch->map.shared_bit);
	else
		log_warn("likely cause: console= names another device than ttyS0, `quiet`, or a "
			 "kernel without 8250 serial support");
}
