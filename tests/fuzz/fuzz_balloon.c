/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/balloon.c src/virtio/virtio_pci.c src/virtio/virtio.c src/virtio/virtq.c
 *	src/virtio/virtq_chain.c src/virtio/mem.c src/pci/host.c src/pci/function.c
 *	src/pci/msix.c src/util/log.c src/util/err.c tests/fake/virtio_guest.c
 */
/*
 * A driver that puts any buffers into the queues of a balloon, and any words into its
 * configuration. Whatever it does,
 *   - what is given back is whole pages of a list, or a buffer of a report, and never empty,
 *   - a list gives back no more than it has entries, and only the queues that give back do so,
 *   - what the host asked for stays what it asked for.
 *
 * Input: 12-byte records {op, queue, 16-bit size, 32-bit place, 32-bit value}.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/balloon.h"
#include "ccr/log.h"
#include "ccr/virtio_pci.h"
#include "../fake/virtio_guest.h"
#include "fuzz.h"

#define NR_QUEUES 4u
#define FEATURES  ((1ull << VIRTIO_F_VERSION_1) | (1ull << VIRTIO_F_ACCESS_PLATFORM) | 0x36)
#define TARGET    0x1234u

struct record {
	uint8_t op, queue;
	uint16_t size;
	uint32_t place, value;
};

struct world {
	struct guest *guest;
	struct balloon balloon;
	struct virtio_pci transport;
	struct guest_device device;
	struct guest_queue queues[NR_QUEUES];
	uint64_t nr_offered; /* bytes that all buffers so far could give back */
	uint64_t nr_given;
};

static int on_give_back(void *ctx, ipa_t at, uint64_t size)
{
	struct world *world = ctx;

	require(size > 0);
	at.v &= ~GUEST_SHARED_BIT;
	world->nr_given += size;
	require(world->nr_given <= world->nr_offered);
	if (at.v < GUEST_RAM_BASE || size > GUEST_RAM_SIZE ||
	    at.v - GUEST_RAM_BASE > GUEST_RAM_SIZE - size)
		return -EFAULT;
	return 0;
}

static const struct balloon_host host = {.give_back = on_give_back};

static void start(struct world *world)
{
	guest_negotiate(&world->device, FEATURES);
	for (unsigned i = 0; i < NR_QUEUES; i++) {
		guest_queue_place(&world->queues[i], world->guest,
				  GUEST_RAM_BASE + 0x1000 * (i + 1ull), i == 2 ? 2 : 32);
		guest_enable_queue(&world->device, i, &world->queues[i]);
	}
	guest_add_status(&world->device, VIRTIO_CONFIG_S_DRIVER_OK);
}

static void offer(struct world *world, const struct record *record)
{
	const unsigned queue = record->queue % NR_QUEUES;
	const struct guest_piece piece = {
		.at = record->op & 0x40 ? record->place
					: GUEST_RAM_BASE + record->place % GUEST_RAM_SIZE,
		.size = record->size,
		.is_in = record->op & 0x80,
	};
	struct vring_used_elem elem;

	/* An entry of a list stands for a page. */
	world->nr_offered += (uint64_t)record->size * (BALLOON_PAGE_SIZE / 4);
	guest_add(&world->queues[queue], &piece, 1);
	guest_notify(&world->device, queue);
	virtio_service(&world->balloon.virtio);
	guest_take_used(&world->queues[queue], &elem);
}

static void run(struct world *world, const struct record *record)
{
	switch (record->op % 8) {
	case 0:
		guest_common_write(&world->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		start(world);
		break;
	case 1:
		guest_mem_write(world->guest, world->device.config + record->place % 16, 4,
				record->value);
		break;
	case 2:
		(void)balloon_get_state(&world->balloon);
		break;
	case 3:
		memcpy((uint8_t *)guest_ram(&world->guest->mem, GUEST_RAM_BASE) +
			       record->place % (GUEST_RAM_SIZE - 4),
		       &record->value, sizeof(record->value));
		break;
	default:
		offer(world, record);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world;
	struct virtio_setup setup;
	struct record record;

	log_init(LOG_ERROR);
	memset(&world, 0, sizeof(world));
	world.guest = guest_create();
	setup = guest_setup(world.guest);
	balloon_init(&world.balloon, &host, &world, &setup);
	virtio_pci_init(&world.transport, &world.balloon.virtio);
	world.device = guest_probe(
		world.guest, (unsigned)pci_host_add(&world.guest->pci, &world.transport.function));
	balloon_set_target(&world.balloon, TARGET);
	start(&world);
	for (; size >= sizeof(record); data += sizeof(record), size -= sizeof(record)) {
		memcpy(&record, data, sizeof(record));
		run(&world, &record);
	}
	require(balloon_get_state(&world.balloon).target == TARGET);
	virtio_pci_done(&world.transport);
	balloon_done(&world.balloon);
	guest_destroy(world.guest);
	return 0;
}
