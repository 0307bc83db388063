/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "ccr/cli.h"
#include "ccr/report.h"
#include "internal.h"

static void print_line(const char *what, const struct ccr_err *err, const char *yes)
{
	printf("%-18s %s\n", what, err->code ? err->msg : yes);
}

static void print_text(const struct report *report)
{
	char text[160], abi[128];

	print_line("KVM:", &report->kvm, "yes");
	if (report->kvm.code)
		return;
	printf("%-18s up to %u vCPUs, %u bits of guest address\n", "plain VMs:", report->max_vcpus,
	       report->ipa_bits);
	print_line("GICv3:", &report->gic, "yes");
	print_line("emulated realms:", &report->emulated, "yes (nothing is confidential)");
	snprintf(text, sizeof(text), "yes: %s", realm_abi_describe(&report->abi, abi));
	print_line("realms:", &report->realm, text);
	printf("%-18s %s\n", "guest_memfd:", report->has_guest_memfd ? "yes" : "no");
	if (report->realm.code == 0)
		printf("%-18s %u breakpoints, %u watchpoints, no PMU, no SVE\n",
		       "a realm gets:", report->realm_host.num_bps + 1,
		       report->realm_host.num_wps + 1);
}

/* Messages hold no control characters; quotes and backslashes are what is left to escape. */
static void print_json_error(const char *name, const struct ccr_err *err)
{
	if (err->code == 0) {
		printf("\"%s\": {\"ok\": true}", name);
		return;
	}
	printf("\"%s\": {\"ok\": false, \"error\": \"%s\", \"why\": \"", name, err_name(err->code));
	for (const char *c = err->msg; *c; c++)
		printf(*c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	printf("\"}");
}

static void print_json(const struct report *report)
{
	const struct realm_host *host = &report->realm_host;

	printf("{");
	print_json_error("kvm", &report->kvm);
	if (report->kvm.code) {
		printf("}\n");
		return;
	}
	printf(", ");
	print_json_error("gicv3", &report->gic);
	printf(", ");
	print_json_error("emulated", &report->emulated);
	printf(", ");
	print_json_error("realm", &report->realm);
	printf(", \"max_vcpus\": %u, \"ipa_bits\": %u, \"guest_memfd\": %s", report->max_vcpus,
	       report->ipa_bits, report->has_guest_memfd ? "true" : "false");
	if (report->realm.code == 0)
		printf(", \"realm_abi\": \"%s\", \"num_bps\": %u, \"num_wps\": %u, \"pmu\": %s, "
		       "\"sve\": %s",
		       realm_abi_family_name(report->abi.family), host->num_bps, host->num_wps,
		       host->pmu ? "true" : "false", host->sve ? "true" : "false");
	printf("}\n");
}

enum cli_status cli_check(const struct cli_options *options, struct ccr_err *err)
{
	struct report report = {0};

#ifdef __aarch64__
	report_make(&report);
#else
	err_set(&report.kvm, -EOPNOTSUPP,
		"this machine is not arm64: `make run` boots an arm64 host in QEMU");
#endif
	if (options->json)
		print_json(&report);
	else
		print_text(&report);
	return cli_flush(err);
}
