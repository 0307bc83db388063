/* SPDX-License-Identifier: Apache-2.0 */
/* about: src/virtio/virtio_pci.c src/virtio/virtio.c src/virtio/blk.c src/virtio/vconsole.c */
/*
 * links: tests/fake/any_disk.c src/virtio/vconsole.c src/virtio/vconsole_control.c
 *	src/virtio/vrng.c src/virtio/blk.c src/host/disk.c src/virtio/virtio_pci.c
 *	src/virtio/virtio.c src/virtio/virtq.c src/virtio/virtq_chain.c src/virtio/mem.c
 *	src/pci/host.c src/pci/function.c src/pci/msix.c src/util/log.c src/util/err.c
 *	tests/fake/virtio_guest.c tests/fake/fake_aio.c
 */
/*
 * A guest that may do anything to the registers of a console, a disk and an rng, to its memory and
 * to the state of its pages. Whatever it does,
 *   - a live device has accepted features, all of them offered and the mandatory ones among them,
 *   - no more buffers are in flight than a queue has entries,
 *   - no memory stays pinned but for requests that are in flight, and these keep the disk busy,
 *   - the interrupt line is up exactly while ISR is set, MSI-X off and the line not disabled,
 *   - a page that is private does not change.
 *
 * Input: 8-byte records {op, argument, 16-bit place, 32-bit value}.
 */
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/log.h"
#include "ccr/vconsole.h"
#include "ccr/virtio_pci.h"
#include "ccr/vrng.h"
#include "../fake/any_disk.h"
#include "fuzz.h"

#define NR_DEVICES 3
#define BLK        1 /* of them */

struct machine {
	struct any_disk disk;
	struct guest *guest; /* the disk's */
	struct vconsole console;
	struct vrng rng;
	struct virtio_dev *devs[NR_DEVICES];
	struct virtio_pci transports[NR_DEVICES];
};

/* No time passes: what the rng does then depends on the input alone. */
static uint64_t no_time(void)
{
	return 0;
}

static void create(struct machine *m)
{
	struct virtio_setup setup;

	any_disk_create(&m->disk);
	m->guest = m->disk.guest;
	setup = guest_setup(m->guest);
	require(vconsole_init(&m->console, NULL, 0, &setup) == 0);
	vrng_init(&m->rng, &setup, no_time);
	m->devs[0] = &m->console.virtio;
	m->devs[BLK] = &m->disk.blk.virtio;
	m->devs[2] = &m->rng.virtio;
	for (unsigned i = 0; i < NR_DEVICES; i++) {
		virtio_pci_init(&m->transports[i], m->devs[i]);
		require(pci_host_add(&m->guest->pci, &m->transports[i].function) == (int)i);
	}
}

static void check_device(const struct machine *m, unsigned slot)
{
	const struct virtio_pci *transport = &m->transports[slot];
	const uint16_t command = pci_command(&transport->function);
	const bool line = transport->isr && !pci_msix_is_enabled(&transport->function) &&
			  !(command & PCI_COMMAND_INTX_DISABLE);

	require(m->guest->intx[slot] == line);
	any_disk_check_device(m->devs[slot]);
}

static void check(const struct machine *m)
{
	any_disk_check(&m->disk);
	for (unsigned i = 0; i < NR_DEVICES; i++)
		check_device(m, i);
}

static void play_console(struct machine *m, const struct any_disk_record *r)
{
	uint8_t bytes[256] = {0};

	if (r->argument & 1)
		vconsole_receive(&m->console, VCONSOLE_PORT, bytes, r->argument);
	else if (r->argument & 2)
		vconsole_set_stalled(&m->console);
	else
		vconsole_consume(&m->console, VCONSOLE_PORT,
				 vconsole_peek(&m->console, VCONSOLE_PORT, bytes, sizeof(bytes)));
}

static void service(struct machine *m, unsigned slot)
{
	if (slot == BLK)
		any_disk_work(&m->disk);
	else
		virtio_service(m->devs[slot]);
}

static void play(struct machine *m, const struct any_disk_record *r)
{
	const unsigned slot = r->argument % NR_DEVICES, size = 1u << (r->op >> 4 & 3);
	const uint64_t value = r->value & ~0ull >> (64 - 8 * size);
	const unsigned bar = r->op >> 7;
	const uint64_t base = m->transports[slot].function.mapped[bar];
	const uint64_t at = base + r->place % (bar ? 0x1000 : 0x4000);

	switch (r->op & 7) {
	case 0:
		guest_config_write(m->guest, slot, r->place & 0xff, size, value);
		break;
	case 1:
		guest_config_read(m->guest, slot, r->place & 0xff, size);
		break;
	case 2:
		if (base)
			guest_mem_write(m->guest, at, size, value);
		break;
	case 3:
		if (base)
			guest_mem_read(m->guest, at, size);
		break;
	case 4:
		any_disk_play_memory(&m->disk, r);
		break;
	case 5:
		service(m, slot);
		break;
	case 6:
		play_console(m, r);
		break;
	default:
		if (slot == BLK)
			any_disk_play_host(&m->disk, r);
		else
			vrng_wait_ns(&m->rng);
		break;
	}
}

static void destroy(struct machine *m)
{
	any_disk_finish(&m->disk);
	for (unsigned i = 0; i < NR_DEVICES; i++)
		virtio_pci_done(&m->transports[i]);
	vconsole_done(&m->console);
	vrng_done(&m->rng);
	any_disk_destroy(&m->disk);
	free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct any_disk_record record;

	require(m != NULL);
	log_init(LOG_ERROR); /* not a word about each rule that is broken */
	create(m);
	for (size_t at = 0; size - at >= sizeof(record); at += sizeof(record)) {
		memcpy(&record, data + at, sizeof(record));
		play(m, &record);
		check(m);
	}
	destroy(m);
	return 0;
}
