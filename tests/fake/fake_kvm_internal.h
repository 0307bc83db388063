/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the model share. All of it is under the model's lock. */
#ifndef FAKE_KVM_INTERNAL_H
#define FAKE_KVM_INTERNAL_H

#include <linux/kvm.h>
#include <pthread.h>

#include "fake_kvm.h"

#if defined(__x86_64__) && __SIZEOF_PTHREAD_MUTEX_T != 40
#error "these are arm64's C library headers; only its <asm/kvm.h> may be lent to this machine"
#endif

#define FAKE_MAX_SLOTS   64
#define FAKE_MAX_FILTERS 16
#define FAKE_MAX_EVENTS  64
#define FAKE_MAX_IRQFDS  256
#define FAKE_MAX_ROUTES  4096
#define FAKE_MAX_VCPUS   512
#define FAKE_MAX_IRQS    1024
#define FAKE_NR_GPRS     31

struct fake_vm;
struct fake_realm;

/** enum fake_pending - how the last KVM_RUN of a vCPU ended, as far as the next one must know */
enum fake_pending {
	FAKE_NOTHING,
	FAKE_PENDING_READ,  /* MMIO: the value is in the page */
	FAKE_PENDING_WRITE, /* MMIO */
	FAKE_PENDING_CALL,  /* hypercall: results are in the registers */
	FAKE_PENDING_FAULT, /* done again, unless an abort was injected */
};

/**
 * struct fake_cpu - features of a vCPU
 * @offered_vls, @offered_counters: what it could have
 */
struct fake_cpu {
	uint64_t offered_vls;
	unsigned offered_counters;
	uint64_t vls;
	bool sve_is_final;
	uint64_t pmcr;
	bool pmu_has_irq, pmu_is_ready;
	uint64_t ids[FAKE_NR_IDS];
};

/**
 * struct fake_vcpu
 * @page: the shared page; lives until the descriptor is closed and the page unmapped
 * @is_running: KVM_RUN is going on; no other request can be answered meanwhile
 * @in_guest: and it is past its checks
 * @may_abort: the last thing the guest did is an access that user space had to look at
 * @abort_pending: injected by user space, taken at the next entry
 * @last_op: the operation that ended the last KVM_RUN, at @pending_pc
 */
struct fake_vcpu {
	struct fake_vm *vm;
	unsigned index;
	int fd;
	struct kvm_run *page;
	bool is_open;
	bool is_mapped;
	bool is_initialised;
	uint32_t features;
	struct fake_cpu cpu;
	bool is_off;
	bool is_running;
	bool in_guest;
	bool may_abort;
	bool abort_pending;
	enum fake_pending pending;
	struct fake_op *last_op;
	uint64_t pending_pc;
	uint64_t x[FAKE_NR_GPRS];
	uint64_t sp, sp_el1;
	uint64_t regs[FAKE_NR_REGS];
	struct fake_op *op;
};

struct fake_slot {
	uint64_t base, size, host;
};

struct fake_filter {
	uint64_t first, last;
	unsigned action;
};

/** struct fake_event - ioeventfd; @size 0: not used */
struct fake_event {
	uint64_t at;
	unsigned size;
	int fd;
	bool has_value; /* only writes of @value count */
	uint64_t value;
};

/** struct fake_irqfd - @fd: our own for the same eventfd */
struct fake_irqfd {
	int fd;
	unsigned gsi;
};

/**
 * struct fake_vm
 * @number: of creation; @life: of getting vCPUs, 0 before
 * @dist, @redist, @its: addresses of the GIC's parts, UINT64_MAX while not set
 * @routes: @nr_routes of them
 */
struct fake_vm {
	struct fake_vm *next;
	unsigned number;
	unsigned life;
	int fd;
	bool has_run;
	bool is_dead;
	bool reports_nisv;
	unsigned ipa_bits;
	struct fake_slot slots[FAKE_MAX_SLOTS]; /* size 0: not used */
	unsigned nr_filters;
	struct fake_filter filters[FAKE_MAX_FILTERS];
	bool has_gic, gic_is_ready, has_its;
	unsigned nr_irqs;
	uint64_t dist, redist, its;
	unsigned nr_redists;
	bool irq_levels[FAKE_MAX_IRQS];
	unsigned nr_msis;
	unsigned nr_irqfds;
	struct fake_irqfd irqfds[FAKE_MAX_IRQFDS];
	unsigned nr_routes;
	struct kvm_irq_routing_entry *routes;
	struct fake_event events[FAKE_MAX_EVENTS];
	unsigned nr_vcpus;
	struct fake_vcpu *vcpus[FAKE_MAX_VCPUS];
	struct fake_realm *realm; /* of the extension; NULL: a plain VM */
};

/** FAKE_PASS - an extension's answer to a request that is the model's */
#define FAKE_PASS 0x50415353

/**
 * struct fake_extension - a host that can do more than the model: it sees each request first
 * @punch: of a guest_memfd
 * @free_realm: with the VM
 */
struct fake_extension {
	int (*system_ioctl)(unsigned long request, void *arg);
	int (*vm_ioctl)(struct fake_vm *vm, unsigned long request, void *arg);
	int (*vcpu_ioctl)(struct fake_vcpu *vcpu, unsigned long request, void *arg);
	int (*gmem_ioctl)(struct fake_vm *vm, unsigned long request, void *arg);
	int (*punch)(struct fake_vm *vm, uint64_t offset, uint64_t size);
	void (*free_realm)(struct fake_realm *realm);
};

/** fake_kvm_extend() - after fake_kvm_begin(), until the next one */
void fake_kvm_extend(const struct fake_extension *extension);

/** fake_vm_create() - a VM without checks of its type. Return: descriptor or -errno. */
int fake_vm_create(unsigned bits, struct fake_vm **ret_vm);

/** fake_vm_create_gmem() - a guest_memfd. Return: descriptor or -errno. */
int fake_vm_create_gmem(struct fake_vm *vm);

/** fake_vm_is_gmem() - a guest_memfd of this VM */
bool fake_vm_is_gmem(const struct fake_vm *vm, int fd);

/** fake_vm_set_region() - a memory slot. Return: 0 or the kernel's -errno. */
int fake_vm_set_region(struct fake_vm *vm, const struct kvm_userspace_memory_region *region);

void fake_lock(void);
void fake_unlock(void);

/** fake_misuse() - note what no caller can have meant */
void fake_misuse(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** fake_host() - what the model's host can do */
const struct fake_host *fake_host(void);

/** fake_script() - what a vCPU of the @life-th VM executes; never NULL */
struct fake_op *fake_script(unsigned life, unsigned vcpu);

/** fake_vm_slot() - the slot that contains the range, or NULL */
const struct fake_slot *fake_vm_slot(const struct fake_vm *vm, uint64_t at, uint64_t size);

/** fake_vm_is_gic() - the kernel answers accesses there itself */
bool fake_vm_is_gic(const struct fake_vm *vm, uint64_t at);

/** fake_vm_event() - the descriptor that a write signals instead of an exit, or -1 */
int fake_vm_event(const struct fake_vm *vm, uint64_t at, unsigned size, uint64_t value);

/** fake_vm_filter() - what becomes of a call: KVM_REALM_SMCCC_* */
unsigned fake_vm_filter(const struct fake_vm *vm, uint32_t fid);

/** fake_memory_read(), fake_memory_write() - host memory as KVM reaches it: 0 or -EFAULT */
int fake_memory_read(uint64_t host, void *bytes, size_t size);
int fake_memory_write(uint64_t host, const void *bytes, size_t size);

/** fake_gic_ioctl() - of the GIC's descriptor, or of its ITS's */
int fake_gic_ioctl(struct fake_vm *vm, bool is_its, unsigned long request, const void *arg);

/** fake_gic_check_run() - can a vCPU of this VM be entered? Return: 0 or the kernel's -errno. */
int fake_gic_check_run(const struct fake_vm *vm);

/** fake_gic_irq_line() - KVM_IRQ_LINE */
int fake_gic_irq_line(struct fake_vm *vm, const struct kvm_irq_level *line);

/** fake_gic_msi() - KVM_SIGNAL_MSI; every message finds somebody who wants it */
int fake_gic_msi(struct fake_vm *vm, const struct kvm_msi *msi);

/**
 * fake_gic_irqfd(), fake_gic_set_routes() - KVM_IRQFD and KVM_SET_GSI_ROUTING
 *
 * Nothing tells the model that an eventfd was written to: it looks when somebody asks.
 */
int fake_gic_irqfd(struct fake_vm *vm, const struct kvm_irqfd *request);
int fake_gic_set_routes(struct fake_vm *vm, const struct kvm_irq_routing *table);

/** fake_gic_take_irqfds() - what was written to eventfds since, by the routes there are now */
void fake_gic_take_irqfds(struct fake_vm *vm);

/** fake_gic_free() - with the VM, or its descriptor before that */
void fake_gic_free(struct fake_vm *vm);

/** fake_vcpu_ioctl() - all but KVM_RUN */
int fake_vcpu_ioctl(struct fake_vcpu *vcpu, unsigned long request, void *arg);

/** fake_cpu_extension() - KVM_CHECK_EXTENSION. Return: -1 for what is not about features. */
int fake_cpu_extension(unsigned long number);

/** fake_cpu_create() - what the host could give to a new vCPU */
void fake_cpu_create(struct fake_vcpu *vcpu);

/** fake_cpu_init() - KVM_ARM_VCPU_INIT, as far as features go. Return: 0 or -EINVAL. */
int fake_cpu_init(struct fake_vcpu *vcpu, uint32_t features);

/** fake_cpu_reg() - a register of features. Return: FAKE_PASS for any other. */
int fake_cpu_reg(struct fake_vcpu *vcpu, unsigned long request, const struct kvm_one_reg *reg);

/** fake_cpu_finalize() - KVM_ARM_VCPU_FINALIZE of SVE */
int fake_cpu_finalize(struct fake_vcpu *vcpu, const int *feature);

/** fake_cpu_attr() - KVM_SET_DEVICE_ATTR of a vCPU: the PMU's */
int fake_cpu_attr(struct fake_vcpu *vcpu, const struct kvm_device_attr *attr);

/** fake_cpu_check_run() - has it all that it was to have? Return: 0 or the kernel's -errno. */
int fake_cpu_check_run(const struct fake_vcpu *vcpu);

/** fake_vcpu_run() - KVM_RUN; gives up the lock while the guest executes or waits */
int fake_vcpu_run(struct fake_vcpu *vcpu);

/** fake_vcpu_release() - frees the page once nobody can use it any more */
void fake_vcpu_release(struct fake_vcpu *vcpu);

#endif
