/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "ccr/plan.h"

/* For messages. */
#define HEX(value) ((unsigned long long)(value))

/*
 * What an interface family lets a VMM choose. A choice that is missing is refused, never ignored:
 * the owner would get another realm than the one asked for.
 */
struct family {
	const char *name;
	bool has_rpv;
	bool has_hashes; /* any that the RMM has; else SHA-256 alone */
	bool ripas_last; /* KVM sets RIPAS itself, after the RECs, at the first KVM_RUN */
};

static const struct family families[NR_REALM_FAMILIES] = {
	[REALM_FAMILY_EXPLICIT] = {"explicit", true, true, false},
	[REALM_FAMILY_IMPLICIT] = {"implicit", false, false, true},
	[REALM_FAMILY_IMPLICIT_GMEM] = {"implicit-gmem", false, false, true},
};

static const char *const rmm_names[NR_RMM_VARIANTS] = {
	[RMM_1_0] = "1.0",
	[RMM_2_0_TFRMM] = "2.0-tfrmm",
	[RMM_2_0_SPEC] = "2.0-spec",
};

const char *plan_rmm_name(enum rmm_variant rmm)
{
	return rmm_names[rmm];
}

int plan_rmm_from_name(const char *name, enum rmm_variant *ret_rmm)
{
	for (unsigned i = 0; i < NR_RMM_VARIANTS; i++) {
		if (!strcmp(name, rmm_names[i])) {
			*ret_rmm = (enum rmm_variant)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *plan_family_name(enum realm_family family)
{
	return families[family].name;
}

int plan_family_from_name(const char *name, enum realm_family *ret_family)
{
	for (unsigned i = 0; i < NR_REALM_FAMILIES; i++) {
		if (!strcmp(name, families[i].name)) {
			*ret_family = (enum realm_family)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* A number of the host that goes into RmiRealmParams as it is. */
static int check_host_number(const char *what, unsigned value, unsigned max, struct ccr_err *err)
{
	if (value > max)
		return err_set(err, -EINVAL, "host description: %s is %u, it can be 0 to %u", what,
			       value, max);
	return 0;
}

static int check_host(const struct realm_host *host, struct ccr_err *err)
{
	int ret;

	if ((unsigned)host->family >= NR_REALM_FAMILIES)
		return err_set(err, -EINVAL, "host description: no interface family has number %u",
			       (unsigned)host->family);
	if ((unsigned)host->rmm >= NR_RMM_VARIANTS)
		return err_set(err, -EINVAL, "host description: no RMM variant has number %u",
			       (unsigned)host->rmm);
	ret = check_host_number("number of breakpoints minus 1", host->num_bps, 63, err);
	if (!ret)
		ret = check_host_number("number of watchpoints minus 1", host->num_wps, 63, err);
	if (!ret)
		ret = check_host_number("number of PMU counters", host->pmu_num_ctrs, 31, err);
	if (!ret)
		ret = check_host_number("SVE vector length code", host->sve_vl, 15, err);
	return ret;
}

int plan_check_params(const struct plan *plan, const struct realm_host *host, struct ccr_err *err)
{
	const int ret = check_host(host, err);

	if (ret)
		return ret;
	if (hash_size(plan->hash_algo) == 0)
		return err_set(err, -EINVAL, "realm: no hash algorithm has number %u",
			       (unsigned)plan->hash_algo);
	if (plan->hash_algo == HASH_SHA384 && host->rmm == RMM_1_0)
		return err_set(err, -EOPNOTSUPP,
			       "realm: an RMM 1.0 has no sha-384; choose sha-256 or sha-512");
	if (plan->ipa_bits < 33 || plan->ipa_bits > 52)
		return err_set(err, -EINVAL,
			       "realm: the IPA space has %u bits, it can have 33 to 52",
			       plan->ipa_bits);
	if (host->max_ipa_bits > 0 && plan->ipa_bits > host->max_ipa_bits)
		return err_set(err, -EINVAL,
			       "realm: this much RAM needs an IPA space of %u bits, and this "
			       "host's realms can have %u; choose less RAM",
			       plan->ipa_bits, host->max_ipa_bits);
	if (plan->ipa_bits > 48 && !host->lpa2)
		return err_set(
			err, -EINVAL,
			"realm: an IPA space of %u bits needs LPA2, which this host does not "
			"give to realms; choose 48 bits or fewer",
			plan->ipa_bits);
	return 0;
}

/* Whole 2 MiB blocks, and an end that can be computed. */
static int check_ram(const struct plan *plan, struct ccr_err *err)
{
	if (plan->ram_size == 0 || plan->ram_size % SZ_2M || plan->ram_base.v % SZ_2M ||
	    plan->ram_size > UINT64_MAX - plan->ram_base.v)
		return err_set(err, -EINVAL,
			       "realm: RAM of 0x%llx bytes at 0x%llx is not a range of whole 2 MiB "
			       "blocks",
			       HEX(plan->ram_size), HEX(plan->ram_base.v));
	return 0;
}

static int outside_ram(const struct plan *plan, const char *name, ipa_t base, uint64_t size,
		       struct ccr_err *err)
{
	return err_set(err, -EINVAL,
		       "%s: 0x%llx bytes at 0x%llx are not inside RAM, which is 0x%llx bytes at "
		       "0x%llx; a bigger RAM may help",
		       name, HEX(size), HEX(base.v), HEX(plan->ram_size), HEX(plan->ram_base.v));
}

static int overlap(const struct plan_segment *a, const struct plan_segment *b, struct ccr_err *err)
{
	return err_set(err, -EINVAL,
		       "%s: 0x%llx bytes at 0x%llx overlap the %s, 0x%llx bytes at 0x%llx", a->name,
		       HEX(a->size), HEX(a->base.v), b->name, HEX(b->size), HEX(b->base.v));
}

static bool lies_below(const struct plan_segment *a, const struct plan_segment *b)
{
	return a->base.v + a->size <= b->base.v;
}

static void insert(struct plan *plan, unsigned at, const struct plan_segment *segment)
{
	memmove(&plan->segments[at + 1], &plan->segments[at],
		(plan->nr_segments - at) * sizeof(*segment));
	plan->segments[at] = *segment;
	plan->nr_segments++;
}

int plan_add(struct plan *plan, const char *name, ipa_t base, const uint8_t *data,
	     uint64_t data_size, uint64_t min_size, bool measured, struct ccr_err *err)
{
	const uint64_t size = data_size > min_size ? data_size : min_size;
	const uint64_t first = align_down(base.v, GRANULE_SIZE);
	struct plan_segment segment = {
		.name = name,
		.base = ipa_at(first),
		.lead_size = base.v - first,
		.data = data,
		.data_size = data_size,
		.measured = measured,
	};
	const int ret = check_ram(plan, err);
	unsigned at = 0;

	if (ret)
		return ret;
	if (size == 0)
		return err_set(err, -EINVAL, "%s: it is empty", name);
	if (plan->nr_segments >= PLAN_MAX_SEGMENTS)
		return err_set(err, -EINVAL, "%s: a realm has at most %d initial images", name,
			       PLAN_MAX_SEGMENTS);
	if (!range_within(base.v, size, plan->ram_base.v, plan->ram_size))
		return outside_ram(plan, name, base, size, err);
	segment.size = align_up(base.v + size, GRANULE_SIZE) - first;

	while (at < plan->nr_segments && lies_below(&plan->segments[at], &segment))
		at++;
	if (at < plan->nr_segments && !lies_below(&segment, &plan->segments[at]))
		return overlap(&segment, &plan->segments[at], err);
	insert(plan, at, &segment);
	return 0;
}

void plan_page(const struct plan_segment *segment, uint64_t index, uint8_t page[GRANULE_SIZE])
{
	const uint64_t start = index * GRANULE_SIZE;
	const uint64_t data_end = segment->lead_size + segment->data_size;
	const uint64_t from = start > segment->lead_size ? start : segment->lead_size;
	const uint64_t to = start + GRANULE_SIZE < data_end ? start + GRANULE_SIZE : data_end;

	memset(page, 0, GRANULE_SIZE);
	if (from < to)
		memcpy(page + (from - start), segment->data + (from - segment->lead_size),
		       to - from);
}

static int check_segment(const struct plan *plan, const struct plan_segment *segment,
			 struct ccr_err *err)
{
	if (segment->size == 0 || segment->size % GRANULE_SIZE || segment->base.v % GRANULE_SIZE)
		return err_set(err, -EINVAL, "%s: 0x%llx bytes at 0x%llx are not whole granules",
			       segment->name, HEX(segment->size), HEX(segment->base.v));
	if (!range_within(segment->base.v, segment->size, plan->ram_base.v, plan->ram_size))
		return outside_ram(plan, segment->name, segment->base, segment->size, err);
	if (segment->lead_size > segment->size ||
	    segment->data_size > segment->size - segment->lead_size)
		return err_set(err, -EINVAL,
			       "%s: 0x%llx bytes from offset 0x%llx do not fit its 0x%llx bytes",
			       segment->name, HEX(segment->data_size), HEX(segment->lead_size),
			       HEX(segment->size));
	return 0;
}

static int check_segments(const struct plan *plan, struct ccr_err *err)
{
	if (plan->nr_segments > PLAN_MAX_SEGMENTS)
		return err_set(err, -EINVAL,
			       "realm: %u initial images are more than the %d allowed",
			       plan->nr_segments, PLAN_MAX_SEGMENTS);
	for (unsigned i = 0; i < plan->nr_segments; i++) {
		const struct plan_segment *segment = &plan->segments[i];
		const int ret = check_segment(plan, segment, err);

		if (ret)
			return ret;
		if (i > 0 && !lies_below(segment - 1, segment))
			return overlap(segment, segment - 1, err);
	}
	return 0;
}

/* The owner's wish by itself; plan_check_params() has checked the IPA width. */
static int check_plan(const struct plan *plan, struct ccr_err *err)
{
	const uint64_t protected_size = 1ull << (plan->ipa_bits - 1);
	const int ret = check_ram(plan, err);

	if (ret)
		return ret;
	if (!range_within(plan->ram_base.v, plan->ram_size, 0, protected_size))
		return err_set(
			err, -EINVAL,
			"realm: RAM of 0x%llx bytes at 0x%llx does not fit the protected half "
			"of an IPA space of %u bits; choose more bits or less RAM",
			HEX(plan->ram_size), HEX(plan->ram_base.v), plan->ipa_bits);
	if (plan->nr_vcpus == 0 || plan->nr_vcpus > PLAN_MAX_VCPUS)
		return err_set(err, -EINVAL, "realm: %u vCPUs, there can be 1 to %d",
			       plan->nr_vcpus, PLAN_MAX_VCPUS);
	return check_segments(plan, err);
}

static bool has_rpv(const struct plan *plan)
{
	static const uint8_t none[PLAN_RPV_SIZE];

	return memcmp(plan->rpv, none, sizeof(none)) != 0;
}

static int check_family(const struct plan *plan, const struct family *family, struct ccr_err *err)
{
	if (has_rpv(plan) && !family->has_rpv)
		return err_set(err, -EOPNOTSUPP,
			       "--realm-pv: KVM's %s realm interface (series v12 on) takes no "
			       "personalisation value; leave it out, or use a host with the "
			       "explicit one (up to v11)",
			       family->name);
	if (plan->hash_algo != HASH_SHA256 && !family->has_hashes)
		return err_set(err, -EOPNOTSUPP,
			       "--measurement-algo %s: KVM's %s realm interface (series v12 on) "
			       "has no choice of the hash; choose sha256, or use a host with the "
			       "explicit one (up to v11)",
			       hash_name(plan->hash_algo), family->name);
	return 0;
}

/* The list under construction; PLAN_MAX_STEPS holds any plan that passed the checks. */
struct list {
	struct plan_step *steps;
	unsigned nr_steps;
};

static void append(struct list *list, struct plan_step step)
{
	list->steps[list->nr_steps++] = step;
}

static void append_ripas(struct list *list, const struct plan *plan)
{
	append(list, (struct plan_step){.kind = PLAN_INIT_RIPAS,
					.base = plan->ram_base,
					.size = plan->ram_size});
}

static void append_data(struct list *list, const struct plan *plan, bool measured)
{
	for (unsigned i = 0; i < plan->nr_segments; i++) {
		if (plan->segments[i].measured == measured)
			append(list, (struct plan_step){.kind = PLAN_DATA,
							.base = plan->segments[i].base,
							.size = plan->segments[i].size,
							.segment = &plan->segments[i]});
	}
}

int plan_steps(const struct plan *plan, const struct realm_host *host,
	       struct plan_step steps[PLAN_MAX_STEPS], unsigned *ret_nr_steps, struct ccr_err *err)
{
	struct list list = {.steps = steps};
	const struct family *family;
	int ret = plan_check_params(plan, host, err);

	if (ret)
		return ret;
	family = &families[host->family];
	ret = check_plan(plan, err);
	if (!ret)
		ret = check_family(plan, family, err);
	if (ret)
		return ret;

	append(&list, (struct plan_step){.kind = PLAN_CREATE});
	if (!family->ripas_last)
		append_ripas(&list, plan);
	append_data(&list, plan, true);
	if (family->ripas_last)
		append_data(&list, plan, false);
	for (unsigned vcpu = 0; vcpu < plan->nr_vcpus; vcpu++)
		append(&list, (struct plan_step){.kind = PLAN_REC, .vcpu = vcpu});
	if (family->ripas_last)
		append_ripas(&list, plan);
	else
		append_data(&list, plan, false);
	append(&list, (struct plan_step){.kind = PLAN_ACTIVATE});
	*ret_nr_steps = list.nr_steps;
	return 0;
}
