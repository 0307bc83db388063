/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links: src/virtio/vconsole.c src/virtio/vconsole_control.c src/virtio/virtio_pci.c
 *	src/virtio/virtio.c src/virtio/virtq.c src/virtio/virtq_chain.c src/virtio/mem.c
 *	src/pci/host.c src/pci/function.c src/pci/msix.c src/util/log.c src/util/err.c
 *	tests/fake/virtio_guest.c
 */
/*
 * A driver that says what it likes in the control queue of a console with channels, and puts any
 * buffers into its other queues, while host ends come, go, send and take. Whatever it does,
 *   - a message from the device is one that it may send, about a port that there is,
 *   - a service sends no more of them than there are things to tell of all ports,
 *   - input reaches a channel only while the driver says that it is open,
 *   - the output of a channel without a host end is nobody's, and no more of it is taken than is
 *     given.
 *
 * Input: 12-byte records {op, queue or port, 16-bit size, 32-bit place, 32-bit value}.
 */
#include <endian.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/log.h"
#include "ccr/vconsole.h"
#include "ccr/virtio_pci.h"
#include "../fake/virtio_guest.h"
#include "fuzz.h"

#define NR_CHANNELS 3u
#define NR_PORTS    (1 + NR_CHANNELS)
#define NR_QUEUES   (2 * NR_PORTS + 2)
#define CONTROL_IN  2u
#define CONTROL_OUT 3u
#define FEATURES    ((1ull << VIRTIO_F_VERSION_1) | (1ull << VIRTIO_F_ACCESS_PLATFORM) | 2)
#define MESSAGES    (GUEST_RAM_BASE + 0x20000)

/* Of each port: it is there, what it is, and whether its host end is, which may change twice. */
#define MAX_MESSAGES (NR_PORTS * 4)

struct record {
	uint8_t op, at;
	uint16_t size;
	uint32_t place, value;
};

struct world {
	struct guest *guest;
	struct vconsole console;
	struct virtio_pci transport;
	struct guest_device device;
	struct guest_queue queues[NR_QUEUES];
	bool is_connected[NR_PORTS];
	uint64_t nr_offered; /* bytes of output */
	uint64_t nr_taken;
};

static void start(struct world *world)
{
	guest_negotiate(&world->device, FEATURES);
	for (unsigned i = 0; i < NR_QUEUES; i++) {
		guest_queue_place(&world->queues[i], world->guest,
				  GUEST_RAM_BASE + 0x1000 * (i + 1ull), i % 2 ? 16 : 2);
		guest_enable_queue(&world->device, i, &world->queues[i]);
	}
	guest_add_status(&world->device, VIRTIO_CONFIG_S_DRIVER_OK);
}

static void check_message(const uint8_t *bytes, uint32_t size)
{
	struct virtio_console_control header;

	require(size >= sizeof(header));
	memcpy(&header, bytes, sizeof(header));
	require(le32toh(header.id) < NR_PORTS && le16toh(header.value) <= 1);
	switch (le16toh(header.event)) {
	case VIRTIO_CONSOLE_PORT_ADD:
	case VIRTIO_CONSOLE_PORT_OPEN:
		require(size == sizeof(header));
		break;
	case VIRTIO_CONSOLE_CONSOLE_PORT:
		require(size == sizeof(header) && header.id == 0);
		break;
	case VIRTIO_CONSOLE_PORT_NAME:
		require(size > sizeof(header) && header.id != 0);
		break;
	default:
		require(false);
	}
}

/* Buffers may be left that offer() has put anywhere. */
static void check_buffer(struct world *world, const struct vring_used_elem *elem)
{
	const struct guest_queue *queue = &world->queues[CONTROL_IN];
	struct vring_desc desc;

	require(elem->id < queue->size);
	memcpy(&desc,
	       (uint8_t *)guest_ram(&world->guest->mem, queue->desc) + elem->id * sizeof(desc),
	       sizeof(desc));
	if (le64toh(desc.addr) == MESSAGES)
		check_message(guest_ram(&world->guest->mem, MESSAGES), elem->len);
}

/* One buffer at a time, as they are all in one place. */
static void hear(struct world *world)
{
	const struct guest_piece piece = {MESSAGES, 128, true};
	struct guest_queue *queue = &world->queues[CONTROL_IN];
	struct vring_used_elem elem;
	unsigned nr = 0;

	for (;; nr++) {
		if (queue->avail_index == queue->used_seen)
			guest_add(queue, &piece, 1);
		virtio_service(&world->console.virtio);
		if (!guest_take_used(queue, &elem))
			break;
		check_buffer(world, &elem);
		require(nr < MAX_MESSAGES);
	}
}

static void say(struct world *world, const struct record *record)
{
	const struct virtio_console_control message = {
		.id = htole32(record->place % (NR_PORTS + 1)),
		.event = htole16((uint16_t)(record->value % 10)),
		.value = htole16(record->size),
	};
	const struct guest_piece piece = {MESSAGES + 0x1000, sizeof(message), false};
	struct vring_used_elem elem;

	memcpy(guest_ram(&world->guest->mem, piece.at), &message, sizeof(message));
	guest_add(&world->queues[CONTROL_OUT], &piece, 1);
	virtio_service(&world->console.virtio);
	guest_take_used(&world->queues[CONTROL_OUT], &elem);
}

static void offer(struct world *world, const struct record *record)
{
	const unsigned queue = record->at % NR_QUEUES;
	const struct guest_piece piece = {
		.at = record->op & 0x40 ? record->place
					: GUEST_RAM_BASE + record->place % GUEST_RAM_SIZE,
		.size = record->size,
		.is_in = record->op & 0x80,
	};
	struct vring_used_elem elem;

	if (!piece.is_in)
		world->nr_offered += piece.size;
	guest_add(&world->queues[queue], &piece, 1);
	guest_notify(&world->device, queue);
	virtio_service(&world->console.virtio);
	guest_take_used(&world->queues[queue], &elem);
}

static void play_host(struct world *world, const struct record *record)
{
	const unsigned port = record->at % NR_PORTS;
	uint8_t bytes[600] = {0};
	size_t size;

	switch (record->value % 4) {
	case 0:
		if (port != VCONSOLE_PORT)
			world->is_connected[port] = record->place & 1;
		vconsole_set_connected(&world->console, port, world->is_connected[port]);
		break;
	case 1:
		size = vconsole_receive(&world->console, port, bytes, record->size % sizeof(bytes));
		require(size == 0 || port == VCONSOLE_PORT ||
			vconsole_get_state(&world->console, port).is_open);
		break;
	case 2:
		size = vconsole_peek(&world->console, port, bytes, record->size % sizeof(bytes));
		require(size == 0 || world->is_connected[port]);
		vconsole_consume(&world->console, port, size);
		world->nr_taken += size;
		break;
	default:
		vconsole_set_stalled(&world->console);
		break;
	}
}

static void run(struct world *world, const struct record *record)
{
	switch (record->op % 8) {
	case 0:
		guest_common_write(&world->device, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		start(world);
		break;
	case 1:
	case 2:
		say(world, record);
		break;
	case 3:
		hear(world);
		break;
	case 4:
	case 5:
		play_host(world, record);
		break;
	default:
		offer(world, record);
		break;
	}
	require(world->nr_taken <= world->nr_offered);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[NR_CHANNELS] = {"a", "org.example.second", "c"};
	static struct world world;
	struct virtio_setup setup;
	struct record record;

	log_init(LOG_ERROR);
	memset(&world, 0, sizeof(world));
	world.is_connected[VCONSOLE_PORT] = true;
	world.guest = guest_create();
	setup = guest_setup(world.guest);
	require(vconsole_init(&world.console, names, NR_CHANNELS, &setup) == 0);
	virtio_pci_init(&world.transport, &world.console.virtio);
	world.device = guest_probe(
		world.guest, (unsigned)pci_host_add(&world.guest->pci, &world.transport.function));
	start(&world);
	for (; size >= sizeof(record); data += sizeof(record), size -= sizeof(record)) {
		memcpy(&record, data, sizeof(record));
		run(&world, &record);
	}
	virtio_pci_done(&world.transport);
	vconsole_done(&world.console);
	guest_destroy(world.guest);
	return 0;
}
