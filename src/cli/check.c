/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <json-c/json.h>

#include "ccr/cli.h"
#include "ccr/realm_host.h"
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
		printf("%-18s up to %u bits of guest address, %u breakpoints, %u watchpoints, "
		       "no PMU, no SVE\n",
		       "a realm gets:", report->realm_host.max_ipa_bits,
		       report->realm_host.num_bps + 1, report->realm_host.num_wps + 1);
}

static void add_finding(struct json_object *object, const char *name, const struct ccr_err *err)
{
	struct json_object *finding = json_object_new_object();

	json_object_object_add(finding, "ok", json_object_new_boolean(err->code == 0));
	if (err->code) {
		json_object_object_add(finding, "error",
				       json_object_new_string(err_name(err->code)));
		json_object_object_add(finding, "why", json_object_new_string(err->msg));
	}
	json_object_object_add(object, name, finding);
}

static void add_limits(struct json_object *object, const struct report *report)
{
	json_object_object_add(object, "max_vcpus", json_object_new_int((int)report->max_vcpus));
	json_object_object_add(object, "ipa_bits", json_object_new_int((int)report->ipa_bits));
	json_object_object_add(object, "guest_memfd",
			       json_object_new_boolean(report->has_guest_memfd));
}

static void print_json(const struct report *report)
{
	struct json_object *object = json_object_new_object();

	add_finding(object, "kvm", &report->kvm);
	if (report->kvm.code == 0) {
		add_finding(object, "gicv3", &report->gic);
		add_finding(object, "emulated", &report->emulated);
		add_finding(object, "realm", &report->realm);
		add_limits(object, report);
		if (report->realm.code == 0)
			json_object_object_add(object, REALM_HOST_MEMBER,
					       realm_host_to_json(&report->realm_host));
	}
	printf("%s\n", json_object_to_json_string_ext(
			       object, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
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
