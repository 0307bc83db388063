/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <json-c/json.h>

#include "ccr/cli.h"
#include "ccr/facts.h"
#include "ccr/realm_host.h"
#include "ccr/report.h"
#include "internal.h"

/* Everything that there is a yes or no to, as programs and as people know it. */
static const struct {
	const char *json;
	const char *text;
	const char *yes;
} items[REPORT_NR] = {
	[REPORT_KVM] = {"kvm", "KVM", "yes"},
	[REPORT_GICV3] = {"gicv3", "GICv3", "yes"},
	[REPORT_ITS] = {"its", "ITS", "yes"},
	[REPORT_IRQFD] = {"irqfd", "irqfd", "yes"},
	[REPORT_IOEVENTFD] = {"ioeventfd", "ioeventfd", "yes"},
	[REPORT_SMCCC_FILTER] = {"smccc_filter", "SMCCC filter", "yes"},
	[REPORT_EMULATED] = {"emulated", "emulated realms", "yes (nothing is confidential)"},
	[REPORT_GUEST_MEMFD] = {"guest_memfd", "guest_memfd", "yes"},
	[REPORT_ATTRIBUTES] = {"memory_attributes", "memory attributes", "yes"},
	[REPORT_REALM] = {"realm", "realms", "yes"},
};

/* Vectors that SVE can have, in bits. */
#define NR_SVE_VLS  (FEATURES_MAX_SVE_BITS / FEATURES_SVE_UNIT)
#define SVE_VL_UNIT FEATURES_SVE_UNIT

#define NR_HASHES 2

/* For people. */

static void print_label(const char *label)
{
	printf("%s%-*s", label, (int)(20 - strlen(label)), label[0] ? ":" : "");
}

static void print_finding(const char *label, const struct ccr_err *err, const char *yes)
{
	print_label(label);
	if (err->code)
		printf("no: %s\n", err->msg);
	else
		printf("%s\n", yes);
}

/* Most machines have all lengths up to the longest. */
static void print_sve(unsigned vls)
{
	const bool all = (vls & (vls + 1)) == 0;
	unsigned nr = 0;

	printf("SVE with vectors of ");
	for (unsigned i = 0; i < NR_SVE_VLS; i++) {
		const bool last = vls >> i == 1;

		if (!(vls & 1u << i) || (all && nr > 0 && !last))
			continue;
		printf("%s%u", nr == 0 ? "" : all ? " to " : ", ", (i + 1) * SVE_VL_UNIT);
		nr++;
	}
	printf(" bits");
}

static void print_features(const char *label, uint32_t features)
{
	unsigned nr = 0;

	print_label(label);
	for (unsigned i = 0; i < NR_CPU_FEATURES; i++) {
		if (features & 1u << i)
			printf("%s%s", nr++ ? ", " : "", features_name((enum cpu_feature)i));
	}
	printf("%s\n", nr ? "" : "none");
}

/* @plain: what plain VMs have, if this is about realms: what they lack as well is not the RMM's */
static void print_cpu(const struct cpu_offer *cpu, const struct cpu_offer *plain)
{
	if (cpu->sve_vls)
		print_sve(cpu->sve_vls);
	else
		printf("no SVE (%s)", plain && plain->sve_vls
					      ? "the RMM or this KVM series gives realms none"
					      : "the CPU has none, or the kernel does not use it");
	printf("; ");
	if (cpu->has_pmu)
		printf("a PMU with %u counters\n", cpu->nr_counters);
	else
		printf("no PMU (%s)\n", plain && plain->has_pmu
						? "the RMM or this KVM series gives realms none"
						: "the kernel has no driver for the CPU's");
}

static void print_plain_cpu(const struct cpu_offer *cpu)
{
	print_label("their CPU");
	print_cpu(cpu, NULL);
	print_label("");
	printf("%u breakpoints, %u watchpoints\n", cpu->nr_breakpoints, cpu->nr_watchpoints);
	print_features("can be on or off", cpu->present & cpu->switchable);
	if (cpu->present & ~cpu->switchable)
		print_features("always on", cpu->present & ~cpu->switchable);
}

static void print_offer(const struct realm_offer *offer, const struct cpu_offer *plain)
{
	print_label("a realm could have");
	print_cpu(&offer->cpu, plain);
	print_features("always on", offer->cpu.present);
	print_label("its measurements");
	for (unsigned algo = 0, nr = 0; algo < NR_HASHES; algo++) {
		if (offer->hashes & 1u << algo)
			printf("%s%s", nr++ ? ", " : "", hash_name((enum hash_algo)algo));
	}
	printf("\n");
}

static void print_realm(const struct report *report)
{
	const struct realm_host *host = &report->realm_host;

	print_label("a realm gets");
	printf("up to %u bits of guest address, up to %u breakpoints and %u watchpoints\n",
	       host->max_ipa_bits, host->num_bps + 1, host->num_wps + 1);
	print_offer(&report->offer, &report->cpu);
}

static void print_kvm(const struct report *report)
{
	char text[160], abi[128];

	for (enum report_item i = 0; i < REPORT_NR; i++) {
		const char *yes = items[i].yes;

		if (i == REPORT_REALM) {
			snprintf(text, sizeof(text), "yes: %s",
				 realm_abi_describe(&report->abi, abi));
			yes = text;
		}
		print_finding(items[i].text, &report->found[i], yes);
		if (i == REPORT_KVM && report->found[i].code)
			return;
		if (i == REPORT_KVM) {
			print_label("plain VMs");
			printf("up to %u vCPUs, %u bits of guest address\n", report->max_vcpus,
			       report->ipa_bits);
			print_plain_cpu(&report->cpu);
		}
	}
	if (report->found[REPORT_REALM].code == 0)
		print_realm(report);
}

/* A size of pages, which are powers of 1024 bytes times a small number. */
static void print_size(uint64_t kib)
{
	static const char *const units[] = {"KiB", "MiB", "GiB"};
	unsigned unit = 0;

	while (kib >= 1024 && kib % 1024 == 0 && unit < 2) {
		kib /= 1024;
		unit++;
	}
	printf("%llu %s", (unsigned long long)kib, units[unit]);
}

static void print_thp(const struct facts *facts)
{
	print_label("huge pages");
	if (!facts->thp[0]) {
		printf("no: build the kernel with CONFIG_TRANSPARENT_HUGEPAGE\n");
		return;
	}
	printf("%s; for memory that back ends share: %s\n", facts->thp,
	       facts->shmem_thp[0] ? facts->shmem_thp : "no, which a newer kernel can");
	if (!strcmp(facts->shmem_thp, "never")) {
		print_label("");
		printf("`echo within_size > /sys/kernel/mm/transparent_hugepage/shmem_enabled` "
		       "allows them there\n");
	}
}

static void print_pools(const struct facts *facts)
{
	unsigned nr = 0;

	print_label("huge page pools");
	for (unsigned i = 0; i < facts->nr_pools; i++) {
		const struct facts_pool *pool = &facts->pools[i];

		if (pool->nr == 0)
			continue;
		printf("%s%llu free of %llu of ", nr++ ? ", " : "",
		       (unsigned long long)pool->nr_free, (unsigned long long)pool->nr);
		print_size(pool->page_kib);
	}
	printf("%s\n", nr ? "" : "empty; nothing here needs them");
}

static void print_limit(const char *name, uint64_t limit)
{
	if (limit == FACTS_NO_LIMIT)
		printf("; %s without limit", name);
	else
		printf("; %s up to %llu", name, (unsigned long long)limit);
}

/* Name spaces as programs, as people and as the kernel's settings know them. */
static const struct {
	const char *json, *text;
} spaces[FACTS_NR_SPACES] = {
	[FACTS_SPACE_MOUNT] = {"mount", "mounts"},
	[FACTS_SPACE_NETWORK] = {"network", "network"},
	[FACTS_SPACE_IPC] = {"ipc", "IPC"},
	[FACTS_SPACE_UTS] = {"uts", "host name"},
	[FACTS_SPACE_CGROUP] = {"cgroup", "control groups"},
	[FACTS_SPACE_PID] = {"pid", "processes"},
};

/* Most hosts allow all of them or none. */
static void print_spaces(const struct facts *facts)
{
	unsigned nr = 0;

	print_label("name spaces of");
	for (enum facts_space i = 0; i < FACTS_NR_SPACES; i++) {
		if (facts->spaces[i].code == 0)
			printf("%s%s", nr++ ? ", " : "", spaces[i].text);
	}
	printf("%s\n", nr ? "" : "nothing");
	for (enum facts_space i = 0; i < FACTS_NR_SPACES; i++) {
		if (facts->spaces[i].code == 0)
			continue;
		print_label("");
		printf("not of %s: %s\n", spaces[i].text, facts->spaces[i].msg);
	}
}

static void print_yama(int mode)
{
	static const char *const modes[] = {
		"0: processes of a user may trace each other",
		"1: processes may trace their children",
		"2: only administrators may trace",
		"3: nobody may trace",
	};

	print_label("Yama");
	printf("%s; no user may trace a machine's process\n",
	       mode == FACTS_NO_YAMA ? "no: processes of a user may trace each other"
				     : modes[mode]);
}

/* What `run` makes of all that. */
static void print_confinement(const struct facts *facts)
{
	const bool has_root = facts->spaces[FACTS_SPACE_MOUNT].code == 0;
	const bool has_network = facts->spaces[FACTS_SPACE_NETWORK].code == 0;

	print_label("a machine gets");
	if (facts->seccomp.code) {
		printf("no confinement, and needs --sandbox=off\n");
		return;
	}
	printf("system call filters, %s, %s%s, no capabilities\n",
	       has_root ? "an empty root directory" : "no root directory of its own",
	       has_network ? "no network" : "the host's network",
	       facts->landlock.code ? "" : ", Landlock");
}

/* Landlock lets files be moved between directories since version 2. */
#define LANDLOCK_MOVES 2

/* And of the brokers: that of a directory (--9p), and that of sockets. */
static void print_brokers(const struct facts *facts)
{
	print_label("a 9p broker opens");
	if (facts->encloses_shares)
		printf("what is in its directory, and nothing else is there for it\n");
	else if (facts->landlock_abi >= LANDLOCK_MOVES)
		printf("what is in its directory; without a root directory of its own it sees what "
		       "else there is\n");
	else
		printf("what you may open: Landlock, from Linux 5.19 on, would keep it in its "
		       "directory\n");
	print_label("another reaches");
	printf("%s\n", facts->encloses ? "sockets in the directories of those that it is for"
				       : "any socket that you may, without a root directory of its "
					 "own");
}

static void print_facts(const struct facts *facts)
{
	char text[64];

	print_thp(facts);
	print_pools(facts);
	print_finding("vhost-net", &facts->vhost_net, "yes");
	print_finding("vhost-vsock", &facts->vhost_vsock, "yes");
	print_confinement(facts);
	print_brokers(facts);
	print_finding("user namespaces", &facts->user_ns, "yes");
	print_spaces(facts);
	print_finding("seccomp filters", &facts->seccomp, "yes");
	snprintf(text, sizeof(text), "yes, version %u of its interface", facts->landlock_abi);
	print_finding("Landlock", &facts->landlock, text);
	print_label("no_new_privs");
	printf("%s\n", facts->no_new_privs ? "yes, already set" : "yes, not set yet");
	print_yama(facts->yama);
	print_label("locked memory");
	if (facts->memlock == FACTS_NO_LIMIT)
		printf("without limit; none is locked\n");
	else
		printf("up to %llu bytes; none is locked\n", (unsigned long long)facts->memlock);
	if (facts->cgroup.code) {
		print_finding("control groups", &facts->cgroup, "");
		return;
	}
	print_label("control groups");
	printf("yes");
	print_limit("bytes", facts->memory_max);
	print_limit("tasks", facts->pids_max);
	printf("\n");
}

/* For programs. */

static void add_number(struct json_object *object, const char *name, uint64_t number)
{
	json_object_object_add(object, name, json_object_new_uint64(number));
}

static void add_text(struct json_object *object, const char *name, const char *text)
{
	json_object_object_add(object, name, json_object_new_string(text));
}

/* Return: the finding's object, for more. */
static struct json_object *add_finding(struct json_object *object, const char *name,
				       const struct ccr_err *err)
{
	struct json_object *finding = json_object_new_object();

	json_object_object_add(finding, "ok", json_object_new_boolean(err->code == 0));
	if (err->code) {
		add_text(finding, "error", err_name(err->code));
		add_text(finding, "why", err->msg);
	}
	json_object_object_add(object, name, finding);
	return finding;
}

static struct json_object *features_json(uint32_t features)
{
	struct json_object *names = json_object_new_array();

	for (unsigned i = 0; i < NR_CPU_FEATURES; i++) {
		if (features & 1u << i)
			json_object_array_add(
				names, json_object_new_string(features_name((enum cpu_feature)i)));
	}
	return names;
}

static struct json_object *cpu_json(const struct cpu_offer *cpu)
{
	struct json_object *object = json_object_new_object();
	struct json_object *bits = json_object_new_array();

	for (unsigned i = 0; i < NR_SVE_VLS; i++) {
		if (cpu->sve_vls & 1u << i)
			json_object_array_add(bits,
					      json_object_new_int((int)((i + 1) * SVE_VL_UNIT)));
	}
	json_object_object_add(object, "sve_bits", bits);
	json_object_object_add(object, "pmu", json_object_new_boolean(cpu->has_pmu));
	add_number(object, "pmu_counters", cpu->nr_counters);
	add_number(object, "breakpoints", cpu->nr_breakpoints);
	add_number(object, "watchpoints", cpu->nr_watchpoints);
	json_object_object_add(object, "features", features_json(cpu->present));
	json_object_object_add(object, "switchable", features_json(cpu->switchable));
	return object;
}

static struct json_object *offer_json(const struct realm_offer *offer)
{
	struct json_object *object = cpu_json(&offer->cpu);
	struct json_object *hashes = json_object_new_array();

	for (unsigned algo = 0; algo < NR_HASHES; algo++) {
		if (offer->hashes & 1u << algo)
			json_object_array_add(
				hashes, json_object_new_string(hash_name((enum hash_algo)algo)));
	}
	json_object_object_add(object, "hashes", hashes);
	return object;
}

static void add_kvm(struct json_object *object, const struct report *report)
{
	for (enum report_item i = 0; i < REPORT_NR; i++) {
		add_finding(object, items[i].json, &report->found[i]);
		if (report->found[REPORT_KVM].code)
			return;
	}
	add_number(object, "max_vcpus", report->max_vcpus);
	add_number(object, "ipa_bits", report->ipa_bits);
	json_object_object_add(object, "cpu_offer", cpu_json(&report->cpu));
	if (report->found[REPORT_REALM].code)
		return;
	json_object_object_add(object, REALM_HOST_MEMBER, realm_host_to_json(&report->realm_host));
	json_object_object_add(object, "realm_offer", offer_json(&report->offer));
}

static struct json_object *pools_json(const struct facts *facts)
{
	struct json_object *pools = json_object_new_array();

	for (unsigned i = 0; i < facts->nr_pools; i++) {
		struct json_object *pool = json_object_new_object();

		add_number(pool, "page_kib", facts->pools[i].page_kib);
		add_number(pool, "total", facts->pools[i].nr);
		add_number(pool, "free", facts->pools[i].nr_free);
		json_object_array_add(pools, pool);
	}
	return pools;
}

static void add_facts(struct json_object *object, const struct facts *facts)
{
	struct json_object *huge = json_object_new_object();
	struct json_object *vhost = json_object_new_object();
	struct json_object *confinement = json_object_new_object();
	struct json_object *found = json_object_new_object();
	struct json_object *finding;

	add_text(huge, "transparent", facts->thp);
	add_text(huge, "transparent_shmem", facts->shmem_thp);
	json_object_object_add(huge, "pools", pools_json(facts));
	json_object_object_add(object, "huge_pages", huge);

	add_finding(vhost, "net", &facts->vhost_net);
	add_finding(vhost, "vsock", &facts->vhost_vsock);
	json_object_object_add(object, "vhost", vhost);

	add_finding(confinement, "user_namespaces", &facts->user_ns);
	for (enum facts_space i = 0; i < FACTS_NR_SPACES; i++)
		add_finding(found, spaces[i].json, &facts->spaces[i]);
	json_object_object_add(confinement, "namespaces", found);
	add_finding(confinement, "seccomp", &facts->seccomp);
	finding = add_finding(confinement, "landlock", &facts->landlock);
	if (facts->landlock.code == 0)
		add_number(finding, "version", facts->landlock_abi);
	json_object_object_add(confinement, "no_new_privs",
			       json_object_new_boolean(facts->no_new_privs));
	if (facts->yama != FACTS_NO_YAMA)
		add_number(confinement, "yama", (uint64_t)facts->yama);
	if (facts->memlock != FACTS_NO_LIMIT)
		add_number(confinement, "memlock_max", facts->memlock);
	finding = add_finding(confinement, "cgroup", &facts->cgroup);
	if (facts->memory_max != FACTS_NO_LIMIT)
		add_number(finding, "memory_max", facts->memory_max);
	if (facts->pids_max != FACTS_NO_LIMIT)
		add_number(finding, "pids_max", facts->pids_max);
	json_object_object_add(object, "confinement", confinement);
}

static void print_json(const struct report *report, const struct facts *facts)
{
	struct json_object *object = json_object_new_object();

	add_kvm(object, report);
	add_facts(object, facts);
	printf("%s\n", json_object_to_json_string_ext(
			       object, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

enum cli_status cli_check(const struct cli_options *options, struct ccr_err *err)
{
	struct report report = {0};
	struct facts_answers answers;
	struct facts facts;

#ifdef __aarch64__
	report_make(&report);
#else
	err_set(&report.found[REPORT_KVM], -EOPNOTSUPP,
		"this machine is not arm64: `make run` boots an arm64 host in QEMU");
#endif
	facts_ask(&answers);
	facts_read("", &answers, &facts);
	if (options->json) {
		print_json(&report, &facts);
	} else {
		print_kvm(&report);
		print_facts(&facts);
	}
	return cli_flush(err);
}
