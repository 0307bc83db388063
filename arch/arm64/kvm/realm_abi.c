/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ccr/parse.h"
#include "ccr/realm_abi.h"
#include "uapi/kvm_realm.h"

#define V1   KVM_REALM_VM_TYPE_V1
#define V14  KVM_REALM_VM_TYPE_V14
#define VM   REALM_ATTRIBUTES_VM
#define GMEM REALM_ATTRIBUTES_GMEM

/* Up to v5 the REC feature is known to FINALIZE only, and a change of RIPAS is done when told. */
static const struct realm_abi generations[] = {
	{REALM_FAMILY_EXPLICIT, V1, VM, 300, 0, 8, false, false, "v1"},
	{REALM_FAMILY_EXPLICIT, V1, VM, 300, 0, 8, false, false, "v2"},
	{REALM_FAMILY_EXPLICIT, V1, VM, 300, 0, 8, false, false, "v3"},
	{REALM_FAMILY_EXPLICIT, V1, VM, 300, 0, 8, false, false, "v4"},
	{REALM_FAMILY_EXPLICIT, V1, VM, 300, 0, 8, false, false, "v5"},
	{REALM_FAMILY_EXPLICIT, V1, VM, 300, 8, 8, false, true, "v6"},
	{REALM_FAMILY_EXPLICIT, V1, VM, 300, 8, 8, false, true, "v7"},
	{REALM_FAMILY_EXPLICIT, V1, VM, 240, 8, 8, false, true, "v8"},
	{REALM_FAMILY_EXPLICIT, V1, VM, 243, 9, 9, false, true, "v9"},
	{REALM_FAMILY_EXPLICIT, V1, VM, 244, 9, 9, false, true, "v10"},
	{REALM_FAMILY_EXPLICIT, V1, VM, 245, 9, 9, false, true, "v11"},
	{REALM_FAMILY_IMPLICIT, V1, VM, 0, 0, 0, true, true, "v12"},
	{REALM_FAMILY_IMPLICIT, V1, VM, 0, 0, 0, false, true, "v13"},
	{REALM_FAMILY_IMPLICIT, V14, VM, 0, 0, 0, false, true, "v14"},
	{REALM_FAMILY_IMPLICIT_GMEM, V14, GMEM, 0, 0, 0, false, false, "v15"},
	{REALM_FAMILY_IMPLICIT_GMEM, V14, GMEM, 0, 0, 0, false, false, "v16"},
};

#define NR_GENERATIONS (sizeof(generations) / sizeof(generations[0]))

const char realm_abi_names[] = "auto, or v1 to v16";

static const struct realm_abi *find(const char *name, size_t size)
{
	for (size_t i = 0; i < NR_GENERATIONS; i++) {
		if (strlen(generations[i].series) == size &&
		    memcmp(generations[i].series, name, size) == 0)
			return &generations[i];
	}
	return NULL;
}

/* What is behind the name: nothing, or ",cap=N". */
static int parse_rest(const char *text, const char *rest, struct realm_abi *abi,
		      struct ccr_err *err)
{
	static const char key[] = ",cap=";
	uint64_t number;

	if (*rest == '\0')
		return 0;
	if (strncmp(rest, key, sizeof(key) - 1) != 0 ||
	    parse_u64(rest + sizeof(key) - 1, &number) || number == 0 || number > UINT16_MAX)
		return err_set(err, -EINVAL,
			       "--realm-abi %s: behind the series there can only be ,cap= and the "
			       "capability's number, 1 to %u",
			       text, UINT16_MAX);
	if (abi->family != REALM_FAMILY_EXPLICIT)
		return err_set(err, -EINVAL,
			       "--realm-abi %s: series %s needs no capability; leave ,cap= out",
			       text, abi->series);
	abi->cap = (unsigned)number;
	return 0;
}

int realm_abi_from_name(const char *text, struct realm_abi *ret_abi, struct ccr_err *err)
{
	const size_t size = strcspn(text, ",");
	const struct realm_abi *named = find(text, size);
	struct realm_abi abi = {0};
	int ret = 0;

	if (named) {
		abi = *named;
		ret = parse_rest(text, text + size, &abi, err);
	} else if (strcmp(text, REALM_ABI_AUTO) != 0) {
		ret = err_set(err, -EINVAL, "--realm-abi %s: not the name of a series: %s", text,
			      realm_abi_names);
	}
	if (!ret)
		*ret_abi = abi;
	return ret;
}

/* RMM 2.0 came with v13. */
enum rmm_variant realm_abi_rmm(const struct realm_abi *abi)
{
	return abi->family == REALM_FAMILY_EXPLICIT || abi->populate_v12 ? RMM_1_0 : RMM_2_0_TFRMM;
}

const char *realm_abi_describe(const struct realm_abi *abi, char text[128])
{
	if (abi->family == REALM_FAMILY_EXPLICIT)
		snprintf(text, 128, "explicit life-cycle (series v1 to v11), capability %u, %s",
			 abi->cap,
			 abi->rec_feature == 9   ? "REC feature 9 (v9 on)"
			 : abi->rec_feature == 8 ? "REC feature 8 (v6 to v8)"
						 : "no REC feature (up to v5)");
	else
		snprintf(text, 128, "implicit life-cycle (%s), attributes of the %s",
			 abi->family == REALM_FAMILY_IMPLICIT_GMEM ? "series v15 on"
			 : abi->vm_type == KVM_REALM_VM_TYPE_V14   ? "series v14"
			 : abi->populate_v12                       ? "series v12"
								   : "series v13",
			 abi->attributes == REALM_ATTRIBUTES_VM ? "VM" : "guest_memfd");
	return text;
}
