/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "ccr/arch.h"
#include "ccr/report.h"
#include "uapi/kvm_realm.h"

/* The smallest machine stands for all: limits are reported as numbers. */
static int smallest_machine(struct memmap *map, struct ccr_err *err)
{
	return memmap_init(map, MEMMAP_MIN_RAM, 1, err);
}

static void check_kind(enum machine_kind kind, const struct memmap *map, struct ccr_err *err)
{
	struct arch_host host;

	if (arch_host_open(&host, kind, map, NULL, err) == 0)
		arch_host_close(&host);
}

/* On a VM of its own, that what it leaves behind goes with. */
static void check_devices(int kvm_fd, unsigned ipa_bits, struct report *report)
{
	static const struct {
		enum report_item item;
		uint32_t type;
		const char *name;
		const char *way_out;
	} devices[] = {
		{REPORT_GICV3, KVM_DEV_TYPE_ARM_VGIC_V3, "GICv3",
		 "a host with a GICv3 is needed, or one compatible with it"},
		{REPORT_ITS, KVM_DEV_TYPE_ARM_VGIC_ITS, "ITS", "--no-pci does without it"},
	};
	const int vm_fd = kvm_vm_create(kvm_fd, ipa_bits);

	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		struct ccr_err *err = &report->found[devices[i].item];
		int fd;

		if (vm_fd < 0) {
			err_set(err, vm_fd, "KVM: cannot create a VM: %s", strerror(-vm_fd));
			continue;
		}
		fd = kvm_vm_create_device(vm_fd, devices[i].type);
		if (fd < 0)
			err_set(err, fd, "KVM: no %s for guests (%s): %s", devices[i].name,
				strerror(-fd), devices[i].way_out);
		kvm_sys_close(fd);
	}
	kvm_sys_close(vm_fd);
}

static void check_capabilities(int kvm_fd, struct report *report)
{
	static const struct {
		enum report_item item;
		unsigned number;
		const char *why;
	} capabilities[] = {
		{REPORT_IRQFD, KVM_CAP_IRQFD,
		 "KVM: this kernel cannot take interrupts from a descriptor: build it with "
		 "CONFIG_EVENTFD"},
		{REPORT_IOEVENTFD, KVM_CAP_IOEVENTFD,
		 "KVM: this kernel cannot signal a descriptor for a guest: build it with "
		 "CONFIG_EVENTFD; disks and networks need it"},
		{REPORT_GUEST_MEMFD, KVM_REALM_CAP_GUEST_MEMFD,
		 "KVM: this kernel has none, which only real realms need: use one with KVM's realm "
		 "series and CONFIG_KVM_GUEST_MEMFD"},
		{REPORT_ATTRIBUTES, KVM_REALM_CAP_MEMORY_ATTRIBUTES,
		 "KVM: this kernel keeps none for a VM, which only real realms up to series v14 "
		 "need: use one with KVM's realm series"},
	};

	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		if (kvm_sys_ioctl(kvm_fd, KVM_CHECK_EXTENSION,
				  (void *)(unsigned long)capabilities[i].number) <= 0)
			err_set(&report->found[capabilities[i].item], -EOPNOTSUPP, "%s",
				capabilities[i].why);
	}
}

/* A realm VM with one vCPU, never started, to read what the host puts into its ID registers. */
static void look_at_realm(struct report *report, const struct arch_host *host,
			  const struct memmap *map)
{
	struct ccr_err *err = &report->found[REPORT_REALM];
	struct arch_vm vm = {.fd = -1, .gmem_fd = -1, .gic_fd = -1, .its_fd = -1};
	struct arch_vcpu vcpu = {.fd = -1};
	struct gmem *gmem = NULL;
	struct realm_kvm realm;
	int ret = gmem_create(&gmem, GMEM_REALM, ipa_at(MEMMAP_RAM_BASE), map->ram_size,
			      map->shared_bit, err);

	if (!ret)
		ret = arch_vm_create(&vm, host, MACHINE_REALM, map, gmem, err);
	if (!ret)
		ret = arch_vcpu_create(&vcpu, &vm, host, 0, err);
	if (!ret) {
		if (realm_kvm_init(&realm, &host->abi, &vm, &vcpu, 1, gmem))
			err_set(err, -ENOMEM, "out of memory");
		else
			realm_kvm_host(&realm, &report->realm_host, err);
		report->realm_host.max_ipa_bits =
			realm_max_ipa_bits(host->kvm_fd, &host->abi, report->ipa_bits);
		realm_kvm_done(&realm);
	}
	arch_vcpu_destroy(&vcpu);
	arch_vm_destroy(&vm);
	gmem_destroy(gmem);
}

static void check_realm(struct report *report, const struct memmap *map)
{
	struct arch_host host;

	if (arch_host_open(&host, MACHINE_REALM, map, NULL, &report->found[REPORT_REALM]))
		return;
	report->abi = host.abi;
	look_at_realm(report, &host, map);
	if (report->found[REPORT_REALM].code == 0)
		realm_offer_probe(host.kvm_fd, &host.abi, map->ipa_bits, &report->offer);
	arch_host_close(&host);
}

void report_make(struct report *report)
{
	struct ccr_err *err = &report->found[REPORT_KVM];
	struct arch_host host;
	struct memmap map;
	int ipa_bits;

	memset(report, 0, sizeof(*report));
	if (smallest_machine(&map, err) || arch_host_open(&host, MACHINE_PLAIN, &map, NULL, err))
		return;
	ipa_bits = kvm_capability(host.kvm_fd, KVM_CAPABILITY_IPA_BITS);
	report->ipa_bits = ipa_bits ? (unsigned)ipa_bits : 40;
	report->max_vcpus = (unsigned)kvm_capability(host.kvm_fd, KVM_CAPABILITY_MAX_VCPUS);
	check_capabilities(host.kvm_fd, report);
	check_devices(host.kvm_fd, map.ipa_bits, report);
	arch_host_check_filter(host.kvm_fd, map.ipa_bits, &report->found[REPORT_SMCCC_FILTER]);
	offer_probe_cpu(host.kvm_fd, NULL, map.ipa_bits, &report->cpu);
	arch_host_close(&host);

	check_kind(MACHINE_EMULATED, &map, &report->found[REPORT_EMULATED]);
	check_realm(report, &map);
}
