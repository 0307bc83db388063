/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Realm VMs: their creation, memory, contents, vCPUs. The rules are those of the postings of
 * "arm64: Support for Arm CCA in KVM"; each is cited where it is applied.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ccr/file.h"
#include "fake_realm_internal.h"
#include "uapi/kvm_realm.h"

#define REALM_V1  KVM_REALM_VM_TYPE_V1
#define REALM_V14 KVM_REALM_VM_TYPE_V14

#define MIN_IPA_BITS     32
#define DEFAULT_IPA_BITS 40
#define DEFAULT_LIMIT    48

#define CAP_EL2            240 /* Linux 6.16; v8's number */
#define CAP_PFNMAP         243 /* 6.17; v9's */
#define CAP_GMEM_FLAGS     244 /* 6.18; v10's */
#define CAP_SEA_TO_USER    245 /* 6.19; v11's */
#define CAP_GMEM_ATTRIBUTE 250 /* guest_memfd's own attributes, as v15 needs them */

#define ID_X0      0x6030000000100000ull
#define ID_PC      0x6030000000100040ull
#define ID_DFR0    0x603000000013c028ull
#define ID_PMCR    0x603000000013dce0ull
#define ID_SVE_VLS 0x606000000015ffffull
#define DFR0_BRPS  (0xfull << 12)
#define DFR0_WRPS  (0xfull << 20)
#define DFR0_SIZES (DFR0_BRPS | DFR0_WRPS)
#define DFR0       (5ull << 12 | 3ull << 20) /* 6 breakpoints, 4 watchpoints */

/*
 * Read: v5 and v7 (also seen), v9, v12, v13, v14; v10 and v11 in trees that carry them; v16 in a
 * tree of 2026 that is built on it. Not read: v8, taken to be between v7 and v9; v15, between v14
 * and v16; what came after v16 is told by programs that use it.
 */
static const struct fake_rules generations[FAKE_NR_GENERATIONS] = {
	/* What v5 calls REC is a number beyond the features that INIT takes. */
	[FAKE_V5] = {.name = "v5",
		     .vm_type = REALM_V1,
		     .no_rmm = -EINVAL,
		     .cap = 300,
		     .is_explicit = true,
		     .wrong_state = -EINVAL,
		     .no_gmem = -EINVAL,
		     .ripas_again = -ENXIO,
		     .rec_finalize = 8,
		     .has_vm_attributes = true,
		     .checks_private = true,
		     .checks_shared = true,
		     .changes_first = true},
	[FAKE_V7] = {.name = "v7",
		     .vm_type = REALM_V1,
		     .no_rmm = -EPERM,
		     .cap = 300,
		     .is_explicit = true,
		     .wrong_state = -EINVAL,
		     .no_gmem = -EINVAL,
		     .ripas_again = -ENXIO,
		     .rec_feature = 8,
		     .rec_finalize = 8,
		     .has_vm_attributes = true,
		     .checks_private = true,
		     .checks_shared = true},
	/* "Improve the error codes": its change log says so of population. */
	[FAKE_V8] = {.name = "v8",
		     .vm_type = REALM_V1,
		     .no_rmm = -EPERM,
		     .cap = 240,
		     .is_explicit = true,
		     .wrong_state = -EPERM,
		     .no_gmem = -EPERM,
		     .ripas_again = -EINVAL,
		     .rec_feature = 8,
		     .rec_finalize = 8,
		     .has_vm_attributes = true,
		     .checks_private = true,
		     .checks_shared = true},
	/* Bit 8 has become a feature of nested virtualisation. */
	[FAKE_V9] = {.name = "v9",
		     .vm_type = REALM_V1,
		     .no_rmm = -EPERM,
		     .cap = 243,
		     .is_explicit = true,
		     .wrong_state = -EPERM,
		     .no_gmem = -EPERM,
		     .ripas_again = -EINVAL,
		     .rec_feature = 9,
		     .rec_finalize = 9,
		     .has_vm_attributes = true,
		     .checks_private = true,
		     .checks_shared = true},
	[FAKE_V10] = {.name = "v10",
		      .vm_type = REALM_V1,
		      .no_rmm = -EPERM,
		      .cap = 244,
		      .is_explicit = true,
		      .wrong_state = -EPERM,
		      .no_gmem = -EPERM,
		      .ripas_again = -EINVAL,
		      .rec_feature = 9,
		      .rec_finalize = 9,
		      .has_vm_attributes = true,
		      .checks_private = true,
		      .checks_shared = true},
	/* Uncertain: its number, and whether EPERM still tells of a missing RMM. */
	[FAKE_V11] = {.name = "v11",
		      .vm_type = REALM_V1,
		      .no_rmm = -EPERM,
		      .cap = 245,
		      .is_explicit = true,
		      .wrong_state = -EPERM,
		      .no_gmem = -EPERM,
		      .ripas_again = -EINVAL,
		      .rec_feature = 9,
		      .rec_finalize = 9,
		      .has_vm_attributes = true,
		      .checks_private = true,
		      .checks_shared = true,
		      .lists_caps = true},
	/* kvm_arch_init_vm(): v7's EPERM is lost in v12, although change logs still name it. */
	[FAKE_V12] = {.name = "v12",
		      .vm_type = REALM_V1,
		      .no_rmm = -EINVAL,
		      .cap = 247,
		      .populate = KVM_REALM_POPULATE_V12,
		      .returns_bytes = true,
		      .plain_populate = -EPERM,
		      .no_source = -EFAULT,
		      .twice = -EEXIST,
		      .has_vm_attributes = true,
		      .checks_private = true,
		      .sets_ripas = true,
		      .lists_caps = true,
		      .dies_without_gic = true,
		      .dead_run = -ENXIO},
	[FAKE_V13] = {.name = "v13",
		      .vm_type = REALM_V1,
		      .no_rmm = -EINVAL,
		      .cap = 248,
		      .populate = KVM_REALM_POPULATE_V13,
		      .plain_populate = -ENXIO,
		      .no_source = -EOPNOTSUPP,
		      .twice = -ENXIO,
		      .has_vm_attributes = true,
		      .checks_private = true,
		      .sets_ripas = true,
		      .lists_caps = true,
		      .dead_run = -EINVAL,
		      .dead_is_late = true},
	[FAKE_V14] = {.name = "v14",
		      .vm_type = REALM_V14,
		      .no_rmm = -EINVAL,
		      .cap = 249,
		      .populate = KVM_REALM_POPULATE_V13,
		      .plain_populate = -ENXIO,
		      .no_source = -EOPNOTSUPP,
		      .twice = -ENXIO,
		      .has_vm_attributes = true,
		      .checks_private = true,
		      .sets_ripas = true,
		      .lists_caps = true,
		      .filters_caps = true,
		      .dead_run = -EINVAL,
		      .dead_is_late = true},
	[FAKE_V15] = {.name = "v15",
		      .vm_type = REALM_V14,
		      .no_rmm = -EINVAL,
		      .cap = 251,
		      .populate = KVM_REALM_POPULATE_V13,
		      .plain_populate = -ENXIO,
		      .no_source = -EINVAL,
		      .twice = -ENXIO,
		      .sets_ripas = true,
		      .lists_caps = true,
		      .filters_caps = true,
		      .dead_run = -EINVAL,
		      .dead_is_late = true},
	/* Uncertain: its number. */
	[FAKE_V16] = {.name = "v16",
		      .vm_type = REALM_V14,
		      .no_rmm = -EINVAL,
		      .cap = 252,
		      .populate = KVM_REALM_POPULATE_V13,
		      .plain_populate = -ENXIO,
		      .no_source = -EINVAL,
		      .twice = -ENXIO,
		      .bounds_range = true,
		      .must_match = true,
		      .sets_ripas = true,
		      .lists_caps = true,
		      .filters_caps = true,
		      .needs_gic = true,
		      .kills_vm = true},
	/* RIPAS has become a request of its own again, whose number is not known. */
	[FAKE_POST_V16] = {.name = "post-v16",
			   .vm_type = REALM_V14,
			   .no_rmm = -EINVAL,
			   .cap = 253,
			   .populate = KVM_REALM_POPULATE_V13,
			   .plain_populate = -ENXIO,
			   .no_source = -EINVAL,
			   .twice = -ENXIO,
			   .bounds_range = true,
			   .must_match = true,
			   .reports_zero = true,
			   .lists_caps = true,
			   .filters_caps = true,
			   .needs_gic = true,
			   .kills_vm = true},
	[FAKE_UPSTREAM] = {.name = "upstream", .no_rmm = -EINVAL},
};

static struct {
	struct fake_realm_host host;
	struct fake_rules rules;
	unsigned nr_busy, nr_busy_pages, nr_interrupted;
	struct fake_guest_op *guests[FAKE_REALM_MAX_VCPUS];
	struct fake_realm *last;
} realms;

static struct fake_guest_op nothing_to_do = {.kind = FAKE_GUEST_OFF};

const char *fake_generation_name(enum fake_generation generation)
{
	return generations[generation].name;
}

const struct fake_realm_host *fake_realm_host(void)
{
	return &realms.host;
}

/* The RMM. */

void fake_realm_add_step(struct fake_realm *realm, struct fake_step step)
{
	struct fake_step *last = &realm->steps[realm->nr_steps ? realm->nr_steps - 1 : 0];

	if (realm->nr_steps > 0 && step.kind == PLAN_DATA && last->kind == PLAN_DATA &&
	    step.is_measured == last->is_measured && last->base + last->size == step.base)
		last->size += step.size;
	else if (realm->nr_steps < FAKE_REALM_MAX_STEPS)
		realm->steps[realm->nr_steps++] = step;
	else
		fake_misuse("more steps than this model has room for");
}

struct fake_page *fake_realm_find(const struct fake_realm *realm, uint64_t at)
{
	if (at < realm->base || at - realm->base >= realm->size)
		return NULL;
	return &realm->pages[(at - realm->base) / FAKE_PAGE];
}

static bool is_ram(const struct fake_realm *realm, uint64_t base, uint64_t size)
{
	return size > 0 && base >= realm->base && base - realm->base < realm->size &&
	       size <= realm->size - (base - realm->base);
}

/* RMM specification A5.2.5: data that is destroyed while RIPAS is RAM leaves DESTROYED. */
void fake_realm_lose(struct fake_realm *realm, uint64_t at)
{
	struct fake_page *page = fake_realm_find(realm, at);

	if (page->ripas == FAKE_RAM)
		page->ripas = FAKE_DESTROYED;
	if (page->is_held)
		memset(realm->memory + (at - realm->base), 0, FAKE_PAGE);
}

/* Capabilities. */

/*
 * v11 on, kvm_realm_ext_allowed(): what the architecture answers for a realm VM is on a list. v13
 * has taken the PMU off it; v14 asks the same list in KVM_ENABLE_CAP.
 */
static bool is_listed(unsigned long number)
{
	switch (number) {
	case KVM_CAP_IRQCHIP:
	case KVM_CAP_ARM_PSCI:
	case KVM_CAP_ARM_PSCI_0_2:
	case KVM_CAP_NR_VCPUS:
	case KVM_CAP_MAX_VCPUS:
	case KVM_CAP_MAX_VCPU_ID:
	case KVM_CAP_MSI_DEVID:
	case KVM_CAP_ARM_VM_IPA_SIZE:
	case KVM_CAP_ARM_PTRAUTH_ADDRESS:
	case KVM_CAP_ARM_PTRAUTH_GENERIC:
		return true;
	case KVM_CAP_ARM_PMU_V3:
		return realms.host.generation <= FAKE_V12;
	case KVM_CAP_ARM_SVE:
		return realms.host.sve_vls;
	default:
		return number == realms.rules.cap;
	}
}

/* The part of KVM that all architectures share answers these before the list is looked at. */
static bool is_generic(unsigned long number)
{
	return number == KVM_CAP_IRQFD || number == KVM_CAP_IRQ_ROUTING;
}

/* And these. Return: -1 for all others. */
static int check_generic(unsigned long number, const struct fake_realm *realm)
{
	switch (number) {
	case CAP_GMEM_FLAGS:
		if (realms.host.generation < FAKE_V11)
			return 0;
		return realm || realms.host.generation == FAKE_UPSTREAM ? 1 : 3;
	case KVM_REALM_CAP_GUEST_MEMFD:
		return !realms.host.has_no_gmem;
	case KVM_REALM_CAP_MEMORY_ATTRIBUTES:
		return realms.rules.has_vm_attributes && !realms.host.has_no_gmem
			       ? (int)KVM_REALM_ATTRIBUTE_PRIVATE
			       : 0;
	case CAP_GMEM_ATTRIBUTE:
		return realms.rules.vm_type && !realms.rules.has_vm_attributes
			       ? (int)KVM_REALM_ATTRIBUTE_PRIVATE
			       : 0;
	default:
		return -1;
	}
}

/* The architecture's that are realms' numbers in older postings. Return: -1 for the others. */
static int check_arch(unsigned long number)
{
	switch (number) {
	case CAP_EL2:
		return realms.host.generation >= FAKE_V9;
	case CAP_PFNMAP:
		return realms.host.generation >= FAKE_V10;
	case CAP_SEA_TO_USER:
		return realms.host.generation >= FAKE_V12;
	default:
		return -1;
	}
}

/* Before Linux 6.18 (v11) a plain VM of arm64 said that it has no private memory (seen: v5, v7). */
static bool is_of_realms_only(unsigned long number)
{
	return realms.host.generation <= FAKE_V10 &&
	       (number == KVM_REALM_CAP_GUEST_MEMFD || number == KVM_REALM_CAP_MEMORY_ATTRIBUTES);
}

static int check_extension(unsigned long number, const struct fake_realm *realm)
{
	const int generic = check_generic(number, realm), arch = check_arch(number);

	if (realms.rules.cap && number == realms.rules.cap)
		return !realms.host.has_no_rmm;
	if (generic >= 0)
		return generic;
	if (realm && realms.rules.lists_caps && !is_listed(number) && !is_generic(number))
		return 0;
	if (realm && number == KVM_CAP_ARM_SVE)
		return realms.host.sve_vls != 0;
	if (realm && number == KVM_CAP_ARM_PMU_V3)
		return realms.host.pmu_counters != 0;
	return arch >= 0 ? arch : FAKE_PASS;
}

/* The system descriptor. */

static int create_realm_vm(unsigned long type)
{
	const unsigned limit = realms.host.ipa_bits ? realms.host.ipa_bits : DEFAULT_LIMIT;
	const unsigned wish = type & 0xff, bits = wish ? wish : DEFAULT_IPA_BITS;
	struct fake_realm *realm;
	struct fake_vm *vm;
	int fd;

	if ((type & ~0xfful) != realms.rules.vm_type)
		return -EINVAL;
	if (realms.host.has_no_rmm)
		return realms.rules.no_rmm;
	if (bits < MIN_IPA_BITS || bits > limit)
		return -EINVAL;
	realm = calloc(1, sizeof(*realm));
	if (!realm)
		return -ENOMEM;
	fd = fake_vm_create(bits, &vm);
	if (fd < 0) {
		free(realm);
		return fd;
	}
	realm->rules = &realms.rules;
	realm->dfr0 = DFR0;
	for (unsigned i = 0; i < FAKE_REALM_MAX_VCPUS; i++)
		realm->op[i] = realms.guests[i] ? realms.guests[i] : &nothing_to_do;
	vm->realm = realm;
	realms.last = realm;
	return fd;
}

static int system_ioctl(unsigned long request, void *arg)
{
	const unsigned long number = (unsigned long)arg;

	if (request == KVM_CHECK_EXTENSION)
		return check_extension(number, NULL);
	if (request == KVM_CREATE_VM && number & ~0xfful)
		return create_realm_vm(number);
	return FAKE_PASS;
}

/* Memory. */

static int create_gmem(struct fake_vm *vm, const struct kvm_realm_create_guest_memfd *wanted)
{
	static const uint64_t zero[6];

	if (realms.host.has_no_gmem)
		return -EINVAL;
	if (!wanted)
		return -EFAULT;
	if (wanted->flags || memcmp(wanted->reserved, zero, sizeof(zero)) || wanted->size == 0 ||
	    wanted->size % FAKE_PAGE)
		return -EINVAL;
	/* A plain VM can have one and do nothing with it (seen: v5, v7). */
	if (!vm->realm)
		return fake_vm_create_gmem(vm);
	if (vm->realm->gmem_size)
		fake_misuse("a second guest_memfd is more than this model has room for");
	vm->realm->gmem_size = wanted->size;
	return fake_vm_create_gmem(vm);
}

static int add_memory(struct fake_realm *realm, const struct kvm_realm_memory_region2 *region)
{
	const uint64_t nr_pages = region->memory_size / FAKE_PAGE;

	if (realm->size) {
		fake_misuse("a second slot is more than this model has room for");
		return -ENOMEM;
	}
	realm->pages = calloc(nr_pages, sizeof(*realm->pages));
	realm->memory = mmap(NULL, region->memory_size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!realm->pages || realm->memory == MAP_FAILED) {
		realm->memory = NULL;
		return -ENOMEM;
	}
	realm->base = region->guest_phys_addr;
	realm->size = region->memory_size;
	realm->host = region->userspace_addr;
	realm->has_gmem_slot = region->flags & KVM_REALM_MEM_GUEST_MEMFD;
	/* A guest_memfd that keeps attributes itself begins private (flags 0). */
	for (uint64_t i = 0; i < nr_pages; i++)
		realm->pages[i].is_private = !realm->rules->has_vm_attributes;
	return 0;
}

/*
 * Slots of a realm lie below the shared bit, where the upper half is their alias. KVM does not look
 * (seen: v5, v7).
 */
static int set_region(struct fake_vm *vm, const struct kvm_realm_memory_region2 *region)
{
	struct kvm_userspace_memory_region plain;
	int ret;

	if (!region)
		return -EFAULT;
	if (realms.host.has_no_gmem || !vm->realm ||
	    region->flags & ~(uint32_t)KVM_REALM_MEM_GUEST_MEMFD)
		return -EINVAL;
	if (region->flags) {
		if (!fake_vm_is_gmem(vm, (int)region->guest_memfd))
			return -EBADF;
		if (region->guest_memfd_offset || region->memory_size > vm->realm->gmem_size)
			return -EINVAL;
	}
	if (region->guest_phys_addr + region->memory_size > 1ull << vm->ipa_bits)
		return -EINVAL;
	if (region->guest_phys_addr + region->memory_size > 1ull << (vm->ipa_bits - 1)) {
		fake_misuse("a slot where shared aliases are: 0x%llx",
			    (unsigned long long)region->guest_phys_addr);
		return 0;
	}
	plain = (struct kvm_userspace_memory_region){
		.slot = region->slot,
		.guest_phys_addr = region->guest_phys_addr,
		.memory_size = region->memory_size,
		.userspace_addr = region->userspace_addr,
	};
	ret = fake_vm_set_region(vm, &plain);
	return ret ? ret : add_memory(vm->realm, region);
}

/*
 * Attributes of the VM (virt/kvm/api.rst). Pages that become shared leave the realm at once; from
 * those that become private only the shared side is unmapped.
 */
static int set_attributes(struct fake_realm *realm, const struct kvm_realm_attributes *wanted)
{
	const bool private = wanted && wanted->attributes & KVM_REALM_ATTRIBUTE_PRIVATE;

	if (!realm->rules->has_vm_attributes || realms.host.has_no_gmem)
		return -EINVAL;
	if (!wanted)
		return -EFAULT;
	if (wanted->flags || wanted->attributes & ~KVM_REALM_ATTRIBUTE_PRIVATE ||
	    wanted->size == 0 || (wanted->address | wanted->size) % FAKE_PAGE ||
	    wanted->address + wanted->size < wanted->address)
		return -EINVAL;
	if (!is_ram(realm, wanted->address, wanted->size)) {
		fake_misuse("attributes of what is not RAM: 0x%llx",
			    (unsigned long long)wanted->address);
		return 0;
	}
	for (uint64_t at = wanted->address; at < wanted->address + wanted->size; at += FAKE_PAGE) {
		fake_realm_find(realm, at)->is_private = private;
		if (!private)
			fake_realm_lose(realm, at);
	}
	return 0;
}

/* Attributes of a guest_memfd (its series v8): refused as a whole while one page is pinned. */
static int set_attributes2(struct fake_realm *realm, struct kvm_realm_attributes2 *wanted)
{
	static const uint64_t zero[11];

	if (realm->rules->has_vm_attributes || realms.host.has_no_attributes2)
		return -ENOTTY;
	if (!wanted)
		return -EFAULT;
	if (wanted->flags || wanted->attributes & ~KVM_REALM_ATTRIBUTE_PRIVATE ||
	    memcmp(wanted->reserved, zero, sizeof(zero)) || wanted->size == 0 ||
	    (wanted->offset | wanted->size) % FAKE_PAGE ||
	    !is_ram(realm, realm->base + wanted->offset, wanted->size))
		return -EINVAL;
	if (realms.nr_busy > 0) {
		realms.nr_busy--;
		wanted->error_offset = wanted->offset;
		if (realms.host.busy_moves)
			wanted->error_offset += realms.nr_busy_pages++ * FAKE_PAGE;
		return -EAGAIN;
	}
	for (uint64_t i = 0; i < wanted->size; i += FAKE_PAGE)
		fake_realm_find(realm, realm->base + wanted->offset + i)->is_private =
			wanted->attributes;
	return 0;
}

static int gmem_ioctl(struct fake_vm *vm, unsigned long request, void *arg)
{
	return request == KVM_REALM_SET_ATTRIBUTES2 ? set_attributes2(vm->realm, arg) : -ENOTTY;
}

/*
 * A hole frees pages. Where the guest_memfd keeps the attributes, only what is private is taken
 * from the realm before: a hole in shared pages would give delegated ones back to the host.
 */
static int punch(struct fake_vm *vm, uint64_t offset, uint64_t size)
{
	struct fake_realm *realm = vm->realm;

	if ((offset | size) % FAKE_PAGE || !realm || offset + size > realm->gmem_size)
		return -EINVAL;
	if (!is_ram(realm, realm->base + offset, size))
		return 0;
	for (uint64_t i = 0; i < size; i += FAKE_PAGE) {
		struct fake_page *page = fake_realm_find(realm, realm->base + offset + i);

		if (!realm->rules->has_vm_attributes && !page->is_private && page->is_held)
			fake_misuse("a hole in shared pages that the RMM still has: 0x%llx",
				    (unsigned long long)(realm->base + offset + i));
		fake_realm_lose(realm, realm->base + offset + i);
		page->is_held = false;
	}
	return 0;
}

/* Contents. */

/* One page from host memory into the realm; @twice is what a page that is there already gives. */
static int add_page(struct fake_realm *realm, uint64_t at, uint64_t source, bool measure, int twice)
{
	struct fake_page *page = fake_realm_find(realm, at);

	if (page->is_held)
		return twice;
	if (fake_memory_read(source, realm->memory + (at - realm->base), FAKE_PAGE))
		return -EFAULT;
	page->is_held = true;
	page->ripas = FAKE_RAM;
	fake_realm_add_step(realm, (struct fake_step){.kind = PLAN_DATA,
						      .base = at,
						      .size = FAKE_PAGE,
						      .is_measured = measure});
	return 0;
}

static bool is_whole_pages(uint64_t base, uint64_t size)
{
	return (base | size) % FAKE_PAGE == 0 && base + size >= base;
}

/*
 * The explicit populate takes the bytes from where the slot maps them (v5: read; since v6 with
 * write access, so that a file mapped for reading is no source).
 */
static int populate_part(struct fake_realm *realm, uint64_t base, uint64_t size, bool measure)
{
	int ret = 0;

	if (!fake_realm_find(realm, base))
		return -EFAULT;
	if (!is_ram(realm, base, size))
		return -EINVAL;
	if (!realm->has_gmem_slot)
		return realm->rules->no_gmem;
	for (uint64_t i = 0; i < size && !ret; i += FAKE_PAGE)
		ret = add_page(realm, base + i, realm->host + (base - realm->base) + i, measure,
			       -ENXIO);
	return ret;
}

static int populate(struct fake_realm *realm, const struct kvm_realm_populate *wanted)
{
	/* v7 does 2 MiB at a time, and finds the slot anew for each (seen). */
	const uint64_t limit = realm->rules->changes_first ? UINT64_MAX : SZ_2M;
	uint64_t done = 0;
	int ret = 0;

	if (!wanted)
		return -EFAULT;
	/* kvm_populate_realm(): the state comes before the arguments. */
	if (realm->state != FAKE_REALM_NEW)
		return realm->rules->wrong_state;
	if (!is_whole_pages(wanted->base, wanted->size) ||
	    wanted->flags & ~KVM_REALM_POPULATE_MEASURE)
		return -EINVAL;
	if (wanted->size == 0)
		fake_misuse("a populate of nothing");
	while (done < wanted->size && !ret) {
		const uint64_t left = wanted->size - done;

		ret = populate_part(realm, wanted->base + done, left < limit ? left : limit,
				    wanted->flags);
		done += left < limit ? left : limit;
	}
	return ret;
}

/*
 * kvm_arm_rmi_populate(): all that can be wrong with the arguments themselves, in one condition,
 * before the state is looked at. v12 does not look at the source: it would take the page around it.
 */
static int check_arguments(const struct fake_rules *rules,
			   const struct kvm_realm_populate_from *wanted)
{
	if (wanted->reserved || wanted->flags & ~KVM_REALM_POPULATE_MEASURE ||
	    (wanted->base | wanted->size) % FAKE_PAGE)
		return -EINVAL;
	if (wanted->source_uaddr % FAKE_PAGE && !rules->returns_bytes)
		return -EINVAL;
	if (wanted->source_uaddr % FAKE_PAGE)
		fake_misuse("a source that is no page: v12 populates what is around it");
	/* Uncertain for v15: that 0 is refused is told, where is not. */
	if (wanted->source_uaddr == 0 && rules->no_source == -EINVAL)
		return -EINVAL;
	return rules->bounds_range && wanted->base + wanted->size < wanted->base ? -EINVAL : 0;
}

/* v12 on, realm_ensure_created(): whatever becomes of the population. */
static int ensure_created(struct fake_realm *realm)
{
	switch (realm->state) {
	case FAKE_REALM_NONE:
		realm->state = FAKE_REALM_NEW;
		fake_realm_add_step(realm, (struct fake_step){.kind = PLAN_CREATE});
		return 0;
	case FAKE_REALM_NEW:
		return 0;
	case FAKE_REALM_DEAD:
		return -ENXIO;
	case FAKE_REALM_ACTIVE:
		break;
	}
	return -EBUSY;
}

/*
 * kvm_gmem_populate() wants private pages. Up to Linux 6.19 (v12) it knows those that are filled;
 * since then (v13) the RMM does, which refuses to have the page delegated again.
 */
static int populate_page(struct fake_realm *realm, const struct kvm_realm_populate_from *wanted,
			 uint64_t done)
{
	const struct fake_page *page = fake_realm_find(realm, wanted->base + done);

	if (page->is_held && realm->rules->twice == -EEXIST)
		return -EEXIST;
	if (!page->is_private)
		return -EINVAL;
	if (wanted->source_uaddr == 0)
		return realm->rules->no_source;
	return add_page(realm, wanted->base + done, wanted->source_uaddr + done, wanted->flags,
			realm->rules->twice);
}

/* Nothing behind the end of the slot. Return: bytes done, or -errno if there are none. */
static int populate_some(struct fake_realm *realm, const struct kvm_realm_populate_from *wanted)
{
	const uint64_t limit = realms.host.populate_size;
	uint64_t size = limit && limit < wanted->size ? limit : wanted->size;
	int ret = 0;

	if (!fake_realm_find(realm, wanted->base) || !realm->has_gmem_slot)
		return -EINVAL;
	if (size > realm->base + realm->size - wanted->base)
		size = realm->base + realm->size - wanted->base;
	for (uint64_t i = 0; i < size && !ret; i += FAKE_PAGE) {
		ret = populate_page(realm, wanted, i);
		if (ret && i)
			return (int)i;
	}
	return ret ? ret : (int)size;
}

static bool is_below_alias(const struct fake_vm *vm, const struct kvm_realm_populate_from *wanted)
{
	return wanted->base + wanted->size <= 1ull << (vm->ipa_bits - 1);
}

static int populate_from(struct fake_vm *vm, struct kvm_realm_populate_from *wanted)
{
	const struct fake_rules *rules = vm->realm->rules;
	int ret;

	if (!wanted)
		return -EFAULT;
	ret = check_arguments(rules, wanted);
	if (!ret)
		ret = ensure_created(vm->realm);
	if (!ret && rules->bounds_range && !is_below_alias(vm, wanted))
		ret = -EINVAL;
	if (ret)
		return ret;
	/* v16 does nothing; up to v14 the host warns of it, on its console. */
	if (wanted->size == 0) {
		fake_misuse("a populate of nothing");
		return rules->bounds_range ? 0 : -EINVAL;
	}
	/* A signal (EINTR); EAGAIN is not seen in any kernel's source. */
	if (realms.nr_interrupted > 0)
		return realms.nr_interrupted-- % 2 ? -EINTR : -EAGAIN;
	ret = populate_some(vm->realm, wanted);
	if (ret < 0 || rules->returns_bytes)
		return ret;
	wanted->base += (uint64_t)ret;
	wanted->source_uaddr += (uint64_t)ret;
	wanted->size -= (uint64_t)ret;
	return 0;
}

/* kvm_arch_vm_ioctl(): one number, in one direction; a plain VM comes before the pointer. */
static int populate_request(struct fake_vm *vm, unsigned long request, void *arg)
{
	if (request != realms.rules.populate)
		return -EINVAL;
	return vm->realm ? populate_from(vm, arg) : realms.rules.plain_populate;
}

/* The explicit life-cycle. */

static int config(struct fake_realm *realm, const struct kvm_realm_config *wanted)
{
	if (realm->state != FAKE_REALM_NONE)
		return -EBUSY;
	if (!wanted)
		return -EFAULT;
	switch (wanted->item) {
	case KVM_REALM_CONFIG_RPV:
		memcpy(realm->rpv, wanted->rpv, sizeof(realm->rpv));
		return 0;
	case KVM_REALM_CONFIG_HASH_ALGO:
		if (wanted->hash_algo > 1 || (wanted->hash_algo && realms.host.has_no_sha512))
			return -EINVAL;
		realm->hash = wanted->hash_algo;
		return 0;
	default:
		return -EINVAL;
	}
}

static bool has_vcpu(const struct fake_vm *vm)
{
	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		if (vm->vcpus[i] && vm->vcpus[i]->is_initialised)
			return true;
	}
	return false;
}

/* A realm gets its breakpoints from a vCPU; without one the RMM refuses it (seen: v5, v7). */
static int create(struct fake_vm *vm)
{
	struct fake_realm *realm = vm->realm;

	if (realm->state != FAKE_REALM_NONE)
		return -EEXIST;
	if (!has_vcpu(vm))
		return -ENXIO;
	realm->state = FAKE_REALM_NEW;
	fake_realm_add_step(realm, (struct fake_step){.kind = PLAN_CREATE});
	return 0;
}

static int init_ripas(struct fake_realm *realm, const struct kvm_realm_init_ripas *wanted)
{
	if (!wanted)
		return -EFAULT;
	/* kvm_init_ipa_range_realm(): here it is the other way round. */
	if (wanted->base + wanted->size < wanted->base)
		return -EINVAL;
	if (realm->state != FAKE_REALM_NEW)
		return realm->rules->wrong_state;
	/* KVM looks at neither alignment nor slots: the RMM's answers are seen (v5, v7). */
	if (!is_whole_pages(wanted->base, wanted->size))
		return -ENXIO;
	if (!is_ram(realm, wanted->base, wanted->size)) {
		fake_misuse("RIPAS RAM where there is no RAM: 0x%llx",
			    (unsigned long long)wanted->base);
		return 0;
	}
	for (uint64_t i = 0; i < wanted->size; i += FAKE_PAGE) {
		/* ripas_change(): since v9 there is a word for what the RMM leaves alone. */
		if (fake_realm_find(realm, wanted->base + i)->is_held)
			return realm->rules->ripas_again;
		fake_realm_find(realm, wanted->base + i)->ripas = FAKE_RAM;
	}
	fake_realm_add_step(realm, (struct fake_step){.kind = PLAN_INIT_RIPAS,
						      .base = wanted->base,
						      .size = wanted->size});
	return 0;
}

static int activate(struct fake_vm *vm)
{
	if (vm->realm->state != FAKE_REALM_NEW)
		return -EINVAL;
	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		if (!vm->realm->has_rec[i])
			fake_misuse("activated while vCPU %u has no REC: it can get none any more",
				    i);
	}
	vm->realm->state = FAKE_REALM_ACTIVE;
	fake_realm_add_step(vm->realm, (struct fake_step){.kind = PLAN_ACTIVATE});
	return 0;
}

static int act(struct fake_vm *vm, const struct kvm_enable_cap *cap)
{
	void *arg = (void *)(uintptr_t)cap->args[1];

	switch (cap->args[0]) {
	case KVM_REALM_ACTION_CONFIG:
		return config(vm->realm, arg);
	case KVM_REALM_ACTION_CREATE:
		return create(vm);
	case KVM_REALM_ACTION_INIT_RIPAS:
		return init_ripas(vm->realm, arg);
	case KVM_REALM_ACTION_POPULATE:
		return populate(vm->realm, arg);
	case KVM_REALM_ACTION_ACTIVATE:
		return activate(vm);
	default:
		return -EINVAL;
	}
}

static int enable_cap(struct fake_vm *vm, const struct kvm_enable_cap *cap)
{
	if (!cap)
		return -EFAULT;
	if (cap->flags)
		return -EINVAL;
	if (realms.rules.is_explicit && cap->cap == realms.rules.cap)
		return vm->realm ? act(vm, cap) : -EINVAL;
	if (cap->cap == CAP_SEA_TO_USER && realms.host.generation >= FAKE_V12)
		return realms.rules.filters_caps && vm->realm ? -EINVAL : 0;
	if (vm->realm && realms.rules.filters_caps && !is_listed(cap->cap))
		return -EINVAL;
	return FAKE_PASS;
}

static int vm_ioctl(struct fake_vm *vm, unsigned long request, void *arg)
{
	switch (request) {
	case KVM_CHECK_EXTENSION:
		if (!vm->realm && is_of_realms_only((unsigned long)arg))
			return 0;
		return check_extension((unsigned long)arg, vm->realm);
	case KVM_ENABLE_CAP:
		return enable_cap(vm, arg);
	case KVM_REALM_CREATE_GUEST_MEMFD:
		return create_gmem(vm, arg);
	case KVM_REALM_SET_MEMORY_REGION2:
		return set_region(vm, arg);
	case KVM_REALM_SET_ATTRIBUTES:
		return vm->realm ? set_attributes(vm->realm, arg) : -EINVAL;
	case KVM_REALM_POPULATE_V12:
	case KVM_REALM_POPULATE_V13:
		return populate_request(vm, request, arg);
	case KVM_REALM_UNKNOWN_RW + 2:
		/* Whatever the number is. */
		return vm->realm && realms.host.generation == FAKE_POST_V16 ? -EFAULT : -EINVAL;
	case KVM_CREATE_VCPU:
		/* A REC that comes after the activation is refused by the RMM. */
		if (vm->realm && (vm->realm->state == FAKE_REALM_ACTIVE ||
				  (unsigned long)arg >= FAKE_REALM_MAX_VCPUS))
			fake_misuse("vCPU %lu is too late, or too many", (unsigned long)arg);
		return FAKE_PASS;
	default:
		return FAKE_PASS;
	}
}

/* vCPUs. */

static int init_vcpu(struct fake_vcpu *vcpu, const struct kvm_vcpu_init *wanted)
{
	const struct fake_realm *realm = vcpu->vm->realm;
	const uint32_t bit = realm->rules->rec_feature ? 1u << realm->rules->rec_feature : 0;
	struct kvm_vcpu_init init;
	int ret;

	if (!wanted)
		return -EFAULT;
	if (realm->state == FAKE_REALM_ACTIVE)
		fake_misuse("vCPU %u initialised again in a running realm", vcpu->index);
	/* Since Linux 6.16 (v9) bit 8 is nested virtualisation, which realms have not. */
	if (realms.host.generation >= FAKE_V9 && wanted->features[0] & 1u << 8)
		return -EINVAL;
	init = *wanted;
	init.features[0] &= ~bit;
	if (vcpu->is_initialised &&
	    realm->has_rec_bit[vcpu->index] != (bool)(wanted->features[0] & bit))
		return -EINVAL;
	vcpu->cpu.offered_vls = realms.host.sve_vls;
	vcpu->cpu.offered_counters = realms.host.pmu_counters;
	ret = fake_vcpu_ioctl(vcpu, KVM_ARM_VCPU_INIT, &init);
	if (!ret)
		vcpu->features = wanted->features[0] & ~bit;
	if (!ret)
		vcpu->vm->realm->has_rec_bit[vcpu->index] = wanted->features[0] & bit;
	return ret;
}

int fake_realm_create_rec(struct fake_vm *vm, unsigned index)
{
	struct fake_vcpu *vcpu = vm->vcpus[index];
	struct fake_realm *realm = vm->realm;

	if (!(vcpu->features & 1u << KVM_ARM_VCPU_PSCI_0_2))
		return -EINVAL;
	/* The RMM numbers RECs in their order, and their MPIDRs must follow it. */
	for (unsigned i = 0; i < index; i++) {
		if (!realm->has_rec[i])
			return -ENXIO;
	}
	realm->has_rec[index] = true;
	realm->entry[index][0] = vcpu->regs[FAKE_PC];
	memcpy(&realm->entry[index][1], vcpu->x, PLAN_NR_GPRS * sizeof(uint64_t));
	fake_realm_add_step(realm, (struct fake_step){.kind = PLAN_REC, .vcpu = index});
	return 0;
}

static int finalize(struct fake_vcpu *vcpu, const int *feature)
{
	const struct fake_realm *realm = vcpu->vm->realm;
	int ret;

	if (!vcpu->is_initialised)
		return -ENOEXEC;
	if (!feature)
		return -EFAULT;
	if (*feature == KVM_ARM_VCPU_SVE)
		return fake_cpu_finalize(vcpu, feature);
	if (!realm->rules->is_explicit || *feature != (int)realm->rules->rec_finalize)
		return -EINVAL;
	if (realm->rules->rec_feature && !realm->has_rec_bit[vcpu->index])
		return -EINVAL;
	if (realm->state != FAKE_REALM_NEW)
		return -ENOENT;
	if (realm->rules->changes_first) {
		/* Seen: the kernel forgets the pages of the first REC while the RMM has them. */
		if (realm->has_rec[vcpu->index])
			fake_misuse("a second REC for vCPU %u, which breaks v5's host",
				    vcpu->index);
		return realm->has_rec[vcpu->index] ? -ENXIO
						   : fake_realm_create_rec(vcpu->vm, vcpu->index);
	}
	/* Also after a failure: it is not noted that there is none (seen). */
	if (realm->has_rec[vcpu->index] || vcpu->vm->realm->tried_rec[vcpu->index])
		return -EBUSY;
	ret = fake_realm_create_rec(vcpu->vm, vcpu->index);
	vcpu->vm->realm->tried_rec[vcpu->index] = ret == -ENXIO;
	return ret;
}

/* v5 takes X0 to X7, later ones X0 to X30 (a host call can write them). */
static bool can_set(const struct fake_rules *rules, uint64_t id)
{
	const uint64_t nr_gprs = rules->changes_first ? 8 : 31;

	return id == ID_PC || (id >= ID_X0 && id < ID_X0 + 2 * nr_gprs && id % 2 == 0);
}

/*
 * Of the others only what sizes the realm, while it does not exist; of these the model knows the
 * breakpoints. set_id_reg(): afterwards what is written must be what is there.
 */
static int set_dfr0(struct fake_realm *realm, const struct kvm_one_reg *reg)
{
	uint64_t value;

	memcpy(&value, (void *)(uintptr_t)reg->addr, sizeof(value));
	if (realm->state != FAKE_REALM_NONE)
		return value == realm->dfr0 ? 0 : -EBUSY;
	if ((value & ~DFR0_SIZES) != (DFR0 & ~DFR0_SIZES) || !(value & DFR0_BRPS) ||
	    !(value & DFR0_WRPS) || (value & DFR0_BRPS) > (DFR0 & DFR0_BRPS) ||
	    (value & DFR0_WRPS) > (DFR0 & DFR0_WRPS))
		return -EINVAL;
	realm->dfr0 = value;
	return 0;
}

static int one_reg(struct fake_vcpu *vcpu, unsigned long request, const struct kvm_one_reg *reg)
{
	const uint64_t dfr0 = vcpu->vm->realm->dfr0;

	if (!vcpu->is_initialised || !reg)
		return FAKE_PASS;
	if (request == KVM_SET_ONE_REG && reg->id == ID_DFR0)
		return set_dfr0(vcpu->vm->realm, reg);
	if (request == KVM_SET_ONE_REG && (reg->id == ID_SVE_VLS || reg->id == ID_PMCR))
		return vcpu->vm->realm->state == FAKE_REALM_NONE ? FAKE_PASS : -EINVAL;
	if (request == KVM_SET_ONE_REG)
		return can_set(vcpu->vm->realm->rules, reg->id) ? FAKE_PASS : -EINVAL;
	if (reg->id != ID_DFR0)
		return FAKE_PASS;
	memcpy((void *)(uintptr_t)reg->addr, &dfr0, sizeof(dfr0));
	return 0;
}

/* A feature that the kernel knows and a plain VM does not have. */
static int plain_vcpu_ioctl(unsigned long request, const void *arg)
{
	const struct kvm_vcpu_init *init = arg;

	if (request == KVM_ARM_VCPU_INIT && init && realms.rules.rec_feature &&
	    init->features[0] & 1u << realms.rules.rec_feature)
		return -EINVAL;
	return FAKE_PASS;
}

static int vcpu_ioctl(struct fake_vcpu *vcpu, unsigned long request, void *arg)
{
	if (!vcpu->vm->realm)
		return plain_vcpu_ioctl(request, arg);
	switch (request) {
	case KVM_ARM_VCPU_INIT:
		return init_vcpu(vcpu, arg);
	case KVM_ARM_VCPU_FINALIZE:
		return finalize(vcpu, arg);
	case KVM_GET_ONE_REG:
	case KVM_SET_ONE_REG:
		return one_reg(vcpu, request, arg);
	case KVM_SET_VCPU_EVENTS:
		/* Taken only after an MMIO exit; these guests make none. */
		return -EINVAL;
	case KVM_RUN:
		return arg ? -EINVAL : fake_realm_run(vcpu);
	default:
		return FAKE_PASS;
	}
}

/* Life of the model. */

static void free_realm(struct fake_realm *realm)
{
	if (realms.last == realm)
		realms.last = NULL;
	free(realm->pages);
	if (realm->memory)
		munmap(realm->memory, realm->size);
	free(realm);
}

static const struct fake_extension extension = {
	.system_ioctl = system_ioctl,
	.vm_ioctl = vm_ioctl,
	.vcpu_ioctl = vcpu_ioctl,
	.gmem_ioctl = gmem_ioctl,
	.punch = punch,
	.free_realm = free_realm,
};

void fake_realm_begin(const struct fake_realm_host *host)
{
	struct fake_host kvm = fake_host_default;

	kvm.run_size = host->run_size ? host->run_size : kvm.run_size;
	kvm.ipa_bits = host->vm_ipa_bits ? host->vm_ipa_bits : kvm.ipa_bits;
	fake_kvm_begin(&kvm);
	memset(realms.guests, 0, sizeof(realms.guests));
	realms.host = *host;
	realms.rules = generations[host->generation];
	realms.nr_busy = host->nr_busy;
	realms.nr_busy_pages = 0;
	realms.nr_interrupted = host->nr_interrupted;
	if (host->cap)
		realms.rules.cap = host->cap;
	fake_kvm_extend(&extension);
}

void fake_realm_set_guest(unsigned vcpu, struct fake_guest_op *ops)
{
	assert_true(vcpu < FAKE_REALM_MAX_VCPUS);
	realms.guests[vcpu] = ops;
}

/* Look at it. */

struct fake_page fake_realm_page(uint64_t at)
{
	struct fake_page page;

	fake_lock();
	assert_non_null(realms.last);
	assert_non_null(fake_realm_find(realms.last, at));
	page = *fake_realm_find(realms.last, at);
	fake_unlock();
	return page;
}

void fake_realm_read(uint64_t at, void *bytes, size_t size)
{
	fake_lock();
	assert_non_null(realms.last);
	assert_true(is_ram(realms.last, at, size));
	memcpy(bytes, realms.last->memory + (at - realms.last->base), size);
	fake_unlock();
}

const struct fake_step *fake_realm_steps(unsigned *ret_nr)
{
	assert_non_null(realms.last);
	*ret_nr = realms.last->nr_steps;
	return realms.last->steps;
}

const uint8_t *fake_realm_rpv(void)
{
	assert_non_null(realms.last);
	return realms.last->rpv;
}

unsigned fake_realm_hash(void)
{
	assert_non_null(realms.last);
	return realms.last->hash;
}

uint64_t fake_realm_entry(unsigned vcpu, unsigned reg)
{
	assert_non_null(realms.last);
	assert_true(vcpu < FAKE_REALM_MAX_VCPUS && reg <= PLAN_NR_GPRS);
	return realms.last->entry[vcpu][reg];
}
