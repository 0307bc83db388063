/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "ccr/log.h"
#include "ccr/realm.h"

const struct realm_host realm_emulated_host = {
	.family = REALM_FAMILY_EXPLICIT,
	.rmm = RMM_1_0,
	.num_bps = 5,
	.num_wps = 3,
};

void realm_init(struct realm *realm, const struct realm_backend *backend, void *ctx)
{
	*realm = (struct realm){.backend = backend, .ctx = ctx, .state = REALM_NEW};
}

static const char *step_name(enum plan_step_kind kind)
{
	static const char *const names[] = {
		[PLAN_CREATE] = "creation",     [PLAN_INIT_RIPAS] = "initial RIPAS",
		[PLAN_DATA] = "population",     [PLAN_REC] = "REC creation",
		[PLAN_ACTIVATE] = "activation",
	};

	return names[kind];
}

static int execute(struct realm *realm, const struct plan *plan, const struct plan_step *step,
		   struct ccr_err *err)
{
	switch (step->kind) {
	case PLAN_CREATE:
		return realm->backend->create(realm->ctx, plan, err);
	case PLAN_INIT_RIPAS:
		return realm->backend->init_ripas(realm->ctx, step->base, step->size, err);
	case PLAN_DATA:
		return realm->backend->populate(realm->ctx, step->segment, err);
	case PLAN_REC:
		return realm->backend->create_rec(realm->ctx, step->vcpu, err);
	case PLAN_ACTIVATE:
		return realm->backend->activate(realm->ctx, err);
	}
	return -EPROTO;
}

int realm_step(struct realm *realm, const struct plan *plan, const struct plan_step *step,
	       struct ccr_err *err)
{
	const enum realm_state needed = step->kind == PLAN_CREATE ? REALM_NEW : REALM_OPEN;
	int ret;

	if (realm->state != needed) {
		realm->state = REALM_DEAD;
		return err_set(err, -EPROTO, "realm: %s at the wrong time", step_name(step->kind));
	}
	ret = execute(realm, plan, step, err);
	if (ret) {
		realm->state = REALM_DEAD;
		return err_set(err, ret, "realm: %s failed: %s", step_name(step->kind),
			       err_name(ret));
	}
	log_debug("realm: %s done", step_name(step->kind));
	if (step->kind == PLAN_CREATE)
		realm->state = REALM_OPEN;
	else if (step->kind == PLAN_ACTIVATE)
		realm->state = REALM_SEALED;
	return 0;
}

static int check_wanted(const struct realm *realm, struct ccr_err *err)
{
	if (!realm->is_unwanted || !realm->is_unwanted(realm->asked))
		return 0;
	return err_set(err, -ECANCELED, "realm: given up before it was complete");
}

int realm_build(struct realm *realm, const struct plan *plan, const struct realm_host *host,
		struct ccr_err *err)
{
	struct plan_step *steps = calloc(PLAN_MAX_STEPS, sizeof(*steps));
	unsigned nr_steps = 0;
	int ret;

	if (!steps)
		ret = err_set(err, -ENOMEM, "realm: out of memory");
	else
		ret = plan_steps(plan, host, steps, &nr_steps, err);
	for (unsigned i = 0; i < nr_steps && !ret; i++) {
		ret = check_wanted(realm, err);
		if (!ret)
			ret = realm_step(realm, plan, &steps[i], err);
	}
	if (ret)
		realm->state = REALM_DEAD;
	free(steps);
	return ret;
}
