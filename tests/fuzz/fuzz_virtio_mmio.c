/* SPDX-License-Identifier: Apache-2.0 */
/* about: src/virtio/virtio_mmio.c src/virtio/virtio.c src/virtio/blk.c */
/*
 * links: tests/fake/any_disk.c src/virtio/virtio_mmio.c src/virtio/blk.c src/host/disk.c
 *	src/virtio/virtio.c src/virtio/virtq.c src/virtio/virtq_chain.c src/virtio/mem.c
 *	src/virtio/virtio_pci.c src/pci/host.c src/pci/function.c src/pci/msix.c src/util/log.c
 *	src/util/err.c tests/fake/virtio_guest.c tests/fake/fake_aio.c
 */
/*
 * A guest that may do anything to the registers of a disk, to its memory and to the state of its
 * pages. Whatever it does,
 *   - a live device has accepted features, all of them offered and the mandatory ones among them,
 *   - no more buffers are in flight than a queue has entries,
 *   - the interrupt line is up exactly while there is a cause,
 *   - no memory stays pinned but for requests that are in flight, and these keep the disk busy,
 *   - a page that is private does not change.
 *
 * Input: 8-byte records {op, argument, 16-bit place, 32-bit value}.
 */
#include <string.h>

#include "ccr/log.h"
#include "ccr/virtio_mmio.h"
#include "../fake/any_disk.h"
#include "fuzz.h"

struct machine {
	struct any_disk disk;
	struct virtio_mmio mmio;
	bool level;
};

static void on_irq(void *ctx, bool level)
{
	struct machine *m = ctx;

	m->level = level;
}

static void play(struct machine *m, const struct any_disk_record *r)
{
	const unsigned size = 1u << (r->op >> 4 & 3);
	const uint64_t at = r->place % (VIRTIO_MMIO_WINDOW_SIZE - size + 1);

	switch (r->op & 7) {
	case 0:
	case 1: /* as drivers do */
		virtio_mmio_ops.write(&m->mmio, at & ~3ull, 4, r->value);
		break;
	case 2:
		virtio_mmio_ops.write(&m->mmio, at, size, r->value & ~0ull >> (64 - 8 * size));
		break;
	case 3:
		virtio_mmio_ops.read(&m->mmio, at, size);
		break;
	case 4:
		any_disk_play_memory(&m->disk, r);
		break;
	case 5:
		any_disk_work(&m->disk);
		break;
	default:
		any_disk_play_host(&m->disk, r);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine m = {0};
	const struct virtio_mmio_host host = {on_irq, &m};
	struct any_disk_record record;

	log_init(LOG_ERROR); /* not a word about each rule that is broken */
	any_disk_create(&m.disk);
	virtio_mmio_init(&m.mmio, &m.disk.blk.virtio, &host);
	for (size_t at = 0; size - at >= sizeof(record); at += sizeof(record)) {
		memcpy(&record, data + at, sizeof(record));
		play(&m, &record);
		require(m.level == !!m.mmio.interrupt_status);
		any_disk_check(&m.disk);
	}
	any_disk_finish(&m.disk);
	any_disk_destroy(&m.disk);
	return 0;
}
