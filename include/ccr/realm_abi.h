/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generations of KVM's realm interface, by the name of the patch series that each came with.
 * Documentation/host-requirements.md has what is known of them.
 */
#ifndef CCR_REALM_ABI_H
#define CCR_REALM_ABI_H

#include <stdbool.h>

#include "ccr/err.h"
#include "ccr/plan.h"

/** enum realm_attributes - who keeps the private/shared state of pages */
enum realm_attributes {
	REALM_ATTRIBUTES_VM,   /* the VM: KVM_SET_MEMORY_ATTRIBUTES */
	REALM_ATTRIBUTES_GMEM, /* each guest_memfd: KVM_SET_MEMORY_ATTRIBUTES2 */
};

/**
 * struct realm_abi - the interface of one host
 * @vm_type: bit of the VM type that asks for a realm
 * @cap: explicit family: the number KVM_ENABLE_CAP takes
 * @rec_feature: explicit family: vCPU feature bit that KVM_ARM_VCPU_INIT needs; 0 for none (v5)
 * @rec_finalize: explicit family: argument of KVM_ARM_VCPU_FINALIZE
 * @populate_v12: implicit families: the request is v12's
 * @commits_late: KVM commits the guest's change of RIPAS at the next KVM_RUN of the vCPU that asked
 *	for it, not before it tells us (v6 to v14)
 * @series: "v10": chosen by this name; NULL if the host was asked. Static.
 */
struct realm_abi {
	enum realm_family family;
	unsigned long vm_type;
	enum realm_attributes attributes;
	unsigned cap;
	unsigned rec_feature;
	unsigned rec_finalize;
	bool populate_v12;
	bool commits_late;
	const char *series;
};

/** REALM_ABI_AUTO - the name of no generation: ask the host */
#define REALM_ABI_AUTO "auto"

/** realm_abi_names - what realm_abi_from_name() takes but for ",cap=", for messages */
extern const char realm_abi_names[];

/**
 * realm_abi_from_name() - the interface of a series
 * @text: "v1" to "v16", of the explicit ones (up to v11) also with the capability's number where a
 *	kernel has moved it, as in "v10,cap=260"; or REALM_ABI_AUTO
 * @ret_abi: untouched on error; for REALM_ABI_AUTO all zero, so without a @series
 *
 * Return: 0, or -EINVAL with @err set.
 */
int realm_abi_from_name(const char *text, struct realm_abi *ret_abi, struct ccr_err *err);

/** realm_abi_rmm() - the RMM of an interface's time, which decides how the RIM is computed */
enum rmm_variant realm_abi_rmm(const struct realm_abi *abi);

/** realm_abi_describe() - one line for people. Return: @text. */
const char *realm_abi_describe(const struct realm_abi *abi, char text[128]);

#endif
