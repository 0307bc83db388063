/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparison by replay: the RIM is a chain, so the first step after which two realms' running
 * values differ is the one that differs. The steps of what was expected are recorded, then the log
 * is replayed beside them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/dtree.h"
#include "ccr/evlog.h"

/* One step as an observer is told of it; its names live as long as the plan or the log. */
struct step {
	const char *what;
	const char *segment;
	ipa_t segment_base;
	ipa_t base;
	uint64_t size;
	uint8_t rim[HASH_MAX_SIZE];
};

/* struct recorder - the steps of what was expected */
struct recorder {
	struct step *steps;
	size_t nr;
	size_t capacity;
	size_t rim_size;
	bool no_memory;
};

static struct step make_step(const char *what, const struct plan_segment *segment, ipa_t base,
			     uint64_t size, const uint8_t *rim, size_t rim_size)
{
	struct step step = {.what = what, .base = base, .size = size};

	if (segment) {
		step.segment = segment->name;
		step.segment_base = segment->base;
	}
	memcpy(step.rim, rim, rim_size);
	return step;
}

static void record(void *ctx, const char *what, const struct plan_segment *segment, ipa_t base,
		   uint64_t size, const uint8_t *rim)
{
	struct recorder *recorder = ctx;

	if (recorder->nr == recorder->capacity) {
		const size_t capacity = recorder->capacity ? 2 * recorder->capacity : 1024;
		struct step *steps = realloc(recorder->steps, capacity * sizeof(*steps));

		if (!steps) {
			recorder->no_memory = true;
			return;
		}
		recorder->steps = steps;
		recorder->capacity = capacity;
	}
	recorder->steps[recorder->nr++] =
		make_step(what, segment, base, size, rim, recorder->rim_size);
}

/*
 * struct comparison - a replay beside the expected steps
 * @nr: steps that were the same so far; once @differs, the number of the one that is not
 * @is: that one in the log; all-zero if the log ends before it
 */
struct comparison {
	const struct recorder *expected;
	size_t nr;
	bool differs;
	struct step is;
};

static void compare_step(void *ctx, const char *what, const struct plan_segment *segment,
			 ipa_t base, uint64_t size, const uint8_t *rim)
{
	struct comparison *c = ctx;
	const struct recorder *expected = c->expected;

	if (c->differs)
		return;
	if (c->nr < expected->nr && !memcmp(expected->steps[c->nr].rim, rim, expected->rim_size)) {
		c->nr++;
		return;
	}
	c->differs = true;
	c->is = make_step(what, segment, base, size, rim, 0);
}

/* What the difference is, appended to the sentence bit by bit. */
struct sentence {
	char *text;
	size_t size;
	size_t used;
};

__attribute__((format(printf, 2, 3))) static void say(struct sentence *s, const char *fmt, ...)
{
	va_list args;
	int size;

	va_start(args, fmt);
	size = vsnprintf(s->text + s->used, s->size - s->used, fmt, args);
	va_end(args);
	if (size > 0)
		s->used += (size_t)size < s->size - s->used ? (size_t)size : s->size - s->used - 1;
}

static void say_number(struct sentence *s, const char *what, uint64_t is, uint64_t expected)
{
	if (is != expected)
		say(s, "; %s %" PRIu64 ", expected %" PRIu64, what, is, expected);
}

static void say_params(struct sentence *s, const struct evlog *log, const struct plan *plan,
		       const struct realm_host *host)
{
	say(s, "realm parameters");
	if (log->hash_algo != plan->hash_algo)
		say(s, "; hash %s, expected %s", hash_name(log->hash_algo),
		    hash_name(plan->hash_algo));
	if (log->host.rmm != host->rmm)
		say(s, "; the RMM measures in another way");
	say_number(s, "RAM in MiB", log->ram_size >> 20, plan->ram_size >> 20);
	say_number(s, "IPA width", log->ipa_bits, plan->ipa_bits);
	say_number(s, "breakpoints", log->host.num_bps + 1, host->num_bps + 1);
	say_number(s, "watchpoints", log->host.num_wps + 1, host->num_wps + 1);
	say_number(s, "PMU", log->host.pmu, host->pmu);
	say_number(s, "PMU counters", log->host.pmu_num_ctrs, host->pmu_num_ctrs);
	say_number(s, "SVE", log->host.sve, host->sve);
	say_number(s, "SVE vector length code", log->host.sve_vl, host->sve_vl);
	say_number(s, "LPA2", log->host.lpa2, host->lpa2);
}

/* One granule of the log's tree, zeros behind it, against its digest. */
static bool is_granule(const struct evlog *log, size_t offset, const uint8_t *digest)
{
	uint8_t page[GRANULE_SIZE] = {0}, found[HASH_MAX_SIZE];

	if (offset < log->dtb_size)
		memcpy(page, log->dtb + offset,
		       log->dtb_size - offset < sizeof(page) ? log->dtb_size - offset
							     : sizeof(page));
	return hash_digest(log->hash_algo, page, sizeof(page), found) == 0 &&
	       !memcmp(found, digest, hash_size(log->hash_algo));
}

/* The tree itself is not measured as it stands in the log: it must be what the digests are of. */
static bool is_measured_dtb(const struct evlog *log)
{
	const size_t digest_size = hash_size(log->hash_algo);
	uint64_t size = 0;

	for (unsigned i = 0; log->dtb && i < log->nr_items; i++) {
		const struct evlog_item *item = &log->items[i];

		if (item->kind != EVLOG_GRANULES ||
		    strcmp(log->image_names[item->image], "device tree") != 0)
			continue;
		for (uint64_t at = 0; at < item->size; at += GRANULE_SIZE, size += GRANULE_SIZE) {
			if (!is_granule(log, size, item->digests + at / GRANULE_SIZE * digest_size))
				return false;
		}
	}
	return size > 0 && log->dtb_size <= size;
}

static void say_dtb(struct sentence *s, const struct evlog *log, const struct plan *plan)
{
	char text[DTREE_DIFF_MAX];
	const struct plan_segment *segment = NULL;

	for (unsigned i = 0; i < plan->nr_segments; i++) {
		if (!strcmp(plan->segments[i].name, "device tree"))
			segment = &plan->segments[i];
	}
	if (!segment || !is_measured_dtb(log))
		return;
	dtree_diff_describe(log->dtb, log->dtb_size, segment->data, segment->data_size, text);
	if (*text)
		say(s, ": %s", text);
}

static void say_step(struct sentence *s, const struct step *step)
{
	if (step->segment)
		say(s, "%s page %" PRIu64 " at 0x%" PRIx64, step->segment,
		    (step->base.v - step->segment_base.v) / GRANULE_SIZE, step->base.v);
	else if (step->size > 0)
		say(s, "%s of 0x%" PRIx64 " bytes at 0x%" PRIx64, step->what, step->size,
		    step->base.v);
	else
		say(s, "%s", step->what ? step->what : "nothing more");
}

static bool is_same_place(const struct step *a, const struct step *b)
{
	return a->what && b->what && !strcmp(a->what, b->what) && a->base.v == b->base.v &&
	       a->size == b->size && !a->segment == !b->segment &&
	       (!a->segment || !strcmp(a->segment, b->segment));
}

static const struct evlog_item *find_rec(const struct evlog *log)
{
	for (unsigned i = 0; i < log->nr_items; i++) {
		if (log->items[i].kind == EVLOG_REC)
			return &log->items[i];
	}
	return NULL;
}

static void say_rec(struct sentence *s, const struct evlog *log, const struct plan *plan)
{
	const struct evlog_item *rec = find_rec(log);

	say(s, "registers of the first vCPU");
	if (rec && rec->pc != plan->pc)
		say(s, "; PC 0x%" PRIx64 ", expected 0x%" PRIx64, rec->pc, plan->pc);
	for (unsigned i = 0; rec && i < PLAN_NR_GPRS; i++) {
		if (rec->gprs[i] != plan->gprs[i])
			say(s, "; X%u 0x%" PRIx64 ", expected 0x%" PRIx64, i, rec->gprs[i],
			    plan->gprs[i]);
	}
}

static void say_difference(struct sentence *s, const struct comparison *c, const struct evlog *log,
			   const struct plan *plan, const struct realm_host *host)
{
	static const struct step none;
	const struct step *expected = c->nr < c->expected->nr ? &c->expected->steps[c->nr] : &none;
	const struct step *is = &c->is;

	if (c->nr == 0 || log->hash_algo != plan->hash_algo) {
		say_params(s, log, plan, host);
	} else if (is_same_place(is, expected) && is->segment) {
		say(s, "%s page %" PRIu64, is->segment,
		    (is->base.v - is->segment_base.v) / GRANULE_SIZE);
		if (!strcmp(is->segment, "device tree"))
			say_dtb(s, log, plan);
	} else if (is_same_place(is, expected)) {
		say_rec(s, log, plan);
	} else if (log->ram_size != plan->ram_size) {
		say(s, "RAM of %" PRIu64 " MiB, expected %" PRIu64, log->ram_size >> 20,
		    plan->ram_size >> 20);
	} else {
		say_step(s, is);
		say(s, ", expected ");
		say_step(s, expected);
	}
}

static int expect(const struct plan *plan, const struct realm_host *host, struct recorder *recorder,
		  struct ccr_err *err)
{
	uint8_t rim[HASH_MAX_SIZE];
	int ret;

	recorder->rim_size = hash_size(plan->hash_algo);
	ret = measure_plan(plan, host, record, recorder, rim, err);
	if (!ret && recorder->no_memory)
		ret = err_set(err, -ENOMEM, "out of memory");
	return ret;
}

int evlog_compare_plan(const struct evlog *log, const struct plan *plan,
		       const struct realm_host *host, char text[EVLOG_MAX_DIFFERENCE],
		       struct ccr_err *err)
{
	struct recorder recorder = {0};
	struct comparison c = {.expected = &recorder};
	struct sentence s = {.text = text, .size = EVLOG_MAX_DIFFERENCE};
	uint8_t rim[HASH_MAX_SIZE];
	int ret = expect(plan, host, &recorder, err);

	text[0] = '\0';
	if (!ret)
		ret = evlog_replay_rim(log, compare_step, &c, rim, err);
	if (!ret && (c.differs || c.nr < recorder.nr)) {
		say(&s, "RIM differs at step %zu (", c.nr);
		say_difference(&s, &c, log, plan, host);
		say(&s, ")");
	}
	free(recorder.steps);
	return ret;
}
