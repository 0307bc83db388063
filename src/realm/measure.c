/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RIM is a hash chain. RMI_REALM_CREATE gives the first value; each command that follows
 * replaces it by the digest of a descriptor, which holds the current value and says what was done.
 *
 * What a plan does not show is that RMI_RTT_INIT_RIPAS is measured once for each entry of the
 * realm's translation tables (RTTs), so that the shape of these tables enters the RIM. Levels 0 to
 * 3 have entries of 512 GiB, 1 GiB, 2 MiB and 4 KiB; the IPA width decides which level is first.
 *
 *   - The RMM goes to the deepest table that exists at an address, and measures whole entries
 *     from there, as far as that table and the range reach.
 *   - Where not even one entry fits, KVM creates tables down to the coarsest level that does.
 *   - Populating a granule has made tables down to level 3 on the way to it. Its own entry is not
 *     touched by RMI_RTT_INIT_RIPAS, and KVM continues behind it.
 *
 * Together: an address is measured with the coarsest entry, of the first level or below, that is
 * aligned, inside the range and free of data. So the populated runs are all that has to be known
 * of the tables, and a realm with one range of RAM never meets tables that an earlier range left.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "ccr/measure.h"

/* RmiRealmParams (B4.4.12): the members that are measured, and RmiRealmFlags. */
enum {
	PARAMS_SIZE = 0x1000,
	PARAMS_FLAGS = 0x000,
	PARAMS_S2SZ = 0x008,
	PARAMS_SVE_VL = 0x010,
	PARAMS_NUM_BPS = 0x018,
	PARAMS_NUM_WPS = 0x020,
	PARAMS_PMU_NUM_CTRS = 0x028,
	PARAMS_HASH_ALGO = 0x030,

	FLAG_LPA2 = 1 << 0,
	FLAG_SVE = 1 << 1,
	FLAG_PMU = 1 << 2,
};

/* RmiRecParams: likewise. */
enum {
	REC_SIZE = 0x1000,
	REC_FLAGS = 0x000,
	REC_PC = 0x200,
	REC_GPRS = 0x300,

	REC_RUNNABLE = 1,
};

/* Measurement descriptors (RmmMeasurementDescriptor*): a common head, then each its own. */
enum {
	DESC_SIZE = 0x100,
	DESC_TYPE = 0x00,
	DESC_LEN = 0x08,
	DESC_RIM = 0x10,

	DESC_DATA_IPA = 0x50,
	DESC_DATA_FLAGS = 0x58,
	DESC_DATA_CONTENT = 0x60,

	DESC_REC_CONTENT = 0x50,

	DESC_RIPAS_BASE = 0x50,
	DESC_RIPAS_TOP = 0x58,
};

enum desc_type { DESC_DATA = 0, DESC_REC = 1, DESC_RIPAS = 2 };

#define DATA_MEASURED 1

#define LAST_LEVEL 3

static void put64(uint8_t *at, uint64_t value)
{
	const uint64_t bytes = htole64(value);

	memcpy(at, &bytes, sizeof(bytes));
}

static void desc_init(const struct measure *m, uint8_t desc[DESC_SIZE], enum desc_type type)
{
	memset(desc, 0, DESC_SIZE);
	desc[DESC_TYPE] = (uint8_t)type;
	put64(desc + DESC_LEN, DESC_SIZE);
	memcpy(desc + DESC_RIM, m->rim, sizeof(m->rim));
}

static int extend(struct measure *m, const uint8_t desc[DESC_SIZE])
{
	return hash_ctx_digest(&m->hash, desc, DESC_SIZE, m->rim);
}

static bool is_protected(const struct measure *m, ipa_t base, uint64_t size)
{
	return m->ipa_bits > 0 && range_within(base.v, size, 0, 1ull << (m->ipa_bits - 1)) &&
	       base.v % GRANULE_SIZE == 0 && size % GRANULE_SIZE == 0;
}

static int measure_params(struct measure *m, const struct plan *plan, const struct realm_host *host)
{
	uint8_t params[PARAMS_SIZE] = {0};

	put64(params + PARAMS_FLAGS, (host->lpa2 ? FLAG_LPA2 : 0) | (host->sve ? FLAG_SVE : 0) |
					     (host->pmu ? FLAG_PMU : 0));
	/* Counts are hashed even where the flag that would give them a meaning is clear. */
	put64(params + PARAMS_S2SZ, plan->ipa_bits);
	put64(params + PARAMS_SVE_VL, host->sve_vl);
	put64(params + PARAMS_NUM_BPS, host->num_bps);
	put64(params + PARAMS_NUM_WPS, host->num_wps);
	put64(params + PARAMS_PMU_NUM_CTRS, host->pmu_num_ctrs);
	params[PARAMS_HASH_ALGO] = (uint8_t)plan->hash_algo;
	return hash_ctx_digest(&m->hash, params, sizeof(params), m->rim);
}

int measure_create(struct measure *m, const struct plan *plan, const struct realm_host *host)
{
	int ret;

	*m = (struct measure){.rmm = host->rmm, .ipa_bits = plan->ipa_bits};
	ret = plan_check_params(plan, host, NULL);
	if (!ret)
		ret = hash_ctx_init(&m->hash, plan->hash_algo);
	if (!ret && m->rmm != RMM_2_0_SPEC)
		ret = measure_params(m, plan, host);
	if (ret)
		measure_done(m);
	return ret;
}

void measure_done(struct measure *m)
{
	hash_ctx_done(&m->hash);
}

/* Who is told of each extension, and of which segment the next ones are. */
struct watch {
	measure_observer *observer;
	void *ctx;
	const struct plan_segment *segment;
};

static void notify(const struct watch *watch, const struct measure *m, const char *what, ipa_t base,
		   uint64_t size)
{
	if (watch->observer)
		watch->observer(watch->ctx, what, watch->segment, base, size, m->rim);
}

static bool has_data(const struct measure *m, uint64_t base, uint64_t size)
{
	for (unsigned i = 0; i < m->nr_runs; i++) {
		if (base < m->runs[i].top && m->runs[i].base < base + size)
			return true;
	}
	return false;
}

/* A start table spans at most sixteen concatenated pages: four bits more than nine a level. */
static unsigned first_level(unsigned ipa_bits)
{
	return LAST_LEVEL + 1 - (ipa_bits - 16 + 8) / 9;
}

static uint64_t level_size(unsigned level)
{
	return (uint64_t)GRANULE_SIZE << 9 * (LAST_LEVEL - level);
}

/* Size of the translation-table entry that covers @at when RIPAS is set up to @top. */
static uint64_t entry_size(const struct measure *m, uint64_t at, uint64_t top)
{
	unsigned level = first_level(m->ipa_bits);
	uint64_t size = level_size(level);

	while (level < LAST_LEVEL && (at % size || size > top - at || has_data(m, at, size)))
		size = level_size(++level);
	return size;
}

static int extend_ripas(struct measure *m, uint64_t base, uint64_t top)
{
	uint8_t desc[DESC_SIZE];

	desc_init(m, desc, DESC_RIPAS);
	put64(desc + DESC_RIPAS_BASE, base);
	put64(desc + DESC_RIPAS_TOP, top);
	return extend(m, desc);
}

static int ripas_range(struct measure *m, ipa_t base, uint64_t size, const struct watch *watch)
{
	const uint64_t top = base.v + size;
	uint64_t entry;

	for (uint64_t at = base.v; at < top; at += entry) {
		int ret;

		entry = entry_size(m, at, top);
		if (has_data(m, at, entry))
			continue;
		ret = extend_ripas(m, at, at + entry);
		if (ret)
			return ret;
		notify(watch, m, "RIPAS RAM", ipa_at(at), entry);
	}
	return 0;
}

static int ripas_step(struct measure *m, ipa_t base, uint64_t size, const struct watch *watch)
{
	if (!is_protected(m, base, size))
		return -EINVAL;
	if (m->ripas_done)
		return -EPROTO;
	m->ripas_done = true;
	return m->rmm == RMM_1_0 ? ripas_range(m, base, size, watch) : 0;
}

int measure_ripas(struct measure *m, ipa_t base, uint64_t size)
{
	return ripas_step(m, base, size, &(struct watch){0});
}

int measure_ripas_observed(struct measure *m, ipa_t base, uint64_t size, measure_observer *observer,
			   void *ctx)
{
	return ripas_step(m, base, size, &(struct watch){.observer = observer, .ctx = ctx});
}

static int add_to_runs(struct measure *m, uint64_t base)
{
	unsigned i = 0;

	if (has_data(m, base, GRANULE_SIZE))
		return -EEXIST;
	while (i < m->nr_runs && m->runs[i].top != base)
		i++;
	if (i == PLAN_MAX_SEGMENTS)
		return -ENOSPC;
	if (i == m->nr_runs) {
		m->runs[i].base = base;
		m->nr_runs++;
	}
	m->runs[i].top = base + GRANULE_SIZE;
	return 0;
}

int measure_data_digest(struct measure *m, ipa_t base, const uint8_t *digest, size_t digest_size)
{
	uint8_t desc[DESC_SIZE];
	int ret;

	if (!is_protected(m, base, GRANULE_SIZE) || digest_size > HASH_MAX_SIZE)
		return -EINVAL;
	ret = add_to_runs(m, base.v);
	if (ret)
		return ret;
	desc_init(m, desc, DESC_DATA);
	put64(desc + DESC_DATA_IPA, base.v);
	if (digest) {
		put64(desc + DESC_DATA_FLAGS, DATA_MEASURED);
		memcpy(desc + DESC_DATA_CONTENT, digest, digest_size);
	}
	return extend(m, desc);
}

int measure_data(struct measure *m, ipa_t base, const uint8_t *page)
{
	uint8_t digest[HASH_MAX_SIZE];
	int ret = 0;

	if (page)
		ret = hash_ctx_digest(&m->hash, page, GRANULE_SIZE, digest);
	return ret ? ret : measure_data_digest(m, base, page ? digest : NULL, sizeof(digest));
}

int measure_rec(struct measure *m, uint64_t pc, const uint64_t gprs[PLAN_NR_GPRS])
{
	uint8_t params[REC_SIZE] = {0};
	uint8_t desc[DESC_SIZE];
	int ret;

	put64(params + REC_FLAGS, REC_RUNNABLE);
	put64(params + REC_PC, pc);
	for (unsigned i = 0; i < PLAN_NR_GPRS; i++)
		put64(params + REC_GPRS + 8 * i, gprs[i]);
	desc_init(m, desc, DESC_REC);
	ret = hash_ctx_digest(&m->hash, params, sizeof(params), desc + DESC_REC_CONTENT);
	return ret ? ret : extend(m, desc);
}

static int create_step(struct measure *m, const struct plan *plan, const struct realm_host *host,
		       const struct watch *watch)
{
	const int ret = measure_create(m, plan, host);

	if (!ret)
		notify(watch, m, "realm parameters", ipa_at(0), 0);
	return ret;
}

static int data_step(struct measure *m, const struct plan_segment *segment, struct watch *watch)
{
	const char *what = segment->measured ? "data" : "data (unmeasured)";
	uint8_t page[GRANULE_SIZE];
	int ret = 0;

	watch->segment = segment;
	for (uint64_t i = 0; i < segment->size / GRANULE_SIZE && !ret; i++) {
		const ipa_t base = ipa_at(segment->base.v + i * GRANULE_SIZE);

		if (segment->measured)
			plan_page(segment, i, page);
		ret = measure_data(m, base, segment->measured ? page : NULL);
		if (!ret)
			notify(watch, m, what, base, GRANULE_SIZE);
	}
	watch->segment = NULL;
	return ret;
}

static int rec_step(struct measure *m, const struct plan *plan, unsigned vcpu,
		    const struct watch *watch)
{
	int ret;

	if (vcpu != 0)
		return 0;
	ret = measure_rec(m, plan->pc, plan->gprs);
	if (!ret)
		notify(watch, m, "REC", ipa_at(0), 0);
	return ret;
}

static int measure_step(struct measure *m, const struct plan *plan, const struct realm_host *host,
			const struct plan_step *step, struct watch *watch)
{
	switch (step->kind) {
	case PLAN_CREATE:
		return create_step(m, plan, host, watch);
	case PLAN_INIT_RIPAS:
		return ripas_step(m, step->base, step->size, watch);
	case PLAN_DATA:
		return data_step(m, step->segment, watch);
	case PLAN_REC:
		return rec_step(m, plan, step->vcpu, watch);
	case PLAN_ACTIVATE:
		return 0;
	}
	return -EPROTO;
}

int measure_plan(const struct plan *plan, const struct realm_host *host, measure_observer *observer,
		 void *ctx, uint8_t ret_rim[HASH_MAX_SIZE], struct ccr_err *err)
{
	struct watch watch = {.observer = observer, .ctx = ctx};
	struct plan_step steps[PLAN_MAX_STEPS];
	struct measure m = {0};
	unsigned nr_steps;
	int ret = plan_steps(plan, host, steps, &nr_steps, err);

	if (ret)
		return ret;
	for (unsigned i = 0; i < nr_steps && !ret; i++)
		ret = measure_step(&m, plan, host, &steps[i], &watch);
	if (ret)
		err_set(err, ret, "realm: the measurement failed: %s", err_name(ret));
	else
		memcpy(ret_rim, m.rim, sizeof(m.rim));
	measure_done(&m);
	return ret;
}
