/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vCPU threads and the one way to stop them.
 *
 *	 create      resume (start)	      request STOP
 *	--------> PAUSED ---------> RUNNING ----------------> STOPPED (thread ends)
 *		     ^		       |
 *		     +-----------------+
 *			   pause
 *
 * A request is published with the group's lock held, then every thread is made to leave KVM:
 * kvm_run.immediate_exit stops an entry that is about to happen, a signal one that has happened.
 * Powered-off vCPUs wait inside KVM_RUN and are reached the same way.
 *
 * A pause has one owner, the loop or a vCPU thread, and its owner may nest it. A vCPU thread that
 * wants a pause counts as paused while it waits for its turn and while it owns one.
 */
#ifndef CCR_VCPU_H
#define CCR_VCPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ccr/arch.h"
#include "ccr/bus.h"
#include "ccr/emulated.h"
#include "ccr/log.h"
#include "ccr/vm.h"

/**
 * struct vcpu_stats - what a vCPU has done, written by its thread and read by any
 * @nr_exits: by what kvm_exit_decode() made of them
 * @nr_aborts: external aborts that the guest was given
 * @last_fid: function identifier of the last forwarded call, 0 if none
 */
struct vcpu_stats {
	atomic_uint_least64_t nr_exits[VCPU_NR_EXITS];
	atomic_uint_least64_t nr_aborts;
	atomic_uint_least32_t last_fid;
	atomic_bool knows_realm; /* RSI_VERSION was called, or memory was shared */
};

struct vcpu_group;

/**
 * struct vcpu - one thread
 * @is_parked: waits in a pause or for the end; under the group's lock
 * @nr_vector_aborts: progress guard: aborts in a row taken inside the exception vectors
 * @last_fault, @nr_same_faults: progress guard: one memory fault, again and again
 * @tid: the kernel's name of the thread; 0 before it runs
 * @pc: where the vCPU stood when it was last paused; read it while paused
 */
struct vcpu {
	struct vcpu_group *group;
	struct arch_vcpu *arch;
	pthread_t thread;
	bool has_thread;
	bool is_parked;
	unsigned nr_vector_aborts;
	struct kvm_exit last_fault;
	unsigned nr_same_faults;
	atomic_int tid;
	uint64_t pc;
	struct vcpu_stats stats;
};

/**
 * struct vcpu_group - all vCPUs of a machine
 * @bus, @gmem, @emulated: what exits act on; @emulated is NULL but in emulated realms
 * @realm: answers memory faults; NULL but in real realms
 * @affinity: where the threads run, as affinity.h has it; NULL for anywhere
 * @ended: called once, from the thread that saw the machine end, with the reason
 * @pause_depth, @pause_owner: the current pause; owner NULL is the loop; under @lock
 * @stop: all threads end; under @lock
 * @vcpus, @arch: @nr_vcpus threads and their vCPUs, same index
 */
struct vcpu_group {
	struct bus *bus;
	struct gmem *gmem;
	struct emulated *emulated;
	struct realm_kvm *realm;
	const char *affinity;
	void (*ended)(void *ctx, enum vm_outcome outcome, const struct ccr_err *err);
	void *ended_ctx;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned pause_depth;
	struct vcpu *pause_owner;
	bool stop;
	bool has_ended;
	unsigned nr_parked;
	struct log_limit unclaimed_limit;
	unsigned nr_vcpus;
	struct vcpu *vcpus;
	struct arch_vcpu *arch;
};

/**
 * vcpu_group_init() - room for @nr_vcpus; the caller then creates each arch[i]
 *
 * The group begins paused by the loop: vcpu_group_start(), then vcpu_group_resume() let it run.
 *
 * Return: 0 or -ENOMEM.
 */
int vcpu_group_init(struct vcpu_group *group, unsigned nr_vcpus);

/** vcpu_group_start() - create the threads. Return: 0, or -errno with @err set. */
int vcpu_group_start(struct vcpu_group *group, struct ccr_err *err);

/**
 * vcpu_group_pause() - returns when no other vCPU executes guest code or touches a device
 * @self: the calling vCPU thread's, NULL for the loop
 *
 * Return: 0; -ECANCELED if the group is being stopped (then there is no pause to resume).
 */
int vcpu_group_pause(struct vcpu_group *group, struct vcpu *self);
void vcpu_group_resume(struct vcpu_group *group, struct vcpu *self);

/**
 * vcpu_group_end() - the machine has ended; from any thread, and the first reason counts
 * @err: the sentence for VM_CRASH and VM_FAILED, else NULL
 *
 * It goes to @group->ended. The vCPUs run on until vcpu_group_stop().
 */
void vcpu_group_end(struct vcpu_group *group, enum vm_outcome outcome, const struct ccr_err *err);

/** vcpu_group_stop() - end all threads and wait for them; the loop's thread only */
void vcpu_group_stop(struct vcpu_group *group);

/** vcpu_group_done() - after vcpu_group_stop(), or a failed set-up; destroys the vCPUs */
void vcpu_group_done(struct vcpu_group *group);

#endif
