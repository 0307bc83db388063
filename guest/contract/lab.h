/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio devices under a driver that breaks one rule at a time. After each breach the device must
 * have answered as the specification lets it, with NEEDS_RESET or an error; the machine must still
 * run; and after a reset the device must work as if nothing had been.
 */
#ifndef GUEST_CONTRACT_LAB_H
#define GUEST_CONTRACT_LAB_H

#include "lib/arch.h"
#include "lib/machine.h"
#include "lib/pci.h"
#include "lib/realm.h"
#include "lib/tap.h"
#include "lib/virtio.h"

#define SECTOR_SIZE 512u

#define BLK_IN     0u
#define BLK_OUT    1u
#define BLK_FLUSH  4u
#define BLK_GET_ID 8u

#define BLK_OK     0u
#define BLK_IOERR  1u
#define BLK_UNSUPP 2u
#define BLK_FILL   0xeeu /* what the status byte is before */

/* Configuration of a disk. */
#define BLK_CAPACITY   0
#define BLK_SIZE_MAX   8
#define BLK_SEG_MAX    12
#define BLK_F_SIZE_MAX VIRTIO_F(1)
#define BLK_F_SEG_MAX  VIRTIO_F(2)
#define BLK_F_FLUSH    VIRTIO_F(9)
#define BLK_F_WCE      VIRTIO_F(11)
#define BLK_F_DISCARD  VIRTIO_F(13)
#define BLK_WCE        32

struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};

/* Where things are in the shared pages. */
#define AT_RINGS     0
#define AT_HEADER    (VRING_PAGES * PAGE_SIZE)
#define AT_STATUS    (AT_HEADER + 512)
#define AT_TABLE     (AT_HEADER + 1024)
#define AT_DATA      (AT_HEADER + PAGE_SIZE)
#define DATA_SIZE    (4 * PAGE_SIZE)
#define AT_IDLE      (AT_DATA + DATA_SIZE)
#define SHARED_SIZE  (AT_IDLE + VRING_PAGES * PAGE_SIZE)
#define PRIVATE_SIZE PAGE_SIZE

/**
 * struct lab - the run
 * @hole: a page that is neither RAM nor a device
 * @shared: SHARED_SIZE bytes, without the shared bit; AT_* are offsets in it
 * @private: PRIVATE_SIZE bytes right behind, private in a realm, filled with a pattern
 * @free, @free_top: RAM for who needs more
 * @has_pci: devices are on the @pci bus, and not in places of their own
 * @is_vsock_elsewhere: its packets are a back end's
 * @features: what a driver that keeps the rules accepts of @blk
 */
struct lab {
	struct tap tap;
	struct machine *machine;
	struct cpu *cpu;
	struct realm realm;
	struct pci pci;
	bool has_pci;
	bool is_vsock_elsewhere;
	struct virtio blk, rng, console;
	struct vring ring;
	uint64_t hole, shared, private;
	uint64_t free, free_top;
	uint64_t features;
	uint8_t config[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
};

_Static_assert(sizeof(struct lab) <= GUEST_SCRATCH_SIZE, "guest.lds");

/* lab.c */

/** lab_open() - find devices and memory. Return: false, with a line about what is missing. */
bool lab_open(struct lab *lab, struct machine *machine, struct console *console);

/** lab_find() - number @nth of the devices of type @id, wherever they are */
bool lab_find(struct lab *lab, struct virtio *virtio, unsigned id, unsigned nth);

/** lab_at() - where the guest itself reaches a place of the shared memory */
void *lab_at(const struct lab *lab, uint64_t offset);

/** lab_read(), lab_write() - an access of 1, 2, 4 or 8 bytes, to whatever is there */
uint64_t lab_read(uint64_t at, unsigned size);
void lab_write(uint64_t at, unsigned size, uint64_t value);

/** lab_prepare() - from reset to queue 0 or @index of a device in working order, by the rules */
bool lab_prepare(struct lab *lab, const struct virtio *virtio, uint64_t features, uint16_t index);

/** lab_go() - DRIVER_OK. Return: whether the device is content */
bool lab_go(const struct virtio *virtio);

/** lab_start() - both */
bool lab_start(struct lab *lab, const struct virtio *virtio, uint64_t features, uint16_t index);

/** lab_base_features() - what every device needs */
uint64_t lab_base_features(void);

/** lab_is_private_intact() - nobody has written to the private page */
bool lab_is_private_intact(const struct lab *lab);

/** blk_put() - a request by the rules, of @size bytes of data, in descriptors 0 to 2 */
void blk_put(struct lab *lab, uint32_t type, uint64_t sector, uint32_t size);

/** blk_run() - offer chain 0 and wait. Return: the status byte, or -1 with a line about it. */
int blk_run(struct lab *lab);

/** blk_works() - reset and start the disk, write a sector, read it back; noted if it fails */
bool blk_works(struct lab *lab);

/** blk_still_works() - without a reset: what was set in motion before still is */
bool blk_still_works(struct lab *lab);

/** rng_works() - the same of the rng: it fills a buffer */
bool rng_works(struct lab *lab);

/** console_works() - the same of the console: it takes an empty line */
bool console_works(struct lab *lab);

/** lab_check() - tap_check() of a check that several devices have: its name is "@device: @what" */
bool lab_check(struct lab *lab, bool ok, const char *device, const char *what);

/** lab_answer_name() - for diagnostics */
const char *lab_answer_name(enum virtio_answer answer);

/* The checks, in the order main.c runs them. */
void check_discovery(struct lab *lab);
void check_chains(struct lab *lab);
void check_rings(struct lab *lab);
void check_status(struct lab *lab);
void check_reset(struct lab *lab);
void check_others(struct lab *lab);
void check_each(struct lab *lab);
void check_channels(struct lab *lab);
void check_balloon(struct lab *lab);
void check_mmio(struct lab *lab);
void check_registers(struct lab *lab);
void check_unaligned(struct lab *lab);
void check_bars(struct lab *lab);
void check_9p(struct lab *lab);
void check_ranges(struct lab *lab);
void check_network(struct lab *lab);
void check_vsock(struct lab *lab);

/* load.c */

/** load_run() - the load for @seconds, as TAP */
void load_run(struct lab *lab, unsigned seconds);

#endif
