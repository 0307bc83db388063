/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running machine: it owns memory, KVM VM, vCPU threads, devices and the event loop.
 *
 * Threads: one a vCPU, and the caller's, which runs the event loop (console, signals, timers).
 * vCPU threads handle device registers under the device's lock; everything else is the loop's. Both
 * are in a process of their own, which is confined (sandbox.h).
 */
#ifndef CCR_VM_H
#define CCR_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "ccr/aio.h"
#include "ccr/broker.h"
#include "ccr/chardev.h"
#include "ccr/err.h"
#include "ccr/launch.h"
#include "ccr/net.h"
#include "ccr/realm_abi.h"
#include "ccr/runtime.h"
#include "ccr/sandbox.h"

/** enum vm_outcome - why a machine has ended */
enum vm_outcome {
	VM_POWEROFF, /* the guest powered off */
	VM_RESET,    /* the guest asked for a reset */
	VM_CRASH,    /* the guest crashed as far as can be seen from outside */
	VM_STOPPED,  /* somebody asked us to end it: a signal, the console's escape */
	VM_FAILED,   /* it cannot go on: KVM or the host failed */
	VM_BROKEN,   /* its process has crashed, or did what it is forbidden */
};

#define VM_MAX_DISKS    16
#define VM_MAX_NETS     4
#define VM_MAX_SHARES   8
#define VM_MAX_CHANNELS 6

/**
 * struct vm_disk - a disk as the user names it; strings are borrowed
 * @is_vhost: @path is the socket of a vhost-user back end, which has the disk
 * @direct: around the host's page cache
 * @serial: NULL for one made from its number
 * @nr_queues: 0 for a choice by the number of vCPUs
 */
struct vm_disk {
	const char *path;
	bool is_vhost;
	bool read_only;
	bool direct;
	const char *serial;
	enum aio_kind io;
	unsigned nr_queues;
};

/** struct vm_share - a directory to share by 9p; strings are borrowed */
struct vm_share {
	const char *dir;
	const char *tag; /* what the guest calls it */
	bool read_only;
};

/** struct vm_fs - a directory that a back end serves (virtiofs); strings are borrowed */
struct vm_fs {
	const char *socket;
	const char *tag;
};

/** struct vm_channel - a stream between the guest and its host; strings are borrowed */
struct vm_channel {
	const char *name; /* in the guest's /dev/virtio-ports */
	struct chardev_config end;
};

/**
 * struct vm_vsock - a vsock as the user names it; @path is borrowed
 * @path: as vsock_host.h has it; NULL for no vsock
 * @is_kernel: the host kernel's, and @path says nothing
 */
struct vm_vsock {
	const char *path;
	bool is_kernel;
	uint32_t cid;
};

/**
 * struct vm_config - how to run what was loaded
 * @launch: the guest; outlives the call, which frees its images
 * @realm_abi: of a real realm, if it has a series; else the host is asked
 * @log_path: file to save a realm's measurement log in, NULL for none
 * @no_reboot: a plain VM's reset ends it instead of starting it anew (a realm's always does)
 * @disks: @nr_disks of them, on the PCI bus in this order
 * @vsock: on the PCI bus too, if there is one
 * @nets: @nr_nets of them, on the PCI bus in this order
 * @shares: @nr_shares directories, on the PCI bus in this order
 * @fs: @nr_fs of them; on the PCI bus they have the last slots of shared directories
 * @has_balloon: of a plain VM: its guest can give back memory
 * @bounce_size: bytes of the guest's bounce-buffer pool, 0 for what Linux makes by itself
 * @runtime: the machine's name and control socket, borrowed; NULL for none
 * @console: where the guest's console goes
 * @channels: @nr_channels of them, ports of the virtio console
 * @sandbox: after sandbox_initial(); NULL for a machine in this process, which is not confined
 * @has_hugepages: of a plain VM: its RAM is in huge pages of @hugepage_size, 0 for the host's
 *	default
 * @mem_prealloc: all of the memory is taken from the host at the start
 * @vcpu_affinity: a list as affinity_check() takes it, NULL for none; borrowed
 * @quiet_s: seconds without output, or without RSI_VERSION in a realm, after which a diagnosis is
 *	printed; 0 for never
 */
struct vm_config {
	struct launch *launch;
	struct realm_abi realm_abi;
	const char *log_path;
	bool no_reboot;
	unsigned nr_disks;
	struct vm_disk disks[VM_MAX_DISKS];
	struct vm_vsock vsock;
	unsigned nr_nets;
	struct net_config nets[VM_MAX_NETS];
	unsigned nr_shares;
	struct vm_share shares[VM_MAX_SHARES];
	unsigned nr_fs;
	struct vm_fs fs[VM_MAX_SHARES];
	bool has_balloon;
	uint64_t bounce_size;
	const struct runtime *runtime;
	struct chardev_config console;
	unsigned nr_channels;
	struct vm_channel channels[VM_MAX_CHANNELS];
	struct sandbox *sandbox;
	bool has_hugepages;
	uint64_t hugepage_size;
	bool mem_prealloc;
	const char *vcpu_affinity;
	unsigned quiet_s;
};

/**
 * vm_run() - start the machine and stay with it until it ends
 * @ret_outcome: valid after 0; for VM_CRASH, VM_FAILED and VM_BROKEN @err then holds the sentence
 *
 * The terminal, if stdin is one and the console, is in raw mode meanwhile, and restored on every
 * return.
 *
 * Return: 0 if the machine has run, whatever came of it; -errno with @err set if it could not
 * start.
 */
int vm_run(const struct vm_config *config, enum vm_outcome *ret_outcome, struct ccr_err *err);

#endif
