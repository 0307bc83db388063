/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ccr/evlog.h"

struct replay {
	const struct evlog *log;
	struct measure measure;
	measure_observer *observer;
	void *ctx;
};

static void notify(const struct replay *r, const char *what, const struct plan_segment *segment,
		   ipa_t base, uint64_t size)
{
	if (r->observer)
		r->observer(r->ctx, what, segment, base, size, r->measure.rim);
}

static int replay_granules(struct replay *r, const struct evlog_item *item)
{
	const bool measured = item->kind == EVLOG_GRANULES;
	const char *what = measured ? "data" : "data (unmeasured)";
	const size_t digest_size = hash_size(r->log->hash_algo);
	const struct plan_segment segment = {
		.name = r->log->image_names[item->image],
		.base = r->log->image_bases[item->image],
		.measured = measured,
	};
	int ret = 0;

	for (uint64_t i = 0; i < item->size / GRANULE_SIZE && !ret; i++) {
		const ipa_t base = ipa_at(item->base.v + i * GRANULE_SIZE);

		ret = measure_data_digest(&r->measure, base,
					  measured ? item->digests + i * digest_size : NULL,
					  digest_size);
		if (!ret)
			notify(r, what, &segment, base, GRANULE_SIZE);
	}
	return ret;
}

static int replay_item(struct replay *r, const struct evlog_item *item)
{
	int ret;

	switch (item->kind) {
	case EVLOG_RIPAS:
		return measure_ripas_observed(&r->measure, item->base, item->size, r->observer,
					      r->ctx);
	case EVLOG_GRANULES:
	case EVLOG_UNMEASURED:
		return replay_granules(r, item);
	case EVLOG_REC:
		ret = measure_rec(&r->measure, item->pc, item->gprs);
		if (!ret)
			notify(r, "REC", NULL, ipa_at(0), 0);
		return ret;
	}
	return -EINVAL;
}

static const char *item_name(const struct evlog *log, const struct evlog_item *item)
{
	switch (item->kind) {
	case EVLOG_RIPAS:
		return "the initial RIPAS";
	case EVLOG_REC:
		return "the vCPU";
	default:
		return log->image_names[item->image];
	}
}

int evlog_replay_rim(const struct evlog *log, measure_observer *observer, void *ctx,
		     uint8_t ret_rim[HASH_MAX_SIZE], struct ccr_err *err)
{
	const struct plan plan = {.hash_algo = log->hash_algo, .ipa_bits = log->ipa_bits};
	struct replay r = {.log = log, .observer = observer, .ctx = ctx};
	struct ccr_err why = {0};
	int ret = plan_check_params(&plan, &log->host, &why);

	if (ret)
		return err_set(err, ret, "no realm is created like that: %s", why.msg);
	ret = measure_create(&r.measure, &plan, &log->host);
	if (ret)
		return err_set(err, ret, "the measurement failed: %s", err_name(ret));
	notify(&r, "realm parameters", NULL, ipa_at(0), 0);
	for (unsigned i = 0; i < log->nr_items && !ret; i++) {
		ret = replay_item(&r, &log->items[i]);
		if (ret)
			err_set(err, ret, "no realm allows this step: %s at 0x%" PRIx64 " (%s)",
				item_name(log, &log->items[i]), log->items[i].base.v,
				err_name(ret));
	}
	if (!ret)
		memcpy(ret_rim, r.measure.rim, sizeof(r.measure.rim));
	measure_done(&r.measure);
	return ret;
}
