/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/stat.h>

#include "ccr/arch.h"
#include "ccr/facts.h"
#include "uapi/kvm_realm.h"

#define KVM_PATH "/dev/kvm"

/* Who may use it, and how to become one of them. */
static int denied(struct ccr_err *err)
{
	struct stat st = {0};
	char group[33];

	if (stat(KVM_PATH, &st) < 0 || (st.st_mode & 0060) != 0060)
		return err_set(err, -EACCES,
			       KVM_PATH
			       ": permission denied, and no group may use it: run as root, "
			       "or let group kvm use it (`chgrp kvm " KVM_PATH
			       " && chmod 660 " KVM_PATH "`)");
	facts_group_name("", st.st_gid, group);
	return err_set(err, -EACCES,
		       KVM_PATH ": permission denied: it is for group %s; join it (`sudo usermod "
				"-aG %s $USER`, then log in anew), or run as root",
		       group, group);
}

static int open_kvm(struct ccr_err *err)
{
	const int fd = kvm_sys_open(KVM_PATH);

	if (fd == -ENOENT)
		return err_set(err, fd,
			       "no " KVM_PATH
			       ": this kernel has no KVM, or runs at EL1 without it; "
			       "a machine (or an emulated one) with EL2 is needed");
	if (fd == -EACCES || fd == -EPERM)
		return denied(err);
	if (fd < 0)
		return err_set(err, fd, KVM_PATH ": cannot open: %s", strerror(-fd));
	return fd;
}

/* The filter is an attribute of a VM, so a throw-away one has to be asked. */
int arch_host_check_filter(int kvm_fd, unsigned ipa_bits, struct ccr_err *err)
{
	const int vm_fd = kvm_vm_create(kvm_fd, ipa_bits);
	int ret;

	if (vm_fd < 0)
		return err_set(err, vm_fd, "KVM: cannot create a VM: %s", strerror(-vm_fd));
	ret = kvm_has_attr(vm_fd, KVM_REALM_VM_SMCCC_CTRL, KVM_REALM_VM_SMCCC_FILTER);
	kvm_sys_close(vm_fd);
	if (ret)
		return err_set(err, -EOPNOTSUPP,
			       "KVM: this kernel cannot forward SMC calls (SMCCC filter), which "
			       "an emulated realm needs: use Linux 6.4 or newer on the host");
	return 0;
}

static int check(const struct arch_host *host, const struct memmap *map, struct ccr_err *err)
{
	const int version = kvm_api_version(host->kvm_fd);
	const int max_vcpus = kvm_capability(host->kvm_fd, KVM_CAPABILITY_MAX_VCPUS);
	int ipa_bits = kvm_capability(host->kvm_fd, KVM_CAPABILITY_IPA_BITS);

	if (version < 0)
		return err_set(err, version, "KVM: cannot read the API version: %s",
			       strerror(-version));
	if (version != KVM_API_VERSION)
		return err_set(err, -EOPNOTSUPP, "KVM: API version %d where %d is needed", version,
			       KVM_API_VERSION);
	if (!kvm_capability(host->kvm_fd, KVM_CAPABILITY_IMMEDIATE_EXIT) ||
	    !kvm_capability(host->kvm_fd, KVM_CAPABILITY_INJECT_DABT))
		return err_set(err, -EOPNOTSUPP,
			       "KVM: this kernel is too old (it cannot inject external aborts): "
			       "use Linux 5.5 or newer on the host");
	if ((unsigned)max_vcpus < map->nr_vcpus)
		return err_set(err, -E2BIG, "--cpus %u: this host's KVM allows %d vCPUs at most",
			       map->nr_vcpus, max_vcpus);
	if (ipa_bits == 0)
		ipa_bits = 40;
	if ((unsigned)ipa_bits < map->ipa_bits)
		return err_set(err, -E2BIG,
			       "--mem %lluM needs %u bits of guest address, this host has %d: use "
			       "less memory",
			       (unsigned long long)(map->ram_size >> 20), map->ipa_bits, ipa_bits);
	return 0;
}

static int find_abi(struct arch_host *host, unsigned ipa_bits, const struct realm_abi *chosen,
		    struct ccr_err *err)
{
	if (!chosen || !chosen->series)
		return realm_probe(host->kvm_fd, ipa_bits, &host->abi, err);
	host->abi = *chosen;
	return realm_abi_check(host->kvm_fd, ipa_bits, chosen, err);
}

static int check_kind(struct arch_host *host, enum machine_kind kind, const struct memmap *map,
		      const struct realm_abi *chosen, struct ccr_err *err)
{
	switch (kind) {
	case MACHINE_EMULATED:
		return arch_host_check_filter(host->kvm_fd, map->ipa_bits, err);
	case MACHINE_REALM:
		return find_abi(host, map->ipa_bits, chosen, err);
	case MACHINE_PLAIN:
		break;
	}
	return 0;
}

int arch_host_open(struct arch_host *host, enum machine_kind kind, const struct memmap *map,
		   const struct realm_abi *chosen, struct ccr_err *err)
{
	int ret;

	host->kvm_fd = open_kvm(err);
	if (host->kvm_fd < 0)
		return host->kvm_fd;
	ret = check(host, map, err);
	if (!ret)
		ret = check_kind(host, kind, map, chosen, err);
	if (!ret) {
		host->run_size = kvm_run_size(host->kvm_fd);
		if (host->run_size < 0)
			ret = err_set(err, host->run_size,
				      "KVM: cannot read the size of the vCPU page: %s",
				      strerror(-host->run_size));
		else if (host->run_size < (int)sizeof(struct kvm_run))
			ret = err_set(err, -EOPNOTSUPP, "KVM: vCPU page of %d bytes is too small",
				      host->run_size);
	}
	if (ret)
		arch_host_close(host);
	return ret;
}

void arch_host_close(struct arch_host *host)
{
	kvm_sys_close(host->kvm_fd);
	host->kvm_fd = -1;
}
