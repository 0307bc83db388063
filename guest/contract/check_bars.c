/* SPDX-License-Identifier: Apache-2.0 */
/* BARs that are moved over each other and out of the way, also while requests are under way. */
#include "lab.h"

#define ROUNDS      100
#define MOVER_STACK (4 * PAGE_SIZE)

static uint64_t bar_of(const struct lab *lab, const struct virtio *virtio)
{
	return pci_config(&lab->pci, virtio->slot, PCI_BAR_0);
}

/* Chain 0 once more, with as many notifications as it takes. */
static bool request_until_done(struct lab *lab)
{
	const uint64_t start = now_ms();

	vring_offer(&lab->ring, 0);
	while (now_ms() - start < VIRTIO_PATIENCE_MS) {
		vring_notify(&lab->ring);
		for (unsigned i = 0; i < 1000; i++) {
			if (vring_take(&lab->ring, NULL, NULL))
				return true;
		}
	}
	return false;
}

enum place { ON_RNG, ON_RAM, ON_ECAM, BEHIND_WINDOW, AT_ZERO, AT_TOP };

struct place_case {
	char name[48];
	uint8_t place;
};

static const struct place_case places[] = {
	{"BAR: over that of another device", ON_RNG},
	{"BAR: over RAM", ON_RAM},
	{"BAR: over configuration space", ON_ECAM},
	{"BAR: behind the end of the window", BEHIND_WINDOW},
	{"BAR: at 0", AT_ZERO},
	{"BAR: at the highest address", AT_TOP},
};

static uint32_t place_of(const struct lab *lab, unsigned place)
{
	switch (place) {
	case ON_RNG:
		return mmio_read32(bar_of(lab, &lab->rng));
	case ON_RAM:
		return (uint32_t)lab->machine->ram_base;
	case ON_ECAM:
		return (uint32_t)lab->pci.ecam;
	case BEHIND_WINDOW:
		return (uint32_t)(lab->pci.window + lab->pci.window_size);
	case AT_ZERO:
		return 0;
	default:
		return ~0u;
	}
}

static void check_place(struct lab *lab, const struct place_case *c)
{
	const uint64_t bar = bar_of(lab, &lab->blk);
	const uint32_t home = mmio_read32(bar);
	bool ok = lab_start(lab, &lab->blk, lab->features, 0);

	blk_put(lab, BLK_OUT, 0, SECTOR_SIZE);
	mmio_write32(bar, place_of(lab, c->place));
	/* Whoever is at the place of the disk now, it is not the disk. */
	ok = mmio_read32(lab->blk.common + COMMON_DEVICE) == ~0u && ok;
	vring_notify(&lab->ring);
	mmio_write32(bar, home);
	ok = virtio_status(&lab->blk) & VIRTIO_DRIVER_OK && ok;
	ok = request_until_done(lab) && blk_works(lab) && rng_works(lab) && ok;
	tap_check(&lab->tap, ok, c->name);
}

static void check_decoding(struct lab *lab)
{
	const uint64_t command = pci_config(&lab->pci, lab->blk.slot, PCI_COMMAND);
	bool ok = lab_start(lab, &lab->blk, lab->features, 0);

	blk_put(lab, BLK_OUT, 0, SECTOR_SIZE);
	mmio_write16(command, PCI_COMMAND_MASTER);
	ok = mmio_read8(lab->blk.common + COMMON_STATUS) == 0xff && ok;
	pci_enable(&lab->pci, lab->blk.slot);
	tap_check(&lab->tap, ok && request_until_done(lab), "BAR: decoding off and on again");

	/* Without bus mastering it must not touch memory; with it, what waits is done. */
	mmio_write16(command, PCI_COMMAND_MEMORY);
	vring_offer(&lab->ring, 0);
	vring_notify(&lab->ring);
	for (const uint64_t start = now_ms(); now_ms() - start < 20;)
		ok = !vring_take(&lab->ring, NULL, NULL) && ok;
	pci_enable(&lab->pci, lab->blk.slot);
	tap_check(&lab->tap, ok && virtio_await(&lab->blk, &lab->ring, NULL, NULL) == ANSWER_DONE,
		  "BAR: no bus mastering, no requests");
}

/* struct mover - a vCPU that moves the rng's registers over the disk's and back */
struct mover {
	struct cpu cpu;
	uint64_t bar;
	uint32_t home, away;
	volatile uint32_t stop, stopped, nr_moves;
};

static void mover_main(struct cpu *cpu)
{
	struct mover *mover = cpu->arg;

	while (!mover->stop) {
		mmio_write32(mover->bar, mover->away);
		mmio_write32(mover->bar, mover->home);
		mover->nr_moves++;
	}
	barrier_full();
	mover->stopped = 1;
	psci_call(cpu->machine, PSCI_CPU_OFF, 0, 0, 0);
	cpu_park();
}

static bool await_mover(const struct mover *mover)
{
	const uint64_t start = now_ms();

	while (!mover->stopped) {
		if (now_ms() - start > VIRTIO_PATIENCE_MS)
			return false;
	}
	return true;
}

static void check_moving(struct lab *lab)
{
	static const char name[] = "BAR: moved to and fro by another vCPU during requests";
	struct mover *mover = (struct mover *)(uintptr_t)lab->free;
	bool ok = true;

	if (lab->machine->nr_cpus < 2) {
		tap_skip(&lab->tap, name, "one vCPU");
		return;
	}
	memset(mover, 0, sizeof(*mover));
	mover->bar = bar_of(lab, &lab->rng);
	mover->home = mmio_read32(mover->bar);
	mover->away = mmio_read32(bar_of(lab, &lab->blk));
	mover->cpu.stack_top = lab->free + PAGE_SIZE + MOVER_STACK;
	mover->cpu.entry = mover_main;
	mover->cpu.arg = mover;
	mover->cpu.console = lab->tap.console;
	ok = lab_start(lab, &lab->blk, lab->features, 0) &&
	     machine_start_cpu(lab->machine, 1, &mover->cpu);
	blk_put(lab, BLK_OUT, 0, SECTOR_SIZE);
	for (unsigned i = 0; i < ROUNDS && ok; i++)
		ok = request_until_done(lab);
	mover->stop = 1;
	barrier_full();
	ok = await_mover(mover) && ok;
	tap_note(&lab->tap, "%u moves during %u requests", mover->nr_moves, ROUNDS);
	tap_check(&lab->tap, ok && mover->nr_moves > 0, name);
	tap_check(&lab->tap, blk_works(lab) && rng_works(lab), "BAR: both work after that");
}

void check_bars(struct lab *lab)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		check_place(lab, &places[i]);
	check_decoding(lab);
	check_moving(lab);
}
