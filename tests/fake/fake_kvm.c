/* SPDX-License-Identifier: Apache-2.0 */
/* The model's descriptors, its faults, misuses and trace, and the requests of system and VM. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ccr/kvm.h"
#include "ccr/record.h"
#include "fake_kvm_internal.h"
#include "uapi/kvm_realm.h"

#define MAX_FDS     2048
#define MAX_SCRIPTS 32
#define PAGE_SIZE   4096u

#define MAX_SLOT_ID    32766 /* KVM_USER_MEM_SLOTS - 1 of arm64 */
#define MAX_SLOT_PAGES ((1ull << 31) - 1)
#define MIN_IPA_BITS   32
#define DEFAULT_IPA    40

/* Services of the Arm architecture are the kernel's: no filter may touch them. */
#define ARCH_CALLS_32 0x80000000u
#define ARCH_CALLS_64 0xC0000000u
#define ARCH_CALLS_NR 0x10000u

const struct fake_host fake_host_default = {
	.api_version = 12,
	.ipa_bits = 48,
	.max_vcpus = FAKE_MAX_VCPUS,
	.has_filter = true,
	.has_gicv3 = true,
	.has_nisv = true,
	.has_immediate_exit = true,
	.has_inject_abort = true,
	.has_eventfds = true,
	.has_pauth = true,
};

enum fd_kind { FD_NONE, FD_SYSTEM, FD_VM, FD_VCPU, FD_GIC, FD_ITS, FD_GMEM };

struct fd_entry {
	enum fd_kind kind;
	struct fake_vm *vm;
	struct fake_vcpu *vcpu;
};

struct script {
	unsigned life, vcpu;
	struct fake_op *ops;
};

/* The lock of all that is here: first come, first served, so that no vCPU is left out. */
static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	unsigned next, serving;
} queue = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static struct {
	bool is_on;
	pthread_t owner; /* the test's thread */
	struct fake_host host;
	const struct fake_extension *extension;
	struct fd_entry fds[MAX_FDS];
	struct fake_vm *vms; /* the latest first */
	unsigned nr_vms, nr_lives;
	unsigned nr_scripts;
	struct script scripts[MAX_SCRIPTS];
	int memory_fd; /* copies of guest memory go through it */
	char misuse[256];
	unsigned nr_calls, failing_call;
	int failing_error;
	char failed_call[256];
	char *trace;
	size_t trace_size, trace_room;
} model;

static struct fake_op no_guest[] = {{.kind = FAKE_END}};

void fake_lock(void)
{
	unsigned ticket;

	pthread_mutex_lock(&queue.mutex);
	ticket = queue.next++;
	while (ticket != queue.serving)
		pthread_cond_wait(&queue.changed, &queue.mutex);
	pthread_mutex_unlock(&queue.mutex);
}

void fake_unlock(void)
{
	pthread_mutex_lock(&queue.mutex);
	queue.serving++;
	pthread_cond_broadcast(&queue.changed);
	pthread_mutex_unlock(&queue.mutex);
}

void fake_misuse(const char *fmt, ...)
{
	va_list args;

	if (model.misuse[0])
		return;
	va_start(args, fmt);
	vsnprintf(model.misuse, sizeof(model.misuse), fmt, args);
	va_end(args);
}

const struct fake_host *fake_host(void)
{
	return &model.host;
}

struct fake_op *fake_script(unsigned life, unsigned vcpu)
{
	for (unsigned i = 0; i < model.nr_scripts; i++) {
		if (model.scripts[i].life == life && model.scripts[i].vcpu == vcpu)
			return model.scripts[i].ops;
	}
	return no_guest;
}

/* A system call copies, so that pages without access are an error and not a signal. */

/*
 * Not by the C library's functions, in which ThreadSanitizer would see this program read and write:
 * a guest's accesses are in no order with a device's, and a device must be right all the same.
 */

int fake_memory_read(uint64_t host, void *bytes, size_t size)
{
	if (syscall(SYS_pwrite64, model.memory_fd, host, size, 0) != (ssize_t)size)
		return -EFAULT;
	return pread(model.memory_fd, bytes, size, 0) == (ssize_t)size ? 0 : -EIO;
}

int fake_memory_write(uint64_t host, const void *bytes, size_t size)
{
	if (pwrite(model.memory_fd, bytes, size, 0) != (ssize_t)size)
		return -EIO;
	return syscall(SYS_pread64, model.memory_fd, host, size, 0) == (ssize_t)size ? 0 : -EFAULT;
}

/* Life of the model. */

/* Threads that a failed test has left still use it. */
static bool is_in_use(const struct fake_vm *vm)
{
	for (unsigned i = 0; i < FAKE_MAX_VCPUS; i++) {
		if (vm->vcpus[i] && vm->vcpus[i]->is_running)
			return true;
	}
	return false;
}

static void free_vm(struct fake_vm *vm)
{
	for (unsigned i = 0; i < FAKE_MAX_VCPUS; i++) {
		if (vm->vcpus[i])
			free(vm->vcpus[i]->page);
		free(vm->vcpus[i]);
	}
	if (vm->realm)
		model.extension->free_realm(vm->realm);
	fake_gic_free(vm);
	free(vm);
}

static void reset(void)
{
	struct fake_vm *next;

	for (int fd = 0; fd < MAX_FDS; fd++) {
		if (model.fds[fd].kind != FD_NONE)
			close(fd);
	}
	for (struct fake_vm *vm = model.vms; vm; vm = next) {
		next = vm->next;
		if (!is_in_use(vm))
			free_vm(vm);
	}
	memset(model.fds, 0, sizeof(model.fds));
	model.vms = NULL;
	model.nr_vms = model.nr_lives = model.nr_scripts = 0;
	model.nr_calls = model.failing_call = 0;
	model.misuse[0] = model.failed_call[0] = '\0';
	free(model.trace);
	model.trace = NULL;
	model.trace_size = model.trace_room = 0;
}

void fake_kvm_begin(const struct fake_host *host)
{
	if (!model.is_on)
		model.memory_fd = memfd_create("fake-kvm", MFD_CLOEXEC);
	assert_true(model.memory_fd >= 0);
	reset();
	model.is_on = true;
	model.owner = pthread_self();
	model.host = *host;
	model.extension = NULL;
	if (model.host.run_size == 0)
		model.host.run_size = PAGE_SIZE;
}

void fake_kvm_extend(const struct fake_extension *extension)
{
	model.extension = extension;
}

void fake_kvm_end(void)
{
	const unsigned nr_open = fake_kvm_nr_open();
	char misuse[sizeof(model.misuse)];

	memcpy(misuse, model.misuse, sizeof(misuse));
	reset();
	close(model.memory_fd);
	model.is_on = false;
	if (misuse[0])
		fail_msg("KVM was misused: %s", misuse);
	if (nr_open)
		fail_msg("%u descriptors or pages of KVM were left", nr_open);
}

const char *fake_kvm_misuse(void)
{
	static char text[sizeof(model.misuse)];

	fake_lock();
	memcpy(text, model.misuse, sizeof(text));
	model.misuse[0] = '\0';
	fake_unlock();
	return text[0] ? text : NULL;
}

unsigned fake_kvm_nr_open(void)
{
	unsigned nr = 0;

	fake_lock();
	for (unsigned fd = 0; fd < MAX_FDS; fd++)
		nr += model.fds[fd].kind != FD_NONE;
	for (struct fake_vm *vm = model.vms; vm; vm = vm->next) {
		for (unsigned i = 0; i < FAKE_MAX_VCPUS; i++)
			nr += vm->vcpus[i] && vm->vcpus[i]->is_mapped;
	}
	fake_unlock();
	return nr;
}

void fake_kvm_fail_call(unsigned number, int error)
{
	fake_lock();
	model.failing_call = model.nr_calls + number;
	model.failing_error = error;
	model.failed_call[0] = '\0';
	fake_unlock();
}

const char *fake_kvm_failed_call(void)
{
	return model.failed_call;
}

void fake_kvm_set_guest(unsigned life, unsigned vcpu, struct fake_op *ops)
{
	assert_true(model.nr_scripts < MAX_SCRIPTS);
	model.scripts[model.nr_scripts++] = (struct script){life, vcpu, ops};
}

bool fake_kvm_guest_read(uint64_t at, void *bytes, size_t size)
{
	const struct fake_slot *slot;
	bool done;

	fake_lock();
	slot = fake_vm_slot(model.vms, at, size);
	done = slot && !fake_memory_read(slot->host + (at - slot->base), bytes, size);
	fake_unlock();
	return done;
}

bool fake_kvm_guest_write(uint64_t at, const void *bytes, size_t size)
{
	const struct fake_slot *slot;
	bool done;

	fake_lock();
	slot = fake_vm_slot(model.vms, at, size);
	done = slot && !fake_memory_write(slot->host + (at - slot->base), bytes, size);
	fake_unlock();
	return done;
}

const char *fake_kvm_trace(void)
{
	return model.trace ? model.trace : "";
}

/* Look at the VM that was created last. */

static const struct fake_vcpu *look_at(unsigned vcpu)
{
	assert_true(vcpu < FAKE_MAX_VCPUS);
	assert_non_null(model.vms);
	assert_non_null(model.vms->vcpus[vcpu]);
	return model.vms->vcpus[vcpu];
}

uint64_t fake_kvm_reg(unsigned vcpu, enum fake_reg reg)
{
	uint64_t value;

	fake_lock();
	value = look_at(vcpu)->regs[reg];
	fake_unlock();
	return value;
}

bool fake_kvm_is_off(unsigned vcpu)
{
	bool off;

	fake_lock();
	off = look_at(vcpu)->is_off;
	fake_unlock();
	return off;
}

bool fake_kvm_irq_level(unsigned spi)
{
	bool level;

	assert_true(spi < FAKE_MAX_IRQS - 32);
	fake_lock();
	assert_non_null(model.vms);
	level = model.vms->irq_levels[32 + spi];
	fake_unlock();
	return level;
}

unsigned fake_kvm_nr_msis(void)
{
	unsigned nr;

	fake_lock();
	if (model.vms)
		fake_gic_take_irqfds(model.vms);
	nr = model.vms ? model.vms->nr_msis : 0;
	fake_unlock();
	return nr;
}

unsigned fake_kvm_nr_running(void)
{
	unsigned nr = 0;

	fake_lock();
	for (unsigned i = 0; model.vms && i < FAKE_MAX_VCPUS; i++)
		nr += model.vms->vcpus[i] && model.vms->vcpus[i]->in_guest;
	fake_unlock();
	return nr;
}

/* Descriptors. */

/* A real one, so that what leaks is seen by the process as well. */
static int new_fd(void)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd >= MAX_FDS) {
		fake_misuse("descriptor %d is more than this model has room for", fd);
		close(fd);
		return -EMFILE;
	}
	return fd < 0 ? -errno : fd;
}

static struct fd_entry *find_fd(int fd)
{
	if (fd < 0 || fd >= MAX_FDS || model.fds[fd].kind == FD_NONE)
		return NULL;
	return &model.fds[fd];
}

/* Return: the descriptor, or -errno; then nothing was added. */
static int add_fd(enum fd_kind kind, struct fake_vm *vm, struct fake_vcpu *vcpu)
{
	const int fd = new_fd();

	if (fd >= 0)
		model.fds[fd] = (struct fd_entry){kind, vm, vcpu};
	return fd;
}

static void name_fd(char name[24], const struct fd_entry *entry)
{
	switch (entry->kind) {
	case FD_VM:
		snprintf(name, 24, "vm%u", entry->vm->number);
		break;
	case FD_VCPU:
		snprintf(name, 24, "vcpu%u", entry->vcpu->index);
		break;
	case FD_GIC:
		snprintf(name, 24, "gic");
		break;
	case FD_ITS:
		snprintf(name, 24, "its");
		break;
	case FD_GMEM:
		snprintf(name, 24, "gmem");
		break;
	default:
		snprintf(name, 24, "kvm");
		break;
	}
}

/* Faults and the trace. */

static void add_to_trace(const char *line)
{
	const size_t size = strlen(line);

	if (!pthread_equal(pthread_self(), model.owner))
		return;
	if (model.trace_size + size + 2 > model.trace_room) {
		const size_t room = 2 * (model.trace_room + size + 2);
		char *grown = realloc(model.trace, room);

		if (!grown)
			return;
		model.trace = grown;
		model.trace_room = room;
	}
	memcpy(model.trace + model.trace_size, line, size);
	memcpy(model.trace + model.trace_size + size, "\n", 2);
	model.trace_size += size + 1;
}

/* @creates: what a result that is a descriptor stands for */
static void trace_result(const char *call, int ret, bool creates)
{
	char line[512], name[24];

	if (ret < 0) {
		snprintf(line, sizeof(line), "%s = -%s", call, strerrorname_np(-ret));
	} else if (creates && find_fd(ret)) {
		name_fd(name, find_fd(ret));
		snprintf(line, sizeof(line), "%s = %s", call, name);
	} else {
		snprintf(line, sizeof(line), "%s = %d", call, ret);
	}
	add_to_trace(line);
}

/* Count a call. Return: 0, or the error that it is to fail with. */
static int take_fault(const char *call)
{
	if (++model.nr_calls != model.failing_call)
		return 0;
	snprintf(model.failed_call, sizeof(model.failed_call), "%s", call);
	return model.failing_error;
}

/* The system descriptor. */

static unsigned widest_ipa(void)
{
	return model.host.ipa_bits ? model.host.ipa_bits : DEFAULT_IPA;
}

static int check_extension(unsigned long number)
{
	const int feature = fake_cpu_extension(number);

	if (feature >= 0)
		return feature;
	switch (number) {
	case KVM_CAP_ARM_VM_IPA_SIZE:
		return (int)model.host.ipa_bits;
	case KVM_CAP_MAX_VCPUS:
		return (int)model.host.max_vcpus;
	case KVM_CAP_ARM_INJECT_EXT_DABT:
		return model.host.has_inject_abort;
	case KVM_CAP_IMMEDIATE_EXIT:
		return model.host.has_immediate_exit;
	case KVM_CAP_ARM_NISV_TO_USER:
		return model.host.has_nisv;
	case KVM_CAP_IRQFD:
	case KVM_CAP_IOEVENTFD:
		return model.host.has_eventfds;
	case KVM_CAP_IRQ_ROUTING:
		return model.host.has_eventfds ? FAKE_MAX_ROUTES : 0;
	default:
		return 0;
	}
}

int fake_vm_create(unsigned bits, struct fake_vm **ret_vm)
{
	struct fake_vm *vm = calloc(1, sizeof(*vm));
	int fd;

	if (!vm)
		return -ENOMEM;
	fd = add_fd(FD_VM, vm, NULL);
	if (fd < 0) {
		free(vm);
		return fd;
	}
	vm->number = ++model.nr_vms;
	vm->fd = fd;
	vm->ipa_bits = bits;
	vm->dist = vm->redist = vm->its = UINT64_MAX;
	vm->next = model.vms;
	model.vms = vm;
	*ret_vm = vm;
	return fd;
}

static int create_vm(unsigned long type)
{
	const unsigned bits = type ? (unsigned)type : DEFAULT_IPA;
	struct fake_vm *vm;

	/* Other bits ask for kinds of VM that this host does not have. */
	if (type & ~0xfful || bits < MIN_IPA_BITS || bits > widest_ipa())
		return -EINVAL;
	return fake_vm_create(bits, &vm);
}

static int system_ioctl(unsigned long request, unsigned long arg)
{
	switch (request) {
	case KVM_GET_API_VERSION:
		return arg ? -EINVAL : model.host.api_version;
	case KVM_GET_VCPU_MMAP_SIZE:
		return arg ? -EINVAL : (int)model.host.run_size;
	case KVM_CREATE_VM:
		return create_vm(arg);
	case KVM_CHECK_EXTENSION:
		return check_extension(arg);
	default:
		return -EINVAL;
	}
}

/* Memory slots, with the checks of the kernel's __kvm_set_memory_region() in their order. */

static bool overlaps(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static bool is_addressable(uint64_t at, uint64_t size)
{
	return at + size >= at && at + size <= 1ull << 47;
}

static int check_region(const struct kvm_userspace_memory_region *region)
{
	if (region->flags & ~(uint32_t)(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY))
		return -EINVAL;
	if (region->memory_size % PAGE_SIZE || region->guest_phys_addr % PAGE_SIZE ||
	    region->userspace_addr % PAGE_SIZE)
		return -EINVAL;
	if (!is_addressable(region->userspace_addr, region->memory_size))
		return -EINVAL;
	if (region->slot > MAX_SLOT_ID ||
	    region->guest_phys_addr + region->memory_size < region->guest_phys_addr ||
	    region->memory_size / PAGE_SIZE > MAX_SLOT_PAGES)
		return -EINVAL;
	return 0;
}

static void check_holes(const struct fake_vm *vm, const struct fake_slot *slot)
{
	if (vm->dist != UINT64_MAX && overlaps(slot->base, slot->size, vm->dist, 0x10000))
		fake_misuse("memory slot over the GIC's distributor");
	if (vm->redist != UINT64_MAX &&
	    overlaps(slot->base, slot->size, vm->redist, vm->nr_redists * 0x20000ull))
		fake_misuse("memory slot over the GIC's redistributors");
}

int fake_vm_set_region(struct fake_vm *vm, const struct kvm_userspace_memory_region *region)
{
	const int ret = check_region(region);
	struct fake_slot *slot;

	if (ret)
		return ret;
	if (region->slot >= FAKE_MAX_SLOTS) {
		fake_misuse("slot %u is more than this model has room for", region->slot);
		return -ENOMEM;
	}
	slot = &vm->slots[region->slot];
	if (region->memory_size == 0) {
		if (slot->size == 0)
			return -EINVAL;
		slot->size = 0;
		return 0;
	}
	if (slot->size &&
	    (slot->size != region->memory_size || slot->host != region->userspace_addr))
		return -EINVAL;
	for (unsigned i = 0; i < FAKE_MAX_SLOTS; i++) {
		if (i != region->slot && vm->slots[i].size &&
		    overlaps(region->guest_phys_addr, region->memory_size, vm->slots[i].base,
			     vm->slots[i].size))
			return -EEXIST;
	}
	if (region->guest_phys_addr + region->memory_size > 1ull << vm->ipa_bits)
		return -EFAULT;
	*slot = (struct fake_slot){region->guest_phys_addr, region->memory_size,
				   region->userspace_addr};
	check_holes(vm, slot);
	return 0;
}

const struct fake_slot *fake_vm_slot(const struct fake_vm *vm, uint64_t at, uint64_t size)
{
	for (unsigned i = 0; i < FAKE_MAX_SLOTS; i++) {
		const struct fake_slot *slot = &vm->slots[i];

		if (slot->size && at >= slot->base && size <= slot->size &&
		    at - slot->base <= slot->size - size)
			return slot;
	}
	return NULL;
}

/* The SMCCC filter. */

static bool is_filtered(const struct fake_vm *vm, uint64_t first, uint64_t last)
{
	if (overlaps(first, last - first + 1, ARCH_CALLS_32, ARCH_CALLS_NR) ||
	    overlaps(first, last - first + 1, ARCH_CALLS_64, ARCH_CALLS_NR))
		return true;
	for (unsigned i = 0; i < vm->nr_filters; i++) {
		if (first <= vm->filters[i].last && vm->filters[i].first <= last)
			return true;
	}
	return false;
}

static int set_filter(struct fake_vm *vm, const struct kvm_realm_smccc_filter *filter)
{
	static const uint8_t zero[sizeof(filter->pad)];
	const uint32_t last = filter->base + filter->nr_functions - 1;

	if (memcmp(filter->pad, zero, sizeof(zero)))
		return -EINVAL;
	if (filter->nr_functions == 0 || last < filter->base ||
	    filter->action > KVM_REALM_SMCCC_FORWARD)
		return -EINVAL;
	if (vm->has_run)
		return -EBUSY;
	if (is_filtered(vm, filter->base, last))
		return -EEXIST;
	if (vm->nr_filters == FAKE_MAX_FILTERS) {
		fake_misuse("more filters than this model has room for");
		return -ENOMEM;
	}
	vm->filters[vm->nr_filters++] = (struct fake_filter){filter->base, last, filter->action};
	return 0;
}

unsigned fake_vm_filter(const struct fake_vm *vm, uint32_t fid)
{
	for (unsigned i = 0; i < vm->nr_filters; i++) {
		if (fid >= vm->filters[i].first && fid <= vm->filters[i].last)
			return vm->filters[i].action;
	}
	return KVM_REALM_SMCCC_HANDLE;
}

/* Before Linux 6.4 a VM has no attributes at all. */
static int vm_attribute(struct fake_vm *vm, unsigned long request,
			const struct kvm_device_attr *attr)
{
	if (!model.host.has_filter)
		return -EINVAL;
	if (!attr)
		return -EFAULT;
	if (attr->group != KVM_REALM_VM_SMCCC_CTRL || attr->attr != KVM_REALM_VM_SMCCC_FILTER)
		return -ENXIO;
	if (request == KVM_HAS_DEVICE_ATTR)
		return 0;
	if (attr->flags)
		return -EINVAL;
	if (!attr->addr)
		return -EFAULT;
	return set_filter(vm, (const struct kvm_realm_smccc_filter *)(uintptr_t)attr->addr);
}

/* A VM's other requests. */

static int enable_cap(struct fake_vm *vm, const struct kvm_enable_cap *cap)
{
	if (!cap)
		return -EFAULT;
	if (cap->flags || cap->cap != KVM_CAP_ARM_NISV_TO_USER || !model.host.has_nisv)
		return -EINVAL;
	vm->reports_nisv = true;
	return 0;
}

static int create_vcpu(struct fake_vm *vm, unsigned long id)
{
	struct fake_vcpu *vcpu;

	if (id >= FAKE_MAX_VCPUS || id >= model.host.max_vcpus ||
	    vm->nr_vcpus >= model.host.max_vcpus)
		return -EINVAL;
	if (vm->gic_is_ready)
		return -EBUSY;
	if (vm->vcpus[id])
		return -EEXIST;
	vcpu = calloc(1, sizeof(*vcpu));
	if (vcpu)
		vcpu->page = calloc(1, model.host.run_size);
	if (!vcpu || !vcpu->page) {
		free(vcpu);
		return -ENOMEM;
	}
	vcpu->fd = add_fd(FD_VCPU, vm, vcpu);
	if (vcpu->fd < 0) {
		const int ret = vcpu->fd;

		free(vcpu->page);
		free(vcpu);
		return ret;
	}
	if (vm->nr_vcpus == 0)
		vm->life = ++model.nr_lives;
	vcpu->vm = vm;
	vcpu->index = (unsigned)id;
	fake_cpu_create(vcpu);
	vcpu->is_open = true;
	vcpu->op = fake_script(vm->life, (unsigned)id);
	vm->vcpus[id] = vcpu;
	vm->nr_vcpus++;
	return vcpu->fd;
}

static int create_gic(struct fake_vm *vm)
{
	int fd;

	if (vm->has_gic)
		return -EEXIST;
	if (vm->has_run)
		return -EBUSY;
	fd = add_fd(FD_GIC, vm, NULL);
	if (fd >= 0)
		vm->has_gic = true;
	return fd;
}

static int create_its(struct fake_vm *vm)
{
	int fd;

	if (!vm->has_gic)
		return -ENODEV;
	if (vm->has_its) {
		fake_misuse("a second ITS");
		return -EEXIST;
	}
	fd = add_fd(FD_ITS, vm, NULL);
	if (fd >= 0)
		vm->has_its = true;
	return fd;
}

static int create_device(struct fake_vm *vm, struct kvm_create_device *device)
{
	int fd;

	if (!device)
		return -EFAULT;
	if (device->flags & ~(uint32_t)KVM_CREATE_DEVICE_TEST)
		return -EINVAL;
	if ((device->type != KVM_DEV_TYPE_ARM_VGIC_V3 &&
	     device->type != KVM_DEV_TYPE_ARM_VGIC_ITS) ||
	    !model.host.has_gicv3)
		return -ENODEV;
	if (device->flags)
		return 0;
	fd = device->type == KVM_DEV_TYPE_ARM_VGIC_V3 ? create_gic(vm) : create_its(vm);
	if (fd < 0)
		return fd;
	device->fd = (uint32_t)fd;
	return 0;
}

/* ioeventfd: a write that does not leave the kernel. */

static bool is_event_for(const struct fake_event *event, uint64_t at, unsigned size, uint64_t value)
{
	return event->size == size && event->at == at &&
	       (!event->has_value || event->value == value);
}

static struct fake_event *find_event(struct fake_vm *vm, const struct kvm_ioeventfd *request)
{
	for (unsigned i = 0; i < FAKE_MAX_EVENTS; i++) {
		if (is_event_for(&vm->events[i], request->addr, request->len, request->datamatch))
			return &vm->events[i];
	}
	return NULL;
}

static struct fake_event *free_event(struct fake_vm *vm)
{
	for (unsigned i = 0; i < FAKE_MAX_EVENTS; i++) {
		if (vm->events[i].size == 0)
			return &vm->events[i];
	}
	return NULL;
}

static int ioeventfd(struct fake_vm *vm, const struct kvm_ioeventfd *request)
{
	struct fake_event *event = find_event(vm, request);
	const bool has_value = request->flags & KVM_IOEVENTFD_FLAG_DATAMATCH;

	if (request->flags &
	    ~(uint32_t)(KVM_IOEVENTFD_FLAG_DEASSIGN | KVM_IOEVENTFD_FLAG_DATAMATCH))
		return -EINVAL;
	if (request->len != 1 && request->len != 2 && request->len != 4 && request->len != 8)
		return -EINVAL;
	if (request->flags & KVM_IOEVENTFD_FLAG_DEASSIGN) {
		if (!event || event->fd != request->fd)
			return -ENOENT;
		event->size = 0;
		return 0;
	}
	if (event)
		return -EEXIST;
	event = free_event(vm);
	if (!event) {
		fake_misuse("more ioeventfds than this model has room for");
		return -ENOSPC;
	}
	*event = (struct fake_event){request->addr, request->len, request->fd, has_value,
				     request->datamatch};
	return 0;
}

int fake_vm_event(const struct fake_vm *vm, uint64_t at, unsigned size, uint64_t value)
{
	for (unsigned i = 0; i < FAKE_MAX_EVENTS; i++) {
		if (is_event_for(&vm->events[i], at, size, value))
			return vm->events[i].fd;
	}
	return -1;
}

static int preferred_target(struct kvm_vcpu_init *init)
{
	if (!init)
		return -EFAULT;
	*init = (struct kvm_vcpu_init){.target = KVM_ARM_TARGET_GENERIC_V8};
	return 0;
}

static int vm_ioctl(struct fake_vm *vm, unsigned long request, void *arg)
{
	switch (request) {
	case KVM_CHECK_EXTENSION:
		return check_extension((unsigned long)arg);
	case KVM_SET_USER_MEMORY_REGION:
		return arg ? fake_vm_set_region(vm, arg) : -EFAULT;
	case KVM_ENABLE_CAP:
		return enable_cap(vm, arg);
	case KVM_CREATE_VCPU:
		return create_vcpu(vm, (unsigned long)arg);
	case KVM_CREATE_DEVICE:
		return create_device(vm, arg);
	case KVM_ARM_PREFERRED_TARGET:
		return preferred_target(arg);
	case KVM_SET_DEVICE_ATTR:
	case KVM_HAS_DEVICE_ATTR:
		return vm_attribute(vm, request, arg);
	case KVM_IRQ_LINE:
		return arg ? fake_gic_irq_line(vm, arg) : -EFAULT;
	case KVM_SIGNAL_MSI:
		return arg ? fake_gic_msi(vm, arg) : -EFAULT;
	case KVM_IOEVENTFD:
		return arg ? ioeventfd(vm, arg) : -EFAULT;
	case KVM_IRQFD:
		return arg ? fake_gic_irqfd(vm, arg) : -EFAULT;
	case KVM_SET_GSI_ROUTING:
		return arg ? fake_gic_set_routes(vm, arg) : -EFAULT;
	default:
		return -EINVAL;
	}
}

/* The seam. */

int kvm_sys_open(const char *path)
{
	char call[256];
	int ret;

	snprintf(call, sizeof(call), "open %s", path);
	fake_lock();
	ret = take_fault(call);
	if (!ret && strcmp(path, "/dev/kvm"))
		ret = -ENOENT;
	if (!ret)
		ret = model.host.open_error;
	if (!ret)
		ret = add_fd(FD_SYSTEM, NULL, NULL);
	trace_result(call, ret, true);
	fake_unlock();
	return ret;
}

int fake_vm_create_gmem(struct fake_vm *vm)
{
	return add_fd(FD_GMEM, vm, NULL);
}

bool fake_vm_is_gmem(const struct fake_vm *vm, int fd)
{
	return find_fd(fd) && find_fd(fd)->kind == FD_GMEM && find_fd(fd)->vm == vm;
}

/* Return: FAKE_PASS if the request is one of the model's own. */
static int extension_ioctl(const struct fd_entry *entry, unsigned long request, void *arg)
{
	switch (entry->kind) {
	case FD_SYSTEM:
		return model.extension->system_ioctl(request, arg);
	case FD_VM:
		return model.extension->vm_ioctl(entry->vm, request, arg);
	case FD_VCPU:
		return model.extension->vcpu_ioctl(entry->vcpu, request, arg);
	case FD_GMEM:
		return model.extension->gmem_ioctl(entry->vm, request, arg);
	default:
		return FAKE_PASS;
	}
}

static int dispatch(const struct fd_entry *entry, unsigned long request, void *arg)
{
	int ret = FAKE_PASS;

	if (entry->vm && entry->vm->is_dead)
		return -EIO;
	if (model.extension)
		ret = extension_ioctl(entry, request, arg);
	if (ret != FAKE_PASS)
		return ret;
	switch (entry->kind) {
	case FD_SYSTEM:
		return system_ioctl(request, (unsigned long)arg);
	case FD_VM:
		return vm_ioctl(entry->vm, request, arg);
	case FD_VCPU:
		return fake_vcpu_ioctl(entry->vcpu, request, arg);
	case FD_GIC:
	case FD_ITS:
		return fake_gic_ioctl(entry->vm, entry->kind == FD_ITS, request, arg);
	case FD_GMEM:
	case FD_NONE:
		break;
	}
	return -ENOTTY;
}

static bool creates_fd(unsigned long request)
{
	return request == KVM_CREATE_VM || request == KVM_CREATE_VCPU ||
	       request == KVM_REALM_CREATE_GUEST_MEMFD;
}

int kvm_sys_ioctl(int fd, unsigned long request, void *arg)
{
	char call[256], name[24] = "closed";
	const struct fd_entry *entry;
	size_t used;
	int ret;

	fake_lock();
	entry = find_fd(fd);
	if (entry)
		name_fd(name, entry);
	used = (size_t)snprintf(call, sizeof(call), "ioctl %s ", name);
	kvm_describe(call + used, sizeof(call) - used, entry && entry->kind == FD_VM, request, arg);
	ret = take_fault(call);
	if (!entry) {
		fake_misuse("%s: descriptor %d is not KVM's", call, fd);
		ret = -EBADF;
	} else if (request == KVM_RUN && entry->kind == FD_VCPU && !entry->vm->realm) {
		if (!ret)
			ret = arg ? -EINVAL : fake_vcpu_run(entry->vcpu);
		fake_unlock();
		return ret;
	}
	if (!ret)
		ret = dispatch(entry, request, arg);
	trace_result(call, ret, creates_fd(request));
	fake_unlock();
	return ret;
}

int kvm_sys_map_run(int vcpu_fd, size_t size, struct kvm_run **ret_run)
{
	char call[64] = "map of something else";
	struct fake_vcpu *vcpu = NULL;
	int ret;

	fake_lock();
	if (find_fd(vcpu_fd))
		vcpu = find_fd(vcpu_fd)->vcpu;
	if (vcpu)
		snprintf(call, sizeof(call), "map vcpu%u size=0x%zx", vcpu->index, size);
	ret = take_fault(call);
	if (!ret && !vcpu)
		ret = -EINVAL;
	if (!ret && (vcpu->is_mapped || size != model.host.run_size))
		fake_misuse("%s: mapped twice, or not as long as KVM says", call);
	if (!ret) {
		vcpu->is_mapped = true;
		*ret_run = vcpu->page;
	}
	trace_result(call, ret, false);
	fake_unlock();
	return ret;
}

static struct fake_vcpu *find_page(const struct kvm_run *page)
{
	for (struct fake_vm *vm = model.vms; vm; vm = vm->next) {
		for (unsigned i = 0; i < FAKE_MAX_VCPUS; i++) {
			if (vm->vcpus[i] && vm->vcpus[i]->is_mapped && vm->vcpus[i]->page == page)
				return vm->vcpus[i];
		}
	}
	return NULL;
}

void kvm_sys_unmap_run(struct kvm_run *run, size_t size)
{
	struct fake_vcpu *vcpu;
	char line[64];

	if (!run)
		return;
	fake_lock();
	vcpu = find_page(run);
	if (!vcpu || size != model.host.run_size) {
		fake_misuse("a page is unmapped that is not mapped, or not so long");
	} else {
		snprintf(line, sizeof(line), "unmap vcpu%u", vcpu->index);
		add_to_trace(line);
		vcpu->is_mapped = false;
		fake_vcpu_release(vcpu);
	}
	fake_unlock();
}

int kvm_sys_punch(int fd, uint64_t offset, uint64_t size)
{
	const struct fd_entry *entry;
	char call[96];
	int ret;

	snprintf(call, sizeof(call), "punch gmem offset=0x%llx size=0x%llx",
		 (unsigned long long)offset, (unsigned long long)size);
	fake_lock();
	entry = find_fd(fd);
	ret = take_fault(call);
	if (!entry || entry->kind != FD_GMEM) {
		fake_misuse("descriptor %d has no pages to give back", fd);
		ret = -EBADF;
	}
	if (!ret)
		ret = model.extension->punch(entry->vm, offset, size);
	trace_result(call, ret, false);
	fake_unlock();
	return ret;
}

static void close_entry(int fd, struct fd_entry *entry)
{
	char line[64], name[24];

	name_fd(name, entry);
	snprintf(line, sizeof(line), "close %s", name);
	add_to_trace(line);
	if (entry->vcpu) {
		if (entry->vcpu->is_running)
			fake_misuse("%s while it runs", line);
		entry->vcpu->is_open = false;
		fake_vcpu_release(entry->vcpu);
	}
	if (entry->kind == FD_VM)
		fake_gic_free(entry->vm);
	entry->kind = FD_NONE;
	close(fd);
}

void kvm_sys_close(int fd)
{
	struct fd_entry *entry;

	if (fd < 0)
		return;
	fake_lock();
	entry = find_fd(fd);
	if (entry)
		close_entry(fd, entry);
	else
		fake_misuse("close of descriptor %d, which is not KVM's", fd);
	fake_unlock();
}
