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

static void check_gic(int kvm_fd, unsigned ipa_bits, struct ccr_err *err)
{
	const int vm_fd = kvm_vm_create(kvm_fd, ipa_bits);
	int gic_fd;

	if (vm_fd < 0) {
		err_set(err, vm_fd, "KVM: cannot create a VM: %s", strerror(-vm_fd));
		return;
	}
	gic_fd = kvm_vm_create_device(vm_fd, KVM_DEV_TYPE_ARM_VGIC_V3);
	if (gic_fd < 0)
		err_set(err, gic_fd, "KVM: no GICv3 for guests: %s", strerror(-gic_fd));
	kvm_sys_close(gic_fd);
	kvm_sys_close(vm_fd);
}

/* A realm VM with one vCPU, never started, to read what the host puts into its ID registers. */
static void look_at_realm(struct report *report, const struct arch_host *host,
			  const struct memmap *map)
{
	struct arch_vm vm = {.fd = -1, .gmem_fd = -1, .gic_fd = -1, .its_fd = -1};
	struct arch_vcpu vcpu = {.fd = -1};
	struct gmem *gmem = NULL;
	struct realm_kvm realm;
	int ret = gmem_create(&gmem, GMEM_REALM, ipa_at(MEMMAP_RAM_BASE), map->ram_size,
			      map->shared_bit, &report->realm);

	if (!ret)
		ret = arch_vm_create(&vm, host, MACHINE_REALM, map, gmem, &report->realm);
	if (!ret)
		ret = arch_vcpu_create(&vcpu, &vm, host, 0, &report->realm);
	if (!ret) {
		if (realm_kvm_init(&realm, &host->abi, &vm, &vcpu, 1, gmem))
			err_set(&report->realm, -ENOMEM, "out of memory");
		else
			realm_kvm_host(&realm, &report->realm_host, &report->realm);
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

	if (arch_host_open(&host, MACHINE_REALM, map, NULL, &report->realm))
		return;
	report->abi = host.abi;
	look_at_realm(report, &host, map);
	arch_host_close(&host);
}

void report_make(struct report *report)
{
	struct arch_host host;
	struct memmap map;
	int ipa_bits;

	memset(report, 0, sizeof(*report));
	if (smallest_machine(&map, &report->kvm) ||
	    arch_host_open(&host, MACHINE_PLAIN, &map, NULL, &report->kvm))
		return;
	ipa_bits = kvm_capability(host.kvm_fd, KVM_CAPABILITY_IPA_BITS);
	report->ipa_bits = ipa_bits ? (unsigned)ipa_bits : 40;
	report->max_vcpus = (unsigned)kvm_capability(host.kvm_fd, KVM_CAPABILITY_MAX_VCPUS);
	report->has_guest_memfd = kvm_sys_ioctl(host.kvm_fd, KVM_CHECK_EXTENSION,
						(void *)(long)KVM_REALM_CAP_GUEST_MEMFD) > 0;
	check_gic(host.kvm_fd, map.ipa_bits, &report->gic);
	arch_host_close(&host);

	check_kind(MACHINE_EMULATED, &map, &report->emulated);
	check_realm(report, &map);
}
