/* SPDX-License-Identifier: Apache-2.0 */
/* What this host can do, for `ccr-run check`; and for each "no" the cause and the way out. */
#ifndef CCR_REPORT_H
#define CCR_REPORT_H

#include <stdbool.h>

#include "ccr/err.h"
#include "ccr/realm_kvm.h"

/**
 * struct report - findings; an error record with code 0 means yes
 * @kvm: /dev/kvm can be used; everything below is meaningful only then
 * @ipa_bits, @max_vcpus: limits of plain VMs
 * @gic, @emulated, @realm: a GICv3; emulated realms; real realms
 * @abi, @realm_host: the realm interface and what it adds to a RIM; valid if @realm is yes.
 *	@realm_host.rmm is the variant to expect of the interface's time.
 */
struct report {
	struct ccr_err kvm;
	unsigned ipa_bits;
	unsigned max_vcpus;
	struct ccr_err gic;
	struct ccr_err emulated;
	struct ccr_err realm;
	bool has_guest_memfd;
	struct realm_abi abi;
	struct realm_host realm_host;
};

/** report_make() - look at the host; harmless, and everything opened is closed again */
void report_make(struct report *report);

#endif
