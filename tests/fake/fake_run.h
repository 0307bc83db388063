/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's shared page as KVM fills it, exit by exit. Tests cannot see struct kvm_run; they build
 * pages with these functions and hand them to kvm_exit_decode() or to a scripted vCPU.
 */
#ifndef FAKE_RUN_H
#define FAKE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kvm_run;

/**
 * fake_run_new() - a page without an exit
 *
 * All of it that an exit does not define is 0xa5, so that whoever reads too much finds that.
 * free() takes it.
 */
struct kvm_run *fake_run_new(void);

/** fake_run_size() - bytes of the structure, the least that a shared page has */
size_t fake_run_size(void);

/** fake_run_reason() - an exit that is told by its number alone (KVM_EXIT_*) */
void fake_run_reason(struct kvm_run *run, uint32_t reason);

/** fake_run_mmio() - @size bytes of @value; for a read they are what the page held before */
void fake_run_mmio(struct kvm_run *run, uint64_t at, unsigned size, bool is_write, uint64_t value);

/** fake_run_mmio_value() - what was left in the page as the result of a read */
uint64_t fake_run_mmio_value(const struct kvm_run *run, unsigned size);

/** fake_run_hypercall() - @nr as the kernel extends it to 64 bits */
void fake_run_hypercall(struct kvm_run *run, uint64_t nr, bool smc);

void fake_run_system_event(struct kvm_run *run, uint32_t type);
void fake_run_nisv(struct kvm_run *run, uint64_t at);
void fake_run_memory_fault(struct kvm_run *run, uint64_t flags, uint64_t at, uint64_t size);
void fake_run_fail_entry(struct kvm_run *run, uint64_t hardware_reason);
void fake_run_internal_error(struct kvm_run *run, uint32_t suberror);

/** fake_run_copy() - the exit of one page to another; what is not the exit's stays */
void fake_run_copy(struct kvm_run *to, const struct kvm_run *from);

/** fake_run_immediate_exit() - the flag, as the kernel reads it */
bool fake_run_immediate_exit(const struct kvm_run *run);

#endif
