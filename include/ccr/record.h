/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record of what is asked of KVM, a line a call, for whoever has to find out what a kernel does:
 *
 *	ioctl vm1 KVM_CREATE_VCPU id=0x0 = vcpu0
 *	ioctl vm1 KVM_ENABLE_CAP 300 CREATE = -EEXIST
 *	ioctl vcpu0 KVM_RUN = -EFAULT MEMORY_FAULT private=0 at=0x80400000 size=0x1000
 *
 * The fake KVM of the tests keeps its trace in the same words, and replays such records. They hold
 * addresses and sizes of guest memory, and no content of it: neither a register's value once the
 * guest runs, nor what it writes to a device.
 */
#ifndef CCR_RECORD_H
#define CCR_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccr/err.h"

struct kvm_run;

/**
 * kvm_describe() - a request in words, as it is before the call
 * @text: @size bytes; "KVM_CREATE_VCPU id=0x0", or the number of a request that is not known
 * @is_vm: made on a VM's descriptor; KVM_SET_DEVICE_ATTR does not tell
 * @arg: readable as @request has it, or NULL
 */
void kvm_describe(char *text, size_t size, bool is_vm, unsigned long request, const void *arg);

/** kvm_describe_reg() - "X0", "PC", or the number of a register that is not known */
void kvm_describe_reg(char text[24], uint64_t id);

/**
 * kvm_describe_exit() - what KVM_RUN has returned: "0 MMIO at=0x1000000 size=4 write=1"
 * @run: the vCPU's page; NULL if it is not known, which leaves "0" or "-EFAULT"
 *
 * Return: whether such exits come in crowds.
 */
bool kvm_describe_exit(char *text, size_t size, const struct kvm_run *run, int ret);

/**
 * kvm_record_start() - record from now on, until the process ends
 * @path: a new file, or one that is truncated
 *
 * Call it once, before there is a second thread.
 *
 * Return: 0, or -errno with @err set.
 */
int kvm_record_start(const char *path, struct ccr_err *err);

/** kvm_record_fd() - where the record goes; -1 if nothing is recorded */
int kvm_record_fd(void);

/**
 * struct kvm_call - a call on its way to the kernel, for the seam only
 * @text: "" while nothing is recorded
 */
struct kvm_call {
	int fd;
	unsigned long request;
	const void *arg;
	char text[256];
};

/** kvm_record_ioctl() - one is about to be made */
void kvm_record_ioctl(struct kvm_call *call, int fd, unsigned long request, const void *arg);

/** kvm_record_result() - of kvm_record_ioctl(); @ret: what it returned, or -errno */
void kvm_record_result(const struct kvm_call *call, int ret);

/* The rest of the seam, once it is done; @ret as there. */

/** kvm_record_open() - of kvm_sys_open() */
void kvm_record_open(const char *path, int ret);

/** kvm_record_map(), kvm_record_unmap(), kvm_record_punch() - likewise */
void kvm_record_map(int vcpu_fd, size_t size, const struct kvm_run *run, int ret);
void kvm_record_unmap(const struct kvm_run *run);
void kvm_record_punch(int fd, uint64_t offset, uint64_t size, int ret);

/** kvm_record_close() - before it is done: another thread may get the same number */
void kvm_record_close(int fd);

#endif
