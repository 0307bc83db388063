/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu.h"
#include "ccr/realm_kvm.h"
#include "uapi/kvm_realm.h"

#define REG_ID_AA64DFR0_EL1 ARM64_SYS_REG(3, 0, 0, 5, 0)
#define DFR0_BRPS(value)    ((unsigned)((value) >> 12 & 0xf))
#define DFR0_WRPS(value)    ((unsigned)((value) >> 20 & 0xf))

/*
 * A request that answers EAGAIN or EINTR has done nothing, for a reason that is gone in a moment:
 * it is made again, later each time. What stays so for half a second is a fault of the host's, and
 * so is what never ends, though each time it is another page's turn.
 */
#define MAX_TRIES        70
#define MAX_TRIES_IN_ALL (64 * MAX_TRIES)
#define MAX_PAUSE_NS     (8 * 1000 * 1000)
#define FIRST_PAUSE_NS   1000

/** struct patience - @nr_tries: made without success since there was progress; @nr_in_all: ever */
struct patience {
	unsigned nr_tries, nr_in_all;
};

static bool is_transient(int64_t ret)
{
	return ret == -EAGAIN || ret == -EINTR;
}

/* Return: after a pause, it may be tried again. */
/* syscalls(vcpu): clock_nanosleep */
static bool try_again(struct patience *patience)
{
	struct timespec pause = {.tv_nsec = MAX_PAUSE_NS};

	if (++patience->nr_tries >= MAX_TRIES || ++patience->nr_in_all >= MAX_TRIES_IN_ALL)
		return false;
	if (patience->nr_tries < 13)
		pause.tv_nsec = FIRST_PAUSE_NS << patience->nr_tries;
	nanosleep(&pause, NULL);
	return true;
}

static struct realm_kvm *self(void *ctx)
{
	return ctx;
}

/* Private and shared. */

/* syscalls(vcpu): ioctl:KVM_REALM_SET_ATTRIBUTES */
static int set_vm_attributes(const struct realm_kvm *realm, uint64_t offset, uint64_t size,
			     bool private)
{
	struct kvm_realm_attributes attributes = {
		.address = gmem_base(realm->gmem).v + offset,
		.size = size,
		.attributes = private ? KVM_REALM_ATTRIBUTE_PRIVATE : 0,
	};

	return kvm_sys_ioctl(realm->vm->fd, KVM_REALM_SET_ATTRIBUTES, &attributes);
}

/*
 * v15 has no such request and keeps no attributes; later kernels insist on them.
 */
/* syscalls(vcpu): ioctl:KVM_REALM_SET_ATTRIBUTES2 */
static int set_gmem_attributes(const struct realm_kvm *realm, uint64_t offset, uint64_t size,
			       bool private)
{
	struct patience patience = {0};
	uint64_t busy_at = offset;
	int ret;

	do {
		struct kvm_realm_attributes2 attributes = {
			.offset = offset,
			.size = size,
			.attributes = private ? KVM_REALM_ATTRIBUTE_PRIVATE : 0,
		};

		ret = kvm_sys_ioctl(realm->vm->gmem_fd, KVM_REALM_SET_ATTRIBUTES2, &attributes);
		/* The pages before are free now: that is progress, though nothing is changed. */
		if (ret == -EAGAIN && attributes.error_offset > busy_at) {
			busy_at = attributes.error_offset;
			patience.nr_tries = 0;
		}
	} while (is_transient(ret) && try_again(&patience));
	return ret == -ENOTTY ? 0 : ret;
}

static int punch(const struct realm_kvm *realm, uint64_t offset, uint64_t size)
{
	return kvm_sys_punch(realm->vm->gmem_fd, offset, size);
}

/* The end of pages' private side. */
static int release(const struct realm_kvm *realm, uint64_t offset, uint64_t size)
{
	int ret;

	if (realm->abi->attributes == REALM_ATTRIBUTES_VM) {
		ret = set_vm_attributes(realm, offset, size, false);
		return ret ? ret : punch(realm, offset, size);
	}
	/* What a hole frees follows the attribute, so the pages must still be private. */
	ret = punch(realm, offset, size);
	return ret ? ret : set_gmem_attributes(realm, offset, size, false);
}

static int release_late(struct realm_kvm *realm, struct realm_late *late)
{
	const struct realm_late now = *late;

	if (now.size == 0)
		return 0;
	*late = (struct realm_late){0};
	return release(realm, now.offset, now.size);
}

/*
 * A page that becomes private again has been committed before: do what is left of that first. (Not
 * so for one that two vCPUs make shared at once. It stays until the first of them is committed.)
 * Under the lock.
 */
static int release_overlapping(struct realm_kvm *realm, uint64_t offset, uint64_t size)
{
	int ret = 0;

	for (unsigned i = 0; i < realm->nr_vcpus && !ret; i++) {
		struct realm_late *late = &realm->late[i];

		if (late->offset < offset + size && offset < late->offset + late->size)
			ret = release_late(realm, late);
	}
	return ret;
}

static int to_shared(void *ctx, uint64_t offset, uint64_t size)
{
	const struct realm_kvm *realm = self(ctx);

	return realm->abi->commits_late ? 0 : release(realm, offset, size);
}

static int to_private(void *ctx, uint64_t offset, uint64_t size)
{
	const struct realm_kvm *realm = self(ctx);

	if (realm->abi->attributes == REALM_ATTRIBUTES_VM)
		return set_vm_attributes(realm, offset, size, true);
	return set_gmem_attributes(realm, offset, size, true);
}

static const struct gmem_private_ops private_ops = {
	.to_shared = to_shared,
	.to_private = to_private,
};

/* What the families share. */

static int make_ram_private(const struct realm_kvm *realm, struct ccr_err *err)
{
	int ret = 0;

	if (realm->abi->attributes == REALM_ATTRIBUTES_VM)
		ret = set_vm_attributes(realm, 0, gmem_size(realm->gmem), true);
	if (ret)
		return err_set(err, ret, "KVM: guest memory cannot be made private: %s",
			       strerror(-ret));
	return 0;
}

/* Both families copy from the shared side, at the same address. */
static int stage(const struct realm_kvm *realm, const struct plan_segment *segment,
		 struct ccr_err *err)
{
	const ipa_t at = ipa_at(segment->base.v + segment->lead_size);
	const int ret = gmem_load(realm->gmem, at, segment->data, segment->data_size);

	if (ret)
		return err_set(err, ret, "realm: %s at 0x%llx does not fit guest memory",
			       segment->name, (unsigned long long)at.v);
	return 0;
}

static int unstage(const struct realm_kvm *realm, struct ccr_err *err)
{
	const int ret = gmem_seal(realm->gmem);

	if (ret)
		return err_set(err, ret, "realm: the images' memory cannot be given back: %s",
			       strerror(-ret));
	return 0;
}

/* Explicit life-cycle. */

/* syscalls(setup): ioctl:KVM_ENABLE_CAP */
static int action(const struct realm_kvm *realm, enum kvm_realm_action number, void *arg)
{
	struct kvm_enable_cap cap = {
		.cap = realm->abi->cap,
		.args = {number, (uint64_t)(uintptr_t)arg},
	};

	return kvm_sys_ioctl(realm->vm->fd, KVM_ENABLE_CAP, &cap);
}

static int configure(const struct realm_kvm *realm, const struct plan *plan, struct ccr_err *err)
{
	struct kvm_realm_config hash = {
		.item = KVM_REALM_CONFIG_HASH_ALGO,
		.hash_algo = plan->hash_algo,
	};
	struct kvm_realm_config rpv = {.item = KVM_REALM_CONFIG_RPV};
	int ret;

	memcpy(rpv.rpv, plan->rpv, sizeof(rpv.rpv));
	ret = action(realm, KVM_REALM_ACTION_CONFIG, &rpv);
	if (ret)
		return err_set(err, ret, "KVM: personalisation value refused: %s", strerror(-ret));
	ret = action(realm, KVM_REALM_ACTION_CONFIG, &hash);
	if (ret)
		return err_set(err, ret,
			       "--measurement-algo %s: this host's RMM does not have it "
			       "(%s)",
			       hash_name(plan->hash_algo), strerror(-ret));
	return 0;
}

static int explicit_create(void *ctx, const struct plan *plan, struct ccr_err *err)
{
	struct realm_kvm *realm = self(ctx);
	int ret = make_ram_private(realm, err);

	realm->plan = plan;
	if (!ret)
		ret = configure(realm, plan, err);
	if (ret)
		return ret;
	ret = action(realm, KVM_REALM_ACTION_CREATE, NULL);
	if (ret)
		return err_set(err, ret, "KVM: the RMM refused to create the realm: %s",
			       strerror(-ret));
	return 0;
}

static int explicit_init_ripas(void *ctx, ipa_t base, uint64_t size, struct ccr_err *err)
{
	struct kvm_realm_init_ripas range = {.base = base.v, .size = size};
	const int ret = action(self(ctx), KVM_REALM_ACTION_INIT_RIPAS, &range);

	if (ret)
		return err_set(err, ret, "KVM: initial RIPAS of 0x%llx, %llu MiB, refused: %s",
			       (unsigned long long)base.v, (unsigned long long)(size >> 20),
			       strerror(-ret));
	return 0;
}

static int explicit_populate(void *ctx, const struct plan_segment *segment, struct ccr_err *err)
{
	struct kvm_realm_populate populate = {
		.base = segment->base.v,
		.size = segment->size,
		.flags = segment->measured ? KVM_REALM_POPULATE_MEASURE : 0,
	};
	int ret = stage(self(ctx), segment, err);

	if (ret)
		return ret;
	ret = action(self(ctx), KVM_REALM_ACTION_POPULATE, &populate);
	if (ret)
		return err_set(err, ret, "KVM: %s at 0x%llx, %llu KiB, cannot be populated: %s",
			       segment->name, (unsigned long long)segment->base.v,
			       (unsigned long long)(segment->size >> 10), strerror(-ret));
	return 0;
}

/* syscalls(setup): ioctl:KVM_ARM_VCPU_FINALIZE */
static int explicit_create_rec(void *ctx, unsigned vcpu, struct ccr_err *err)
{
	const struct realm_kvm *realm = self(ctx);
	int feature = (int)realm->abi->rec_finalize;
	const int ret = kvm_sys_ioctl(realm->vcpus[vcpu].fd, KVM_ARM_VCPU_FINALIZE, &feature);

	if (ret)
		return err_set(err, ret, "KVM: the RMM refused REC %u: %s", vcpu, strerror(-ret));
	return 0;
}

static int explicit_activate(void *ctx, struct ccr_err *err)
{
	const int ret = action(self(ctx), KVM_REALM_ACTION_ACTIVATE, NULL);

	if (ret)
		return err_set(err, ret, "KVM: the RMM refused to activate the realm: %s",
			       strerror(-ret));
	return unstage(self(ctx), err);
}

static const struct realm_backend explicit_backend = {
	.name = "explicit",
	.create = explicit_create,
	.init_ripas = explicit_init_ripas,
	.populate = explicit_populate,
	.create_rec = explicit_create_rec,
	.activate = explicit_activate,
};

/*
 * Implicit life-cycle: KVM creates the realm at the first populate, and the RECs, the RIPAS and
 * the activation at the first KVM_RUN. That run is made here, with immediate_exit set, so that a
 * refusal is a failed set-up.
 */

static int implicit_create(void *ctx, const struct plan *plan, struct ccr_err *err)
{
	struct realm_kvm *realm = self(ctx);

	realm->plan = plan;
	return make_ram_private(realm, err);
}

static int by_kvm_ripas(void *ctx, ipa_t base, uint64_t size, struct ccr_err *err)
{
	(void)ctx;
	(void)base;
	(void)size;
	(void)err;
	return 0;
}

static int by_kvm_rec(void *ctx, unsigned vcpu, struct ccr_err *err)
{
	(void)ctx;
	(void)vcpu;
	(void)err;
	return 0;
}

/* One request may do a part only. Return: bytes done or -errno. */
/* syscalls(setup): ioctl:KVM_REALM_POPULATE_V12 ioctl:KVM_REALM_POPULATE_V13 */
static int64_t populate_some(const struct realm_kvm *realm,
			     const struct kvm_realm_populate_from *wanted)
{
	struct kvm_realm_populate_from args = *wanted;
	int ret;

	if (realm->abi->populate_v12) {
		ret = kvm_sys_ioctl(realm->vm->fd, KVM_REALM_POPULATE_V12, &args);
		return is_transient(ret) ? 0 : ret;
	}
	ret = kvm_sys_ioctl(realm->vm->fd, KVM_REALM_POPULATE_V13, &args);
	if (ret && !is_transient(ret))
		return ret;
	return (int64_t)(wanted->size - args.size);
}

static int implicit_populate(void *ctx, const struct plan_segment *segment, struct ccr_err *err)
{
	const struct realm_kvm *realm = self(ctx);
	struct kvm_realm_populate_from args = {
		.base = segment->base.v,
		.size = segment->size,
		.source_uaddr = gmem_slot_address(realm->gmem, GMEM_SHARED) +
				(segment->base.v - gmem_base(realm->gmem).v),
		.flags = segment->measured ? KVM_REALM_POPULATE_MEASURE : 0,
	};
	struct patience patience = {0};
	int ret = stage(realm, segment, err);

	while (!ret && args.size > 0) {
		const int64_t done = populate_some(realm, &args);

		if (done == 0 && try_again(&patience))
			continue;
		patience.nr_tries = 0;
		if (done <= 0 || (uint64_t)done > args.size)
			ret = err_set(err, done < 0 ? (int)done : -EIO,
				      "KVM: %s at 0x%llx cannot be populated: %s", segment->name,
				      (unsigned long long)args.base,
				      done < 0 ? strerror((int)-done) : "no progress");
		else {
			args.base += (uint64_t)done;
			args.source_uaddr += (uint64_t)done;
			args.size -= (uint64_t)done;
		}
	}
	return ret;
}

/*
 * Is the realm active? Since v13 KVM_RUN with immediate_exit set answers EINTR for a dead one, too,
 * but contents are refused in one way by an active realm (EBUSY) and in another by a dead one.
 */
static int check_active(const struct realm_kvm *realm)
{
	const struct kvm_realm_populate_from page = {
		.base = gmem_base(realm->gmem).v,
		.size = GRANULE_SIZE,
		.source_uaddr = gmem_slot_address(realm->gmem, GMEM_SHARED),
	};
	const int64_t ret = populate_some(realm, &page);

	if (ret == -EBUSY)
		return 0;
	return ret < 0 ? (int)ret : -EIO;
}

static int implicit_activate(void *ctx, struct ccr_err *err)
{
	struct realm_kvm *realm = self(ctx);
	struct arch_vcpu *vcpu = &realm->vcpus[0];
	int ret;

	kvm_run_set_immediate_exit(vcpu->run, true);
	ret = kvm_vcpu_run(vcpu->fd);
	kvm_run_set_immediate_exit(vcpu->run, false);
	/* Once only: a realm whose activation has failed cannot be activated any more. */
	if (ret == -EINTR)
		ret = check_active(realm);
	else if (ret == 0)
		ret = -EIO;
	if (ret)
		return err_set(err, ret, "KVM: the RMM refused to activate the realm: %s",
			       strerror(-ret));
	return unstage(realm, err);
}

static const struct realm_backend implicit_backend = {
	.name = "implicit",
	.create = implicit_create,
	.init_ripas = by_kvm_ripas,
	.populate = implicit_populate,
	.create_rec = by_kvm_rec,
	.activate = implicit_activate,
};

const struct realm_backend *realm_kvm_backend(const struct realm_abi *abi)
{
	return abi->family == REALM_FAMILY_EXPLICIT ? &explicit_backend : &implicit_backend;
}

int realm_kvm_init(struct realm_kvm *realm, const struct realm_abi *abi, struct arch_vm *vm,
		   struct arch_vcpu *vcpus, unsigned nr_vcpus, struct gmem *gmem)
{
	*realm = (struct realm_kvm){
		.abi = abi,
		.vm = vm,
		.vcpus = vcpus,
		.nr_vcpus = nr_vcpus,
		.gmem = gmem,
		.late = calloc(nr_vcpus, sizeof(struct realm_late)),
	};
	if (!realm->late)
		return -ENOMEM;
	pthread_mutex_init(&realm->lock, NULL);
	gmem_set_private_ops(gmem, &private_ops, realm);
	return 0;
}

void realm_kvm_done(struct realm_kvm *realm)
{
	if (!realm->late)
		return;
	pthread_mutex_destroy(&realm->lock);
	free(realm->late);
	realm->late = NULL;
}

/* One change at a time: gmem's state and @late always tell the same story. */
int realm_kvm_convert(struct realm_kvm *realm, unsigned vcpu, ipa_t base, uint64_t size,
		      bool private)
{
	const uint64_t offset = base.v - gmem_base(realm->gmem).v;
	int ret = 0;

	pthread_mutex_lock(&realm->lock);
	if (private)
		ret = release_overlapping(realm, offset, size);
	if (!ret)
		ret = private ? gmem_set_private(realm->gmem, base, size)
			      : gmem_set_shared(realm->gmem, base, size);
	if (!ret && !private && realm->abi->commits_late)
		realm->late[vcpu] = (struct realm_late){.offset = offset, .size = size};
	pthread_mutex_unlock(&realm->lock);
	return ret;
}

int realm_kvm_exited(struct realm_kvm *realm, unsigned vcpu)
{
	int ret = 0;

	if (!realm->abi->commits_late)
		return 0;
	pthread_mutex_lock(&realm->lock);
	ret = release_late(realm, &realm->late[vcpu]);
	pthread_mutex_unlock(&realm->lock);
	return ret;
}

/* Every choice has been taken, or the vCPU would not be there: so it is what the RMM is told. */
static void add_choices(const struct realm_kvm *realm, struct realm_host *host)
{
	if (realm->vm->features)
		features_enter_realm(realm->vm->features, host);
}

int realm_kvm_host(const struct realm_kvm *realm, struct realm_host *ret_host, struct ccr_err *err)
{
	uint64_t dfr0 = 0;
	const int ret = kvm_vcpu_get_reg(realm->vcpus[0].fd, REG_ID_AA64DFR0_EL1, &dfr0);

	if (ret)
		return err_set(err, ret, "KVM: cannot read the number of breakpoints: %s",
			       strerror(-ret));
	*ret_host = (struct realm_host){
		.family = realm->abi->family,
		.rmm = realm_abi_rmm(realm->abi),
		.num_bps = DFR0_BRPS(dfr0),
		.num_wps = DFR0_WRPS(dfr0),
	};
	add_choices(realm, ret_host);
	return 0;
}
