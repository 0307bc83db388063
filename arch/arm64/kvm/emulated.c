/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/emulated.h"
#include "ccr/token.h"
#include "uapi/kvm_realm.h"

/*
 * What an RMM answers, and to whom. RSI comes to us, and what there is of PSCI; the services a
 * realm does not have are denied in the kernel, some of PSCI's among them; the rest of PSCI stays
 * there.
 */
static const struct kvm_realm_smccc_filter filters[] = {
	{RSI_FID_BASE, RSI_FID_COUNT, KVM_REALM_SMCCC_FORWARD, {0}},
	{RSI_PSCI_FEATURES, 1, KVM_REALM_SMCCC_FORWARD, {0}},
	{0x84000005, 3, KVM_REALM_SMCCC_DENY, {0}},       /* PSCI MIGRATE, MIGRATE_INFO_* */
	{0xC4000005, 3, KVM_REALM_SMCCC_DENY, {0}},       /* the same with 64 bits */
	{0x8400000B, 22, KVM_REALM_SMCCC_DENY, {0}},      /* PSCI from CPU_FREEZE on */
	{0xC400000B, 22, KVM_REALM_SMCCC_DENY, {0}},      /* SYSTEM_SUSPEND, SYSTEM_RESET2 */
	{0x84000050, 4, KVM_REALM_SMCCC_DENY, {0}},       /* TRNG */
	{0xC4000053, 1, KVM_REALM_SMCCC_DENY, {0}},       /* TRNG_RND64 */
	{0xC5000020, 2, KVM_REALM_SMCCC_DENY, {0}},       /* paravirtual time */
	{0x86000000, 0x10000, KVM_REALM_SMCCC_DENY, {0}}, /* hypervisor's own services */
	{0xC6000000, 0x10000, KVM_REALM_SMCCC_DENY, {0}},
};

static int create(void *ctx, const struct plan *plan, struct ccr_err *err)
{
	struct emulated *emulated = ctx;

	emulated->plan = plan;
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		const int ret = kvm_set_attr(emulated->vm->fd, KVM_REALM_VM_SMCCC_CTRL,
					     KVM_REALM_VM_SMCCC_FILTER, &filters[i]);

		if (ret)
			return err_set(err, ret, "KVM: SMCCC filter for 0x%x refused: %s",
				       filters[i].base, strerror(-ret));
	}
	return 0;
}

static int init_ripas(void *ctx, ipa_t base, uint64_t size, struct ccr_err *err)
{
	struct emulated *emulated = ctx;
	const int ret = gmem_set_private(emulated->gmem, base, size);

	if (ret)
		return err_set(err, ret, "emulated realm: RAM at 0x%llx cannot become private: %s",
			       (unsigned long long)base.v, strerror(-ret));
	emulated->has_ripas = true;
	emulated->ripas_base = base;
	emulated->ripas_size = size;
	return 0;
}

static int populate(void *ctx, const struct plan_segment *segment, struct ccr_err *err)
{
	struct emulated *emulated = ctx;
	const ipa_t at = ipa_at(segment->base.v + segment->lead_size);
	int ret;

	if (emulated->nr_data == PLAN_MAX_SEGMENTS)
		return err_set(err, -ENOSPC, "emulated realm: too many segments");
	/* Fresh memory is zero, so only the bytes themselves are written. */
	ret = gmem_rmm_write(emulated->gmem, at, segment->data, segment->data_size);
	if (ret)
		return err_set(err, ret, "emulated realm: %s at 0x%llx is not private RAM",
			       segment->name, (unsigned long long)at.v);
	emulated->data[emulated->nr_data].base = segment->base;
	emulated->data[emulated->nr_data].size = segment->size;
	emulated->data[emulated->nr_data].measured = segment->measured;
	emulated->nr_data++;
	return 0;
}

/*
 * KVM has created the vCPU, and only the boot vCPU is measured, at the seal. What was populated
 * before it is measured before it.
 */
static int create_rec(void *ctx, unsigned vcpu, struct ccr_err *err)
{
	struct emulated *emulated = ctx;

	(void)err;
	if (vcpu == 0)
		emulated->nr_data_before_rec = emulated->nr_data;
	return 0;
}

/* Of the segments from @first up to @last. */
static int measure_memory(struct emulated *emulated, struct measure *measure, unsigned first,
			  unsigned last)
{
	uint8_t page[GRANULE_SIZE];
	int ret = 0;

	for (unsigned i = first; i < last; i++) {
		for (uint64_t at = 0; at < emulated->data[i].size && !ret; at += GRANULE_SIZE) {
			const ipa_t base = ipa_at(emulated->data[i].base.v + at);

			ret = gmem_rmm_read(emulated->gmem, base, page, sizeof(page));
			if (!ret)
				ret = measure_data(measure, base,
						   emulated->data[i].measured ? page : NULL);
		}
	}
	return ret;
}

static int measure_boot_vcpu(struct emulated *emulated, struct measure *measure,
			     struct ccr_err *err)
{
	uint64_t pc, gprs[PLAN_NR_GPRS];
	const int ret = arch_vcpu_get_entry(&emulated->vcpus[0], &pc, gprs, err);

	return ret ? ret : measure_rec(measure, pc, gprs);
}

/*
 * The measurement of what is really there: guest memory and registers, not the owner's files. If
 * it differs from measure_plan()'s, something changed on the way.
 */
static int activate(void *ctx, struct ccr_err *err)
{
	struct emulated *emulated = ctx;
	struct measure measure;
	struct realm_host host;
	int ret;

	emulated_host(emulated->vm, &host);
	ret = measure_create(&measure, emulated->plan, &host);
	if (ret)
		return err_set(err, ret, "emulated realm: cannot start the measurement: %s",
			       strerror(-ret));
	if (emulated->has_ripas)
		ret = measure_ripas(&measure, emulated->ripas_base, emulated->ripas_size);
	if (!ret)
		ret = measure_memory(emulated, &measure, 0, emulated->nr_data_before_rec);
	if (!ret)
		ret = measure_boot_vcpu(emulated, &measure, err);
	if (!ret)
		ret = measure_memory(emulated, &measure, emulated->nr_data_before_rec,
				     emulated->nr_data);
	if (!ret)
		memcpy(emulated->rim, measure.rim, sizeof(emulated->rim));
	measure_done(&measure);
	if (ret)
		return err_set(err, ret, "emulated realm: measurement failed: %s", strerror(-ret));
	emulated->rsi_vcpus = calloc(emulated->plan->nr_vcpus, sizeof(*emulated->rsi_vcpus));
	if (!emulated->rsi_vcpus)
		return err_set(err, -ENOMEM, "emulated realm: out of memory");
	rsi_init(&emulated->rsi, emulated->rsi.ops, emulated, emulated->plan, emulated->rim);
	emulated->sealed = true;
	return 0;
}

const struct realm_backend emulated_backend = {
	.name = "emulated",
	.create = create,
	.init_ripas = init_ripas,
	.populate = populate,
	.create_rec = create_rec,
	.activate = activate,
};

/* What RSI calls act on. */

static int read_private(void *ctx, ipa_t base, void *buf, size_t size)
{
	struct emulated *emulated = ctx;

	return gmem_rmm_read(emulated->gmem, base, buf, size);
}

static int write_private(void *ctx, ipa_t base, const void *buf, size_t size)
{
	struct emulated *emulated = ctx;

	return gmem_rmm_write(emulated->gmem, base, buf, size);
}

/* Outside RAM, protected addresses are EMPTY: devices are reached at their shared addresses. */
static enum rsi_ripas ripas_get(void *ctx, ipa_t base, ipa_t top, ipa_t *ret_top)
{
	struct emulated *emulated = ctx;
	const ipa_t ram = gmem_base(emulated->gmem);
	const uint64_t ram_top = ram.v + gmem_size(emulated->gmem);

	const ipa_t first = base.v < ram.v ? ram : base;
	bool empty;

	*ret_top = top;
	if (base.v >= ram_top || top.v <= ram.v)
		return RSI_EMPTY;
	empty = gmem_is_shared(emulated->gmem, first);
	if (base.v < ram.v && !empty) {
		*ret_top = ram;
		return RSI_EMPTY;
	}
	*ret_top = gmem_run_end(emulated->gmem, first, ipa_at(top.v < ram_top ? top.v : ram_top));
	/* EMPTY RAM at the end runs on into the hole behind it. */
	if (empty && ret_top->v == ram_top)
		*ret_top = top;
	return empty ? RSI_EMPTY : RSI_RAM;
}

/*
 * RAM pages change side; pages of a hole can only stay EMPTY. No page is ever DESTROYED here, so
 * @change_destroyed has nothing to allow.
 */
static int ripas_set(void *ctx, ipa_t base, ipa_t top, enum rsi_ripas ripas, bool change_destroyed,
		     ipa_t *ret_top)
{
	struct emulated *emulated = ctx;
	const ipa_t ram = gmem_base(emulated->gmem);
	const uint64_t ram_top = ram.v + gmem_size(emulated->gmem);
	const uint64_t first = base.v > ram.v ? base.v : ram.v;
	const uint64_t last = top.v < ram_top ? top.v : ram_top;
	int ret = 0;

	(void)change_destroyed;
	*ret_top = base;
	if (ripas == RSI_RAM && (base.v < ram.v || base.v >= ram_top))
		return -EPERM;
	if (first < last && ripas == RSI_RAM)
		ret = gmem_set_private(emulated->gmem, ipa_at(first), last - first);
	else if (first < last)
		ret = gmem_set_shared(emulated->gmem, ipa_at(first), last - first);
	if (ret) {
		atomic_store(&emulated->failure, ret);
		return -EPERM;
	}
	*ret_top = ripas == RSI_RAM ? ipa_at(last) : top;
	return ret_top->v == top.v ? 0 : -EPERM;
}

/* No service of ours is behind host calls; KVM answers a real realm's the same way. */
static void host_call(void *ctx, uint16_t imm, uint64_t gprs[RSI_NR_GPRS])
{
	(void)ctx;
	(void)imm;
	gprs[0] = ~0ull;
}

/* Signed by a key that everybody has: Documentation/emulated-realm.md. */
static int make_token(void *ctx, const uint8_t challenge[RSI_CHALLENGE_SIZE],
		      const uint8_t measurements[RSI_NR_MEASUREMENTS][HASH_MAX_SIZE],
		      uint8_t token[RSI_MAX_TOKEN_SIZE], size_t *ret_size)
{
	const struct emulated *emulated = ctx;
	struct token_claims claims = {.hash_algo = emulated->plan->hash_algo};

	memcpy(claims.challenge, challenge, sizeof(claims.challenge));
	memcpy(claims.rpv, emulated->plan->rpv, sizeof(claims.rpv));
	memcpy(claims.measurements, measurements, sizeof(claims.measurements));
	return token_emulated(&claims, token, ret_size, NULL);
}

static const struct rsi_ops ops = {
	.read = read_private,
	.write = write_private,
	.ripas_get = ripas_get,
	.ripas_set = ripas_set,
	.host_call = host_call,
	.token = make_token,
};

void emulated_host(const struct arch_vm *vm, struct realm_host *ret_host)
{
	*ret_host = realm_emulated_host;
	if (vm->features)
		features_enter_realm(vm->features, ret_host);
}

void emulated_init(struct emulated *emulated, struct gmem *gmem, struct arch_vm *vm,
		   struct arch_vcpu *vcpus)
{
	*emulated = (struct emulated){.gmem = gmem, .vm = vm, .vcpus = vcpus, .rsi.ops = &ops};
}

void emulated_done(struct emulated *emulated)
{
	if (emulated->sealed)
		rsi_done(&emulated->rsi);
	emulated->sealed = false;
	free(emulated->rsi_vcpus);
	emulated->rsi_vcpus = NULL;
}

/* Arguments are in X1 to X10, results in X0 to X8; no call looks at or changes more. */
#define NR_CALL_GPRS 11

int emulated_hypercall(struct emulated *emulated, struct arch_vcpu *vcpu, uint32_t fid, bool smc)
{
	uint64_t before[RSI_NR_GPRS] = {0}, x[RSI_NR_GPRS];
	int ret = arch_vcpu_get_gprs(vcpu, before, NR_CALL_GPRS);

	if (ret)
		return ret;
	memcpy(x, before, sizeof(x));
	x[0] = fid;
	if (fid == RSI_PSCI_FEATURES)
		rsi_psci_features(x);
	else if (smc)
		rsi_call(&emulated->rsi, &emulated->rsi_vcpus[vcpu->index], x);
	else
		x[0] = ~0ull;
	for (unsigned last = NR_CALL_GPRS; last > 0; last--) {
		if (x[last - 1] != before[last - 1]) {
			ret = arch_vcpu_set_gprs(vcpu, x, last);
			break;
		}
	}
	return ret ? ret : atomic_load(&emulated->failure);
}
