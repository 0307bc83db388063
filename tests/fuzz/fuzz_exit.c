/* SPDX-License-Identifier: Apache-2.0 */
/* about: src/kvm/exit.c */
/* links: src/kvm/exit.c tests/fake/fake_run.c */
/*
 * The page that KVM and its guest leave behind, with any bytes, after any result of KVM_RUN.
 * Whatever they are,
 *   - the page is not changed, and the same page means the same again,
 *   - an access has a size that a bus knows, and no bytes beyond it,
 *   - what is not understood is an error that says so, with KVM's own code if there is one,
 *   - the reply to a read changes the bytes of the access and nothing else.
 *
 * Input: two bytes of KVM_RUN's error, then the page's first bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/kvm.h"
#include "../fake/fake_run.h"
#include "fuzz.h"

/* The reply has changed bytes of the page that lie side by side, as many as the access has. */
static void check_reply(struct kvm_run *run, unsigned size)
{
	const uint64_t value = 0x1122334455667788ull & ~0ull >> (64 - 8 * size);
	const size_t page_size = fake_run_size();
	uint8_t *before = malloc(page_size);
	const uint8_t *after = (const uint8_t *)run;
	size_t first = page_size, last = 0;

	require(before != NULL);
	memcpy(before, run, page_size);
	kvm_exit_mmio_reply(run, size, 0x1122334455667788ull);
	for (size_t i = 0; i < page_size; i++) {
		if (before[i] == after[i])
			continue;
		first = first < i ? first : i;
		last = i;
	}
	free(before);
	require(first == page_size || last - first < size);
	require((fake_run_mmio_value(run, size) & ~0ull >> (64 - 8 * size)) == value);
}

static void check_mmio(const struct kvm_exit *exit, struct kvm_run *run)
{
	const unsigned size = exit->mmio.size;

	require(size == 1 || size == 2 || size == 4 || size == 8);
	require(size == 8 || exit->mmio.value >> 8 * size == 0);
	if (!exit->mmio.is_write)
		check_reply(run, size);
}

static void check(const struct kvm_exit *exit, struct kvm_run *run, int ret)
{
	switch (exit->kind) {
	case VCPU_EXIT_MMIO:
		require(ret >= 0);
		check_mmio(exit, run);
		break;
	case VCPU_EXIT_ERROR:
		require(exit->error.code == (ret < 0 ? ret : 0));
		break;
	case VCPU_EXIT_AGAIN:
		require(ret == -EAGAIN);
		break;
	case VCPU_EXIT_FAULT:
		require(ret == -EFAULT);
		break;
	default:
		break;
	}
	/* A call that failed is not the guest's end. */
	if (ret < 0)
		require(exit->kind != VCPU_EXIT_POWEROFF && exit->kind != VCPU_EXIT_RESET &&
			exit->kind != VCPU_EXIT_CRASH && exit->kind != VCPU_EXIT_SHUTDOWN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t page_size = fake_run_size();
	struct kvm_exit exit, again;
	struct kvm_run *run;
	uint8_t *before;
	int ret;

	if (size < 2)
		return 0;
	ret = data[0] & 0x80 ? -(int)(data[1] & 0x7f) : 0;
	run = calloc(1, page_size);
	before = calloc(1, page_size);
	require(run && before);
	memcpy(before, data + 2, size - 2 < page_size ? size - 2 : page_size);
	memcpy(run, before, page_size);
	exit = kvm_exit_decode(run, ret);
	again = kvm_exit_decode(run, ret);
	require(!memcmp(run, before, page_size));
	require(exit.kind == again.kind && *kvm_exit_name(exit.kind));
	check(&exit, run, ret);
	free(before);
	free(run);
	return 0;
}
