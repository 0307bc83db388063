/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A realm's life-cycle, the same for every backend.
 *
 *	NEW ----create---> OPEN --activate--> SEALED
 *	 |		    | RIPAS, data, REC  |
 *	 +------------------+-------------------+---> DEAD (any failure)
 *
 * In OPEN contents may be added; in SEALED the measurement is final and the guest may run; DEAD
 * has no way back: a partly built realm has a partial measurement, so it is never continued.
 */
#ifndef CCR_REALM_H
#define CCR_REALM_H

#include "ccr/plan.h"

enum realm_state { REALM_NEW, REALM_OPEN, REALM_SEALED, REALM_DEAD };

/**
 * struct realm_backend - how one kind of host carries out the steps of a plan
 *
 * Each function returns 0, or -errno with @err set. They are called in the order of plan_steps(),
 * by realm_step() only.
 */
struct realm_backend {
	const char *name;
	int (*create)(void *ctx, const struct plan *plan, struct ccr_err *err);
	int (*init_ripas)(void *ctx, ipa_t base, uint64_t size, struct ccr_err *err);
	int (*populate)(void *ctx, const struct plan_segment *segment, struct ccr_err *err);
	int (*create_rec)(void *ctx, unsigned vcpu, struct ccr_err *err);
	int (*activate)(void *ctx, struct ccr_err *err);
};

/**
 * struct realm - a realm under construction or running
 * @backend, @ctx: borrowed
 * @is_unwanted: asked by realm_build() before each step, with @asked, whether somebody has thought
 *	better of it; may be NULL
 */
struct realm {
	const struct realm_backend *backend;
	void *ctx;
	bool (*is_unwanted)(void *asked);
	void *asked;
	enum realm_state state;
};

/** realm_init() - a NEW realm; @backend and @ctx are borrowed */
void realm_init(struct realm *realm, const struct realm_backend *backend, void *ctx);

/**
 * realm_step() - carry out one step
 *
 * PLAN_CREATE is allowed in NEW, all others in OPEN; PLAN_ACTIVATE ends in SEALED.
 *
 * Return: 0; -EPROTO for a step that the state does not allow; the backend's -errno. @err is set,
 * and the realm is DEAD, after any failure.
 */
int realm_step(struct realm *realm, const struct plan *plan, const struct plan_step *step,
	       struct ccr_err *err);

/**
 * realm_build() - all steps of @plan in the order of @host's family
 *
 * Return: 0 and a SEALED realm, or -errno with @err set and a DEAD one; -ECANCELED because it is
 * unwanted.
 */
int realm_build(struct realm *realm, const struct plan *plan, const struct realm_host *host,
		struct ccr_err *err);

/**
 * realm_emulated_host - what an emulated realm is made of, whatever the host is
 *
 * Explicit life-cycle, RMM 1.0, 6 breakpoints, 4 watchpoints, no PMU, no SVE, no LPA2: the values
 * of QEMU's "max" CPU under TF-RMM. They are constants so that the RIM of an emulated realm never
 * depends on the machine it runs on.
 */
extern const struct realm_host realm_emulated_host;

#endif
