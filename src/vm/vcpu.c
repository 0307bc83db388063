/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ccr/affinity.h"
#include "ccr/sandbox.h"
#include "ccr/vcpu.h"

#define KICK_SIGNAL SIGUSR1

/*
 * A guest whose exception vectors fault themselves can never go on: each abort leads to the next.
 * Handlers that touch a bad stack once or twice before they panic are below this.
 */
#define MAX_VECTOR_ABORTS 64

/* A guest may ask for the same change twice; a kernel that repeats itself does so without end. */
#define MAX_SAME_FAULTS 1000

/* Messages about accesses that nothing claims. */
#define MAX_UNCLAIMED_MESSAGES 8

/* Only to interrupt KVM_RUN. */
static void on_kick(int signal)
{
	(void)signal;
}

/* syscalls(loop vcpu): tgkill */
static void kick(struct vcpu *vcpu)
{
	kvm_run_set_immediate_exit(vcpu->arch->run, true);
	if (vcpu->has_thread)
		pthread_kill(vcpu->thread, KICK_SIGNAL);
}

static void kick_others(struct vcpu_group *group, const struct vcpu *self)
{
	for (unsigned i = 0; i < group->nr_vcpus; i++) {
		if (&group->vcpus[i] != self)
			kick(&group->vcpus[i]);
	}
}

/* Under the lock. */
static void set_parked(struct vcpu *vcpu, bool parked)
{
	vcpu->is_parked = parked;
	if (parked)
		vcpu->group->nr_parked++;
	else
		vcpu->group->nr_parked--;
	pthread_cond_broadcast(&vcpu->group->changed);
}

/* Wait while a pause lasts. Return: false if the thread must end. */
static bool park(struct vcpu *vcpu)
{
	struct vcpu_group *group = vcpu->group;
	bool stop;

	pthread_mutex_lock(&group->lock);
	if (group->pause_depth > 0 && !group->stop) {
		arch_vcpu_get_pc(vcpu->arch, &vcpu->pc);
		set_parked(vcpu, true);
		while (group->pause_depth > 0 && !group->stop)
			pthread_cond_wait(&group->changed, &group->lock);
		set_parked(vcpu, false);
	}
	stop = group->stop;
	if (!stop)
		kvm_run_set_immediate_exit(vcpu->arch->run, false);
	pthread_mutex_unlock(&group->lock);
	return !stop;
}

/* The machine has ended; nothing is left to do but to be collected. */
static void park_for_good(struct vcpu *vcpu)
{
	struct vcpu_group *group = vcpu->group;

	pthread_mutex_lock(&group->lock);
	set_parked(vcpu, true);
	while (!group->stop)
		pthread_cond_wait(&group->changed, &group->lock);
	pthread_mutex_unlock(&group->lock);
}

void vcpu_group_end(struct vcpu_group *group, enum vm_outcome outcome, const struct ccr_err *err)
{
	bool first;

	pthread_mutex_lock(&group->lock);
	first = !group->has_ended;
	group->has_ended = true;
	pthread_mutex_unlock(&group->lock);
	if (first)
		group->ended(group->ended_ctx, outcome, err);
}

/* Each handler returns true if the vCPU goes on, and has reported the end otherwise. */

static bool fail(struct vcpu *vcpu, enum vm_outcome outcome, const struct ccr_err *err)
{
	vcpu_group_end(vcpu->group, outcome, err);
	return false;
}

/* @ret is what arch_vcpu_abort() or arch_vcpu_abort_mmio() returned. */
static bool aborted(struct vcpu *vcpu, int ret)
{
	struct ccr_err err = {0};

	atomic_fetch_add(&vcpu->stats.nr_aborts, 1);
	if (ret < 0) {
		err_set(&err, ret, "vCPU %u: KVM cannot inject an abort: %s", vcpu->arch->index,
			strerror(-ret));
		return fail(vcpu, VM_FAILED, &err);
	}
	vcpu->nr_vector_aborts = ret ? vcpu->nr_vector_aborts + 1 : 0;
	if (vcpu->nr_vector_aborts < MAX_VECTOR_ABORTS)
		return true;
	err_set(&err, -EFAULT,
		"guest crashed: the exception vectors of vCPU %u are not accessible, so every "
		"abort leads to another one",
		vcpu->arch->index);
	return fail(vcpu, VM_CRASH, &err);
}

static bool handle_mmio(struct vcpu *vcpu, const struct kvm_exit *exit)
{
	struct vcpu_group *group = vcpu->group;
	const uint64_t shared_bit = gmem_shared_bit(group->gmem);
	const ipa_t at = gmem_strip(group->gmem, exit->mmio.at);
	uint64_t value = 0;
	int ret = -ENXIO;

	/*
	 * In a realm devices are outside: their protected addresses are holes. Real realms report
	 * no others, and without the bit.
	 */
	if (!group->emulated || exit->mmio.at.v & shared_bit) {
		if (exit->mmio.is_write)
			ret = bus_write(group->bus, at, exit->mmio.size, exit->mmio.value);
		else
			ret = bus_read(group->bus, at, exit->mmio.size, &value);
	}
	if (ret == 0) {
		if (!exit->mmio.is_write)
			kvm_exit_mmio_reply(vcpu->arch->run, exit->mmio.size, value);
		return true;
	}
	if (log_allow(&group->unclaimed_limit))
		log_debug("vCPU %u: no device for a %u-byte %s at 0x%llx: external abort",
			  vcpu->arch->index, exit->mmio.size,
			  exit->mmio.is_write ? "write" : "read",
			  (unsigned long long)exit->mmio.at.v);
	return aborted(vcpu, arch_vcpu_abort_mmio(vcpu->arch, group->gmem));
}

static void too_fragmented(struct ccr_err *err)
{
	err_set(err, -ENOSPC,
		"the guest shares its memory in more than %d pieces; ended before the host runs "
		"out of mappings",
		GMEM_MAX_RUNS);
}

static bool handle_hypercall(struct vcpu *vcpu, const struct kvm_exit *exit)
{
	struct vcpu_group *group = vcpu->group;
	struct ccr_err err = {0};
	int ret = -EPROTO;

	atomic_store(&vcpu->stats.last_fid, exit->hypercall.fid);
	if (exit->hypercall.fid == RSI_VERSION)
		atomic_store(&vcpu->stats.knows_realm, true);
	if (group->emulated)
		ret = emulated_hypercall(group->emulated, vcpu->arch, exit->hypercall.fid,
					 exit->hypercall.smc);
	if (ret == 0)
		return true;
	if (ret == -ENOSPC)
		too_fragmented(&err);
	else
		err_set(&err, ret, "vCPU %u: cannot answer call 0x%x: %s", vcpu->arch->index,
			exit->hypercall.fid, strerror(-ret));
	return fail(vcpu, VM_FAILED, &err);
}

/* Under a kernel that does not accept our answer, Linux would ask the same thing for ever. */
static bool makes_progress(struct vcpu *vcpu, const struct kvm_exit *exit)
{
	const struct kvm_exit *last = &vcpu->last_fault;
	const bool same = last->kind == VCPU_EXIT_MEMORY_FAULT &&
			  last->memory_fault.base.v == exit->memory_fault.base.v &&
			  last->memory_fault.size == exit->memory_fault.size &&
			  last->memory_fault.private_access == exit->memory_fault.private_access;

	vcpu->nr_same_faults = same ? vcpu->nr_same_faults + 1 : 0;
	vcpu->last_fault = *exit;
	return vcpu->nr_same_faults < MAX_SAME_FAULTS;
}

/* The part of a fault that is RAM; guests may name holes. Return: false if there is none. */
static bool clip_to_ram(const struct gmem *gmem, const struct kvm_exit *exit, ipa_t *ret_base,
			uint64_t *ret_size)
{
	const uint64_t ram = gmem_base(gmem).v, ram_top = ram + gmem_size(gmem);
	const uint64_t from = gmem_strip(gmem, exit->memory_fault.base).v;
	const uint64_t base = align_down(from > ram ? from : ram, GRANULE_SIZE);
	uint64_t top = ram_top;

	if (from >= ram_top || exit->memory_fault.size == 0)
		return false;
	if (exit->memory_fault.size < ram_top - from)
		top = align_up(from + exit->memory_fault.size, GRANULE_SIZE);
	*ret_base = ipa_at(base);
	*ret_size = top - base;
	return top > base;
}

static bool handle_memory_fault(struct vcpu *vcpu, const struct kvm_exit *exit)
{
	struct gmem *gmem = vcpu->group->gmem;
	struct ccr_err err = {0};
	uint64_t size;
	ipa_t base;
	int ret = 0;

	if (!vcpu->group->realm)
		ret = err_set(&err, -EFAULT, "vCPU %u: unexpected memory fault at 0x%llx",
			      vcpu->arch->index, (unsigned long long)exit->memory_fault.base.v);
	else if (!makes_progress(vcpu, exit))
		ret = err_set(&err, -ELOOP,
			      "vCPU %u: the kernel reports the same memory fault at 0x%llx again "
			      "and again; its realm interface is not one this program knows",
			      vcpu->arch->index, (unsigned long long)exit->memory_fault.base.v);
	else if (clip_to_ram(gmem, exit, &base, &size)) {
		atomic_store(&vcpu->stats.knows_realm, true);
		ret = realm_kvm_convert(vcpu->group->realm, vcpu->arch->index, base, size,
					exit->memory_fault.private_access);
		if (ret == -ENOSPC)
			too_fragmented(&err);
		else if (ret)
			err_set(&err, ret, "vCPU %u: memory at 0x%llx cannot become %s: %s",
				vcpu->arch->index, (unsigned long long)base.v,
				exit->memory_fault.private_access ? "private" : "shared",
				strerror(-ret));
	}
	return ret ? fail(vcpu, VM_FAILED, &err) : true;
}

static bool handle_error(struct vcpu *vcpu, const struct kvm_exit *exit)
{
	struct ccr_err err = {0};

	if (exit->error.code)
		err_set(&err, exit->error.code, "vCPU %u: KVM_RUN failed: %s", vcpu->arch->index,
			strerror(-exit->error.code));
	else
		err_set(&err, -EIO, "vCPU %u: KVM gave up: exit reason %u, detail 0x%llx",
			vcpu->arch->index, exit->error.reason,
			(unsigned long long)exit->error.detail);
	return fail(vcpu, VM_FAILED, &err);
}

static bool handle(struct vcpu *vcpu, const struct kvm_exit *exit)
{
	struct ccr_err err = {0};

	switch (exit->kind) {
	case VCPU_EXIT_MMIO:
		return handle_mmio(vcpu, exit);
	case VCPU_EXIT_HYPERCALL:
		return handle_hypercall(vcpu, exit);
	case VCPU_EXIT_FAULT:
		if (vcpu->group->emulated)
			return aborted(vcpu, arch_vcpu_abort(vcpu->arch, vcpu->group->gmem));
		err_set(&err, -EFAULT, "vCPU %u: the host cannot provide guest memory",
			vcpu->arch->index);
		return fail(vcpu, VM_FAILED, &err);
	case VCPU_EXIT_NISV:
		return aborted(vcpu, arch_vcpu_abort(vcpu->arch, vcpu->group->gmem));
	case VCPU_EXIT_POWEROFF:
		return fail(vcpu, VM_POWEROFF, NULL);
	case VCPU_EXIT_RESET:
		return fail(vcpu, VM_RESET, NULL);
	case VCPU_EXIT_CRASH:
		err_set(&err, -EIO, "guest crashed: it said so through its firmware interface");
		return fail(vcpu, VM_CRASH, &err);
	case VCPU_EXIT_INTERRUPTED:
	case VCPU_EXIT_AGAIN:
		return true;
	case VCPU_EXIT_SHUTDOWN:
		return false;
	case VCPU_EXIT_MEMORY_FAULT:
		/* Newer kernels may say it this way that a page cannot be touched. */
		if (vcpu->group->emulated)
			return aborted(vcpu, arch_vcpu_abort(vcpu->arch, vcpu->group->gmem));
		return handle_memory_fault(vcpu, exit);
	case VCPU_EXIT_ERROR:
		return handle_error(vcpu, exit);
	case VCPU_NR_EXITS:
		break;
	}
	return true;
}

/* What a real realm's vCPU asked for last time is done now. */
static bool settle(struct vcpu *vcpu)
{
	struct ccr_err err = {0};
	int ret = 0;

	if (vcpu->group->realm)
		ret = realm_kvm_exited(vcpu->group->realm, vcpu->arch->index);
	if (ret == 0)
		return true;
	err_set(&err, ret, "vCPU %u: shared memory's private side cannot be given back: %s",
		vcpu->arch->index, strerror(-ret));
	return fail(vcpu, VM_FAILED, &err);
}

static void *vcpu_main(void *arg)
{
	struct vcpu *vcpu = arg;
	bool go_on;

	atomic_store(&vcpu->tid, gettid());
	go_on = park(vcpu);
	while (go_on) {
		const int ret = kvm_vcpu_run(vcpu->arch->fd);
		const struct kvm_exit exit = kvm_exit_decode(vcpu->arch->run, ret);

		atomic_fetch_add_explicit(&vcpu->stats.nr_exits[exit.kind], 1,
					  memory_order_relaxed);
		if (exit.kind == VCPU_EXIT_INTERRUPTED) {
			go_on = park(vcpu);
		} else if (!settle(vcpu) || !handle(vcpu, &exit)) {
			park_for_good(vcpu);
			go_on = false;
		}
		if (exit.kind != VCPU_EXIT_MEMORY_FAULT)
			vcpu->nr_same_faults = 0;
	}
	return NULL;
}

int vcpu_group_init(struct vcpu_group *group, unsigned nr_vcpus)
{
	*group = (struct vcpu_group){
		.nr_vcpus = nr_vcpus,
		.pause_depth = 1,
		.unclaimed_limit = {MAX_UNCLAIMED_MESSAGES},
	};
	group->vcpus = calloc(nr_vcpus, sizeof(*group->vcpus));
	group->arch = calloc(nr_vcpus, sizeof(*group->arch));
	if (!group->vcpus || !group->arch) {
		free(group->vcpus);
		free(group->arch);
		group->vcpus = NULL;
		return -ENOMEM;
	}
	for (unsigned i = 0; i < nr_vcpus; i++) {
		group->vcpus[i].group = group;
		group->vcpus[i].arch = &group->arch[i];
		group->arch[i].fd = -1;
	}
	pthread_mutex_init(&group->lock, NULL);
	pthread_cond_init(&group->changed, NULL);
	return 0;
}

/* While the thread still waits for the machine to be let go. */
/* syscalls(build): sched_setaffinity */
static int pin(const struct vcpu *vcpu, struct ccr_err *err)
{
	const char *list = vcpu->group->affinity;
	cpu_set_t cpus;
	int ret;

	if (!list || !affinity_of(list, vcpu->arch->index, &cpus))
		return 0;
	ret = pthread_setaffinity_np(vcpu->thread, sizeof(cpus), &cpus);
	if (ret)
		return err_set(err, -ret,
			       "--vcpu-affinity %s: vCPU %u cannot run there: %s; are these CPUs "
			       "online, and allowed for this process?",
			       list, vcpu->arch->index, strerror(ret));
	return 0;
}

/* syscalls(build): rt_sigaction:SIGUSR1 */
int vcpu_group_start(struct vcpu_group *group, struct ccr_err *err)
{
	const struct sigaction action = {.sa_handler = on_kick};

	if (sigaction(KICK_SIGNAL, &action, NULL) < 0)
		return err_set(err, -errno, "cannot install a signal handler: %s", strerror(errno));
	for (unsigned i = 0; i < group->nr_vcpus; i++) {
		const int ret = sandbox_thread_create(&group->vcpus[i].thread, SANDBOX_VCPU,
						      vcpu_main, &group->vcpus[i]);

		if (ret)
			return err_set(err, ret, "cannot start the thread of vCPU %u: %s", i,
				       strerror(-ret));
		group->vcpus[i].has_thread = true;
		if (pin(&group->vcpus[i], err))
			return err->code;
	}
	return 0;
}

int vcpu_group_pause(struct vcpu_group *group, struct vcpu *self)
{
	int ret = 0;

	pthread_mutex_lock(&group->lock);
	if (group->pause_depth > 0 && group->pause_owner == self) {
		group->pause_depth++;
		pthread_mutex_unlock(&group->lock);
		return 0;
	}
	if (self)
		set_parked(self, true);
	while (group->pause_depth > 0 && !group->stop)
		pthread_cond_wait(&group->changed, &group->lock);
	if (!group->stop) {
		group->pause_depth = 1;
		group->pause_owner = self;
		kick_others(group, self);
		while (group->nr_parked < group->nr_vcpus && !group->stop)
			pthread_cond_wait(&group->changed, &group->lock);
	}
	if (group->stop) {
		ret = -ECANCELED;
		if (self)
			set_parked(self, false);
	}
	pthread_mutex_unlock(&group->lock);
	return ret;
}

void vcpu_group_resume(struct vcpu_group *group, struct vcpu *self)
{
	pthread_mutex_lock(&group->lock);
	if (--group->pause_depth == 0) {
		group->pause_owner = NULL;
		if (self)
			set_parked(self, false);
		pthread_cond_broadcast(&group->changed);
	}
	pthread_mutex_unlock(&group->lock);
}

void vcpu_group_stop(struct vcpu_group *group)
{
	pthread_mutex_lock(&group->lock);
	group->stop = true;
	kick_others(group, NULL);
	pthread_cond_broadcast(&group->changed);
	pthread_mutex_unlock(&group->lock);
	for (unsigned i = 0; i < group->nr_vcpus; i++) {
		if (group->vcpus[i].has_thread)
			pthread_join(group->vcpus[i].thread, NULL);
		group->vcpus[i].has_thread = false;
	}
}

void vcpu_group_done(struct vcpu_group *group)
{
	if (!group->vcpus)
		return;
	for (unsigned i = 0; i < group->nr_vcpus; i++)
		arch_vcpu_destroy(&group->arch[i]);
	pthread_cond_destroy(&group->changed);
	pthread_mutex_destroy(&group->lock);
	free(group->arch);
	free(group->vcpus);
	group->vcpus = NULL;
}
