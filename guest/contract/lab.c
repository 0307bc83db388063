/* SPDX-License-Identifier: Apache-2.0 */
#include "lab.h"

#define PRIVATE_WORD 0x5ec7e75ec7e75ec7ull
#define TEST_SECTOR  7

/* Devices may be on the bus in any order; all BARs get a place before any is looked at. */
static bool assign_all(struct pci *pci)
{
	for (unsigned slot = 0; slot < PCI_NR_SLOTS; slot++) {
		if (pci_is_there(pci, slot) && !pci_assign(pci, slot))
			return false;
	}
	return true;
}

static void fill_private(const struct lab *lab)
{
	for (uint64_t i = 0; i < PRIVATE_SIZE; i += 8)
		mmio_write64(lab->private + i, PRIVATE_WORD + i);
	cache_flush((const void *)(uintptr_t)lab->private, PRIVATE_SIZE);
}

bool lab_is_private_intact(const struct lab *lab)
{
	cache_flush((const void *)(uintptr_t)lab->private, PRIVATE_SIZE);
	for (uint64_t i = 0; i < PRIVATE_SIZE; i += 8) {
		if (mmio_read64(lab->private + i) != PRIVATE_WORD + i)
			return false;
	}
	return true;
}

static bool missing(const struct lab *lab, const char *what)
{
	console_print(lab->tap.console, "Bail out! this machine has no %s\n", what);
	return false;
}

bool lab_find(struct lab *lab, struct virtio *virtio, unsigned id, unsigned nth)
{
	if (lab->has_pci)
		return virtio_find(virtio, &lab->pci, id, nth);
	return virtio_find_mmio(virtio, lab->machine, lab->realm.shared_bit, id, nth);
}

bool lab_open(struct lab *lab, struct machine *machine, struct console *console)
{
	lab->machine = machine;
	lab->tap.console = console;
	lab->hole = machine_hole(machine);
	lab->shared = machine->free_base;
	lab->private = lab->shared + SHARED_SIZE;
	lab->free = lab->private + PRIVATE_SIZE;
	lab->free_top = machine->free_top;
	if (lab->free >= lab->free_top)
		return missing(lab, "free memory");
	if (!realm_share(&lab->realm, lab->shared, SHARED_SIZE))
		return missing(lab, "memory that can be shared");
	fill_private(lab);
	lab->has_pci = pci_init(&lab->pci, machine, lab->realm.shared_bit);
	if (lab->has_pci && !assign_all(&lab->pci))
		return missing(lab, "room on the PCI bus");
	if (!lab_find(lab, &lab->blk, VIRTIO_ID_BLOCK, 0))
		return missing(lab, "disk");
	if (!lab_find(lab, &lab->rng, VIRTIO_ID_RNG, 0))
		return missing(lab, "rng");
	if (!lab_find(lab, &lab->console, VIRTIO_ID_CONSOLE, 0))
		return missing(lab, "console");
	lab->features = lab_base_features() | (virtio_offered(&lab->blk) & VIRTIO_F_INDIRECT);
	return true;
}

void *lab_at(const struct lab *lab, uint64_t offset)
{
	return (void *)(uintptr_t)((lab->shared | lab->realm.shared_bit) + offset);
}

uint64_t lab_base_features(void)
{
	return VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM;
}

bool lab_prepare(struct lab *lab, const struct virtio *virtio, uint64_t features, uint16_t index)
{
	if (!virtio_negotiate(virtio, features))
		return false;
	vring_init(&lab->ring, lab->shared + AT_RINGS, lab->realm.shared_bit, index,
		   virtio_queue_size(virtio, index));
	if (!lab->ring.size)
		return false;
	virtio_set_queue(virtio, &lab->ring);
	virtio_enable_queue(virtio, index);
	return true;
}

bool lab_go(const struct virtio *virtio)
{
	virtio_add_status(virtio, VIRTIO_DRIVER_OK);
	return !(virtio_status(virtio) & VIRTIO_NEEDS_RESET);
}

bool lab_start(struct lab *lab, const struct virtio *virtio, uint64_t features, uint16_t index)
{
	return lab_prepare(lab, virtio, features, index) && lab_go(virtio);
}

void blk_put(struct lab *lab, uint32_t type, uint64_t sector, uint32_t size)
{
	struct blk_header *header = lab_at(lab, AT_HEADER);
	const uint16_t in = type == BLK_IN ? DESC_WRITE : 0;
	const struct vdesc chain[3] = {
		{lab->shared + AT_HEADER, sizeof(*header), DESC_NEXT, 1},
		{lab->shared + AT_DATA, size, DESC_NEXT | in, 2},
		{lab->shared + AT_STATUS, 1, DESC_WRITE, 0},
	};

	*header = (struct blk_header){.type = type, .sector = sector};
	mmio_write8((uint64_t)(uintptr_t)lab_at(lab, AT_STATUS), BLK_FILL);
	for (unsigned i = 0; i < ARRAY_SIZE(chain); i++)
		vring_put(&lab->ring, i, &chain[i]);
	cache_flush(header, PAGE_SIZE);
	cache_flush(lab_at(lab, AT_DATA), DATA_SIZE);
}

uint64_t lab_read(uint64_t at, unsigned size)
{
	switch (size) {
	case 1:
		return mmio_read8(at);
	case 2:
		return mmio_read16(at);
	case 4:
		return mmio_read32(at);
	default:
		return mmio_read64(at);
	}
}

void lab_write(uint64_t at, unsigned size, uint64_t value)
{
	switch (size) {
	case 1:
		mmio_write8(at, (uint8_t)value);
		break;
	case 2:
		mmio_write16(at, (uint16_t)value);
		break;
	case 4:
		mmio_write32(at, (uint32_t)value);
		break;
	default:
		mmio_write64(at, value);
		break;
	}
}

bool lab_check(struct lab *lab, bool ok, const char *device, const char *what)
{
	char name[96];
	const size_t size = strlen(device);

	memcpy(name, device, size);
	memcpy(name + size, ": ", 2);
	memcpy(name + size + 2, what, strlen(what) + 1);
	return tap_check(&lab->tap, ok, name);
}

const char *lab_answer_name(enum virtio_answer answer)
{
	if (answer == ANSWER_DONE)
		return "done";
	return answer == ANSWER_NEEDS_RESET ? "NEEDS_RESET" : "nothing";
}

int blk_run(struct lab *lab)
{
	const uint8_t *status = lab_at(lab, AT_STATUS);
	enum virtio_answer answer;

	vring_offer(&lab->ring, 0);
	vring_notify(&lab->ring);
	answer = virtio_await(&lab->blk, &lab->ring, NULL, NULL);
	cache_flush(lab_at(lab, AT_HEADER), PAGE_SIZE);
	cache_flush(lab_at(lab, AT_DATA), DATA_SIZE);
	if (answer == ANSWER_DONE)
		return mmio_read8((uint64_t)(uintptr_t)status);
	tap_note(&lab->tap, "a request by the rules was answered with %s", lab_answer_name(answer));
	return -1;
}

static bool blk_moves_a_sector(struct lab *lab)
{
	const uint64_t data = (uint64_t)(uintptr_t)lab_at(lab, AT_DATA), stamp = now_ms() << 16;
	int status;

	for (unsigned i = 0; i < SECTOR_SIZE; i += 8)
		mmio_write64(data + i, stamp + i);
	blk_put(lab, BLK_OUT, TEST_SECTOR, SECTOR_SIZE);
	status = blk_run(lab);
	if (status != BLK_OK) {
		tap_note(&lab->tap, "write: status %d", status);
		return false;
	}
	for (unsigned i = 0; i < SECTOR_SIZE; i += 8)
		mmio_write64(data + i, 0);
	blk_put(lab, BLK_IN, TEST_SECTOR, SECTOR_SIZE);
	status = blk_run(lab);
	if (status != BLK_OK) {
		tap_note(&lab->tap, "read: status %d", status);
		return false;
	}
	for (unsigned i = 0; i < SECTOR_SIZE; i += 8) {
		if (mmio_read64(data + i) != stamp + i) {
			tap_note(&lab->tap, "read back: %lx at %u, not %lx", mmio_read64(data + i),
				 i, stamp + i);
			return false;
		}
	}
	return true;
}

bool blk_works(struct lab *lab)
{
	if (!lab_start(lab, &lab->blk, lab->features, 0)) {
		tap_note(&lab->tap, "the disk does not start, status %x", virtio_status(&lab->blk));
		return false;
	}
	return blk_moves_a_sector(lab);
}

bool blk_still_works(struct lab *lab)
{
	blk_put(lab, BLK_OUT, 0, SECTOR_SIZE);
	return !(virtio_status(&lab->blk) & VIRTIO_NEEDS_RESET) && blk_run(lab) == BLK_OK;
}

static bool one_buffer_works(struct lab *lab, const struct virtio *virtio, uint16_t index,
			     const struct vdesc *buffer, uint32_t *ret_written)
{
	enum virtio_answer answer = ANSWER_NONE;

	if (lab_start(lab, virtio, lab_base_features(), index)) {
		vring_put(&lab->ring, 0, buffer);
		vring_offer(&lab->ring, 0);
		vring_notify(&lab->ring);
		answer = virtio_await(virtio, &lab->ring, NULL, ret_written);
	}
	if (answer == ANSWER_DONE)
		return true;
	tap_note(&lab->tap, "a buffer by the rules was answered with %s, status %x",
		 lab_answer_name(answer), virtio_status(virtio));
	return false;
}

bool rng_works(struct lab *lab)
{
	const uint64_t data = (uint64_t)(uintptr_t)lab_at(lab, AT_DATA);
	const struct vdesc buffer = {lab->shared + AT_DATA, 64, DESC_WRITE, 0};
	uint64_t bits = 0;
	uint32_t written;

	for (unsigned i = 0; i < 64; i += 8)
		mmio_write64(data + i, 0);
	cache_flush(lab_at(lab, AT_DATA), 64);
	if (!one_buffer_works(lab, &lab->rng, 0, &buffer, &written))
		return false;
	cache_flush(lab_at(lab, AT_DATA), 64);
	for (unsigned i = 0; i < 64; i += 8)
		bits |= mmio_read64(data + i);
	return written > 0 && written <= 64 && bits;
}

bool console_works(struct lab *lab)
{
	const struct vdesc buffer = {lab->shared + AT_DATA, 1, 0, 0};
	uint32_t written;

	mmio_write8((uint64_t)(uintptr_t)lab_at(lab, AT_DATA), '\n');
	cache_flush(lab_at(lab, AT_DATA), 1);
	return one_buffer_works(lab, &lab->console, 1, &buffer, &written) && written == 0;
}
