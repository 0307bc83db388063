/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices and the host's memory accounting under load
 * ---------------------------------------------------
 * Each vCPU is a worker with memory of its own, so that none needs a lock (with the MMU off there
 * are no atomics). Half of them, at least one, drive a disk each, if there are as many. The others,
 * or the only one, churn: they share and unshare pages all the time.
 *
 * A disk's worker keeps a request in flight for each of its slots: one descriptor with a table, or
 * a chain of its own where tables are not offered. A slot is a run of shared pages between private
 * ones, and has a place of its own on the disk. What it does, in turns:
 *
 *	WRITE	a new pattern; done: READ
 *	READ	into wiped pages; done and equal: WRITE
 *
 * Now and then, in a realm, one of the slot's pages is unshared right behind the notification, and
 * filled with a private pattern. Such a request may be done or fail, but the private pattern must
 * stay, and so must the private pages around; the request is then repeated undisturbed.
 */
#include "lab.h"

#define MAX_SLOTS    8
#define SLOT_DATA    4 /* pages */
#define SLOT_PAGES   (1 + 1 + SLOT_DATA)
#define SLOT_SECTORS (SLOT_DATA * PAGE_SIZE / SECTOR_SIZE)
#define CHURN_PAGES  64
#define CHURN_RUN    4
#define STACK_SIZE   (4 * PAGE_SIZE)
#define STUCK_MS     60000u
#define DTB_MAX_SIZE SZ_2M

enum failure {
	FAILED_STUCK,
	FAILED_RESET,
	FAILED_STATUS,
	FAILED_DATA,
	FAILED_PRIVATE,
	FAILED_SHARED,
	FAILED_LEAK,
	FAILED_CALL,
	NR_FAILURES,
};

static const char failure_names[NR_FAILURES][64] = {
	[FAILED_STUCK] = "load: no request is stuck",
	[FAILED_RESET] = "load: no device asks for a reset",
	[FAILED_STATUS] = "load: no undisturbed request fails",
	[FAILED_DATA] = "load: what is read is what was written",
	[FAILED_PRIVATE] = "load: nothing but us changes private pages",
	[FAILED_SHARED] = "load: nothing but us changes shared pages",
	[FAILED_LEAK] = "load: a page that is shared shows nothing private",
	[FAILED_CALL] = "load: every page can be shared and unshared",
};

enum action { ACT_WRITE, ACT_READ };

/*
 * struct slot - a request after the other
 * @base: SLOT_PAGES pages: a private one, then header, status and table, then data
 * @seed: of the pattern in its place on the disk, or on the way there
 * @raced: the data page that was unshared behind the notification, or -1
 */
struct slot {
	uint64_t base;
	uint64_t sector, seed;
	uint64_t since;
	enum action action;
	int raced;
	bool in_flight;
};

struct churn_page {
	uint64_t seed;
	bool is_shared;
};

/* What all workers did, for the reports; each field has one writer. */
struct counts {
	volatile uint64_t nr_written, nr_verified, nr_raced_done, nr_raced_failed;
	volatile uint64_t nr_shared, nr_unshared;
	volatile uint64_t failures[NR_FAILURES];
	volatile uint64_t first_failure_at;
};

struct worker {
	struct cpu cpu;
	const struct lab *lab;
	bool has_disk, churns;
	volatile uint32_t stop, stopped;
	struct counts counts;
	uint64_t random;
	struct virtio blk;
	struct vring ring;
	unsigned nr_slots, nr_data;
	unsigned nr_entries; /* of the ring, for each slot */
	struct slot slots[MAX_SLOTS];
	uint64_t churn_base;
	struct churn_page churn[CHURN_PAGES];
};

#define WORKER_SIZE ((sizeof(struct worker) + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1))

static uint64_t next_random(struct worker *worker)
{
	worker->random ^= worker->random << 13;
	worker->random ^= worker->random >> 7;
	worker->random ^= worker->random << 17;
	return worker->random;
}

static void fail(struct worker *worker, enum failure failure, uint64_t at)
{
	if (!worker->counts.first_failure_at)
		worker->counts.first_failure_at = at;
	worker->counts.failures[failure]++;
}

/* Patterns. @at is where the guest reaches the page. */

static uint64_t pattern_word(uint64_t seed, unsigned i)
{
	return seed ^ (uint64_t)i * 0x9e3779b97f4a7c15ull;
}

static void fill(uint64_t at, uint64_t seed)
{
	for (unsigned i = 0; i < PAGE_SIZE; i += 8)
		mmio_write64(at + i, pattern_word(seed, i));
	cache_flush((const void *)(uintptr_t)at, PAGE_SIZE);
}

static bool is_filled(uint64_t at, uint64_t seed)
{
	cache_flush((const void *)(uintptr_t)at, PAGE_SIZE);
	for (unsigned i = 0; i < PAGE_SIZE; i += 8) {
		if (mmio_read64(at + i) != pattern_word(seed, i))
			return false;
	}
	return true;
}

/* A private page's own pattern, told by its address. */
static uint64_t guard_seed(uint64_t at)
{
	return ~at;
}

static uint64_t shared_at(const struct worker *worker, uint64_t at)
{
	return at | worker->lab->realm.shared_bit;
}

/* The disk. */

static uint64_t slot_meta(const struct slot *slot)
{
	return slot->base + PAGE_SIZE;
}

static uint64_t slot_data(const struct slot *slot, unsigned page)
{
	return slot->base + (2 + page) * PAGE_SIZE;
}

static uint64_t data_seed(const struct slot *slot, unsigned page)
{
	return slot->seed + page;
}

enum { META_HEADER = 0, META_STATUS = 64, META_TABLE = 128 };

static void describe(struct worker *worker, const struct slot *slot, unsigned index)
{
	const uint64_t meta = shared_at(worker, slot_meta(slot));
	const uint16_t in = slot->action == ACT_READ ? DESC_WRITE : 0;
	const unsigned nr = worker->nr_data + 2;
	const unsigned first = worker->nr_entries > 1 ? index * worker->nr_entries : 0;
	struct vdesc *table = (struct vdesc *)(uintptr_t)(meta + META_TABLE);
	const struct vdesc desc = {slot_meta(slot) + META_TABLE, nr * sizeof(*table), DESC_INDIRECT,
				   0};

	*(struct blk_header *)(uintptr_t)(meta + META_HEADER) = (struct blk_header){
		.type = slot->action == ACT_READ ? BLK_IN : BLK_OUT,
		.sector = slot->sector,
	};
	mmio_write8(meta + META_STATUS, BLK_FILL);
	table[0] = (struct vdesc){slot_meta(slot) + META_HEADER, sizeof(struct blk_header),
				  DESC_NEXT, (uint16_t)(first + 1)};
	for (unsigned i = 0; i < worker->nr_data; i++)
		table[i + 1] = (struct vdesc){slot_data(slot, i), PAGE_SIZE, DESC_NEXT | in,
					      (uint16_t)(first + i + 2)};
	table[nr - 1] = (struct vdesc){slot_meta(slot) + META_STATUS, 1, DESC_WRITE, 0};
	cache_flush((const void *)(uintptr_t)meta, PAGE_SIZE);
	if (worker->nr_entries == 1)
		vring_put(&worker->ring, index, &desc);
	for (unsigned i = 0; i < nr && worker->nr_entries > 1; i++)
		vring_put(&worker->ring, first + i, &table[i]);
}

static void race(struct worker *worker, struct slot *slot)
{
	const unsigned page = next_random(worker) % worker->nr_data;
	const uint64_t at = slot_data(slot, page);

	if (!realm_unshare(&worker->lab->realm, at, PAGE_SIZE)) {
		fail(worker, FAILED_CALL, at);
		return;
	}
	fill(at, guard_seed(at));
	slot->raced = (int)page;
}

static void submit(struct worker *worker, unsigned index)
{
	struct slot *slot = &worker->slots[index];

	if (slot->action == ACT_WRITE)
		slot->seed = next_random(worker);
	for (unsigned i = 0; i < worker->nr_data; i++)
		fill(shared_at(worker, slot_data(slot, i)),
		     slot->action == ACT_WRITE ? data_seed(slot, i) : 0);
	describe(worker, slot, index);
	slot->raced = -1;
	slot->since = now_ms();
	slot->in_flight = true;
	vring_offer(&worker->ring, (uint16_t)(index * worker->nr_entries));
	vring_notify(&worker->ring);
	if (worker->lab->realm.is_realm && next_random(worker) % 4 == 0)
		race(worker, slot);
}

/* Of a read that is done: all that was not taken from under it. */
static bool is_read_right(const struct worker *worker, const struct slot *slot)
{
	for (unsigned i = 0; i < worker->nr_data; i++) {
		if ((int)i != slot->raced &&
		    !is_filled(shared_at(worker, slot_data(slot, i)), data_seed(slot, i)))
			return false;
	}
	return true;
}

/* The page that was unshared is as we left it; share it again. */
static void end_race(struct worker *worker, struct slot *slot, uint8_t status)
{
	const uint64_t at = slot_data(slot, (unsigned)slot->raced);

	if (status == BLK_OK)
		worker->counts.nr_raced_done++;
	else
		worker->counts.nr_raced_failed++;
	if (status != BLK_OK && status != BLK_IOERR)
		fail(worker, FAILED_STATUS, at);
	if (!is_filled(at, guard_seed(at)))
		fail(worker, FAILED_PRIVATE, at);
	if (!realm_share(&worker->lab->realm, at, PAGE_SIZE))
		fail(worker, FAILED_CALL, at);
}

static void complete(struct worker *worker, struct slot *slot)
{
	const uint64_t meta = shared_at(worker, slot_meta(slot));
	const bool raced = slot->raced >= 0;
	uint8_t status;

	cache_flush((const void *)(uintptr_t)meta, PAGE_SIZE);
	status = mmio_read8(meta + META_STATUS);
	slot->in_flight = false;
	if (!raced && status != BLK_OK)
		fail(worker, FAILED_STATUS, slot->base);
	if (slot->action == ACT_READ && status == BLK_OK && !is_read_right(worker, slot))
		fail(worker, FAILED_DATA, slot->base);
	if (!is_filled(slot->base, guard_seed(slot->base)))
		fail(worker, FAILED_PRIVATE, slot->base);
	if (raced) {
		end_race(worker, slot, status);
	} else if (slot->action == ACT_WRITE) {
		worker->counts.nr_written++;
		slot->action = ACT_READ;
	} else {
		worker->counts.nr_verified++;
		slot->action = ACT_WRITE;
	}
}

static void look_for_trouble(struct worker *worker)
{
	for (unsigned i = 0; i < worker->nr_slots; i++) {
		struct slot *slot = &worker->slots[i];

		if (!slot->in_flight || now_ms() - slot->since < STUCK_MS)
			continue;
		fail(worker, FAILED_STUCK, slot->base);
		/* Once is enough. */
		slot->in_flight = false;
	}
}

static void take_all(struct worker *worker)
{
	uint32_t head;

	while (vring_take(&worker->ring, &head, NULL)) {
		const uint32_t index = head / worker->nr_entries;

		if (head % worker->nr_entries == 0 && index < worker->nr_slots &&
		    worker->slots[index].in_flight)
			complete(worker, &worker->slots[index]);
		else
			fail(worker, FAILED_DATA, head);
	}
	look_for_trouble(worker);
}

static void disk_step(struct worker *worker)
{
	for (unsigned i = 0; i < worker->nr_slots; i++) {
		if (!worker->slots[i].in_flight)
			submit(worker, i);
	}
	take_all(worker);
}

static bool has_requests(const struct worker *worker)
{
	for (unsigned i = 0; i < worker->nr_slots; i++) {
		if (worker->slots[i].in_flight)
			return true;
	}
	return false;
}

/* Sharing and unsharing. */

static void churn_check(struct worker *worker, unsigned page)
{
	const struct churn_page *state = &worker->churn[page];
	const uint64_t at = worker->churn_base + page * PAGE_SIZE;

	if (!is_filled(state->is_shared ? shared_at(worker, at) : at, state->seed))
		fail(worker, state->is_shared ? FAILED_SHARED : FAILED_PRIVATE, at);
}

static void churn_fill(struct worker *worker, unsigned page, bool shared)
{
	struct churn_page *state = &worker->churn[page];
	const uint64_t at = worker->churn_base + page * PAGE_SIZE;

	/* What was private a moment ago is not seen where everybody looks. */
	if (shared && !state->is_shared && is_filled(shared_at(worker, at), state->seed))
		fail(worker, FAILED_LEAK, at);
	state->seed = next_random(worker);
	state->is_shared = shared;
	fill(shared ? shared_at(worker, at) : at, state->seed);
}

/* A run of pages becomes shared, or private, whatever each of them was. */
static void churn_step(struct worker *worker)
{
	const struct realm *realm = &worker->lab->realm;
	const unsigned nr = 1 + next_random(worker) % CHURN_RUN;
	const unsigned page = next_random(worker) % (CHURN_PAGES - CHURN_RUN);
	const uint64_t at = worker->churn_base + page * PAGE_SIZE;
	const bool share = realm->is_realm && next_random(worker) % 2;

	for (unsigned i = 0; i < nr; i++)
		churn_check(worker, page + i);
	if (!(share ? realm_share(realm, at, nr * PAGE_SIZE)
		    : realm_unshare(realm, at, nr * PAGE_SIZE)))
		fail(worker, FAILED_CALL, at);
	for (unsigned i = 0; i < nr; i++)
		churn_fill(worker, page + i, share);
	if (share)
		worker->counts.nr_shared += nr;
	else
		worker->counts.nr_unshared += nr;
}

static void step(struct worker *worker)
{
	if (worker->has_disk)
		disk_step(worker);
	if (worker->churns)
		churn_step(worker);
}

static void finish(struct worker *worker)
{
	while (has_requests(worker))
		take_all(worker);
	for (unsigned i = 0; i < CHURN_PAGES && worker->churns; i++)
		churn_check(worker, i);
	if (worker->has_disk && virtio_status(&worker->blk) & VIRTIO_NEEDS_RESET)
		fail(worker, FAILED_RESET, worker->blk.slot);
	barrier_full();
	worker->stopped = 1;
}

static void worker_main(struct cpu *cpu)
{
	struct worker *worker = cpu->arg;

	while (!worker->stop)
		step(worker);
	finish(worker);
	psci_call(cpu->machine, PSCI_CPU_OFF, 0, 0, 0);
	cpu_park();
}

/* Setting up. */

/* struct room - RAM that is given out from the bottom */
struct room {
	uint64_t next, top;
};

static uint64_t room_take(struct room *room, uint64_t size)
{
	const uint64_t at = room->next;

	room->next += size;
	return room->next <= room->top ? at : 0;
}

static bool open_slots(struct worker *worker, struct room *room)
{
	const uint32_t seg_max = mmio_read32(worker->blk.config + BLK_SEG_MAX);

	unsigned nr_slots;

	worker->nr_data = seg_max < SLOT_DATA ? seg_max : SLOT_DATA;
	worker->nr_entries = worker->lab->features & VIRTIO_F_INDIRECT ? 1 : worker->nr_data + 2;
	nr_slots = worker->ring.size / worker->nr_entries;
	worker->nr_slots = nr_slots < MAX_SLOTS ? nr_slots : MAX_SLOTS;
	for (unsigned i = 0; i < worker->nr_slots; i++) {
		const uint64_t base = room_take(room, SLOT_PAGES * PAGE_SIZE);

		if (!base || !realm_share(&worker->lab->realm, base + PAGE_SIZE,
					  (SLOT_PAGES - 1) * PAGE_SIZE))
			return false;
		fill(base, guard_seed(base));
		worker->slots[i] = (struct slot){.base = base, .sector = i * SLOT_SECTORS};
	}
	return worker->nr_data > 0 && worker->nr_slots > 0;
}

static bool open_disk(struct worker *worker, struct room *room)
{
	const struct lab *lab = worker->lab;
	const uint64_t base = room_take(room, VRING_PAGES * PAGE_SIZE);

	if (!base || !realm_share(&lab->realm, base, VRING_PAGES * PAGE_SIZE) ||
	    !virtio_negotiate(&worker->blk, lab->features | (virtio_offered(&worker->blk) &
							     (BLK_F_SIZE_MAX | BLK_F_SEG_MAX))))
		return false;
	vring_init(&worker->ring, base, lab->realm.shared_bit, 0,
		   virtio_queue_size(&worker->blk, 0));
	virtio_set_queue(&worker->blk, &worker->ring);
	virtio_enable_queue(&worker->blk, 0);
	virtio_add_status(&worker->blk, VIRTIO_DRIVER_OK);
	return open_slots(worker, room);
}

static void open_churn(struct worker *worker, uint64_t base)
{
	worker->churn_base = base;
	for (unsigned i = 0; i < CHURN_PAGES; i++)
		churn_fill(worker, i, false);
}

/* The top of RAM, so that its whole size counts, unless the device tree is there. */
static struct room churn_room(const struct lab *lab, struct room *room)
{
	const struct machine *machine = lab->machine;
	const uint64_t size = machine->nr_cpus * CHURN_PAGES * PAGE_SIZE;
	const uint64_t dtb_end = (uint64_t)(uintptr_t)machine->fdt.base + DTB_MAX_SIZE;
	const uint64_t base = machine->ram_top - size;
	const uint64_t low = room_take(room, size);

	if (base >= dtb_end && base >= machine->free_top)
		return (struct room){base, machine->ram_top};
	return (struct room){low, low ? low + size : 0};
}

/* Worker @index of the run; NULL if there is no room or no disk for it. */
static struct worker *open_worker(struct lab *lab, unsigned index, struct room *room,
				  struct room *churn)
{
	const unsigned nr_cpus = lab->machine->nr_cpus;
	struct worker *worker = (struct worker *)(uintptr_t)room_take(room, WORKER_SIZE);
	const uint64_t stack = room_take(room, STACK_SIZE);

	if (!stack)
		return NULL;
	memset(worker, 0, sizeof(*worker));
	worker->lab = lab;
	worker->random = (index + 1) * 0x2545f4914f6cdd1dull;
	worker->cpu.stack_top = stack + STACK_SIZE;
	worker->cpu.entry = worker_main;
	worker->cpu.arg = worker;
	worker->cpu.console = lab->tap.console;
	worker->has_disk = index <= nr_cpus / 4 &&
			   lab_find(lab, &worker->blk, VIRTIO_ID_BLOCK, index);
	worker->churns = !worker->has_disk || nr_cpus == 1;
	if (worker->has_disk && !open_disk(worker, room))
		return NULL;
	if (worker->churns) {
		const uint64_t base = room_take(churn, CHURN_PAGES * PAGE_SIZE);

		if (!base)
			return NULL;
		open_churn(worker, base);
	}
	return worker;
}

/* The run. */

struct run {
	unsigned nr_workers;
	struct worker *workers[MACHINE_MAX_CPUS];
};

static void add_counts(const struct run *run, struct counts *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned i = 0; i < run->nr_workers; i++) {
		const struct counts *counts = &run->workers[i]->counts;

		sum->nr_written += counts->nr_written;
		sum->nr_verified += counts->nr_verified;
		sum->nr_raced_done += counts->nr_raced_done;
		sum->nr_raced_failed += counts->nr_raced_failed;
		sum->nr_shared += counts->nr_shared;
		sum->nr_unshared += counts->nr_unshared;
		for (unsigned f = 0; f < NR_FAILURES; f++)
			sum->failures[f] += counts->failures[f];
		if (!sum->first_failure_at)
			sum->first_failure_at = counts->first_failure_at;
	}
}

static void report(struct lab *lab, const struct run *run, const char *what, uint64_t ms)
{
	struct counts sum;

	add_counts(run, &sum);
	tap_note(&lab->tap,
		 "%s %lu.%lu s: requests written %lu verified %lu raced %lu (failed %lu), "
		 "pages shared %lu unshared %lu",
		 what, ms / 1000, ms % 1000 / 100, sum.nr_written, sum.nr_verified,
		 sum.nr_raced_done + sum.nr_raced_failed, sum.nr_raced_failed, sum.nr_shared,
		 sum.nr_unshared);
}

static bool stop_all(const struct run *run)
{
	const uint64_t start = now_ms();
	bool ok = true;

	for (unsigned i = 0; i < run->nr_workers; i++)
		run->workers[i]->stop = 1;
	barrier_full();
	finish(run->workers[0]);
	for (unsigned i = 0; i < run->nr_workers; i++) {
		while (!run->workers[i]->stopped && now_ms() - start < 2 * STUCK_MS)
			;
		ok = run->workers[i]->stopped && ok;
	}
	return ok;
}

static void judge(struct lab *lab, const struct run *run, bool stopped)
{
	struct tap *tap = &lab->tap;
	struct counts sum;

	add_counts(run, &sum);
	tap_check(tap, stopped, "load: every vCPU comes to its end");
	for (unsigned f = 0; f < NR_FAILURES; f++) {
		if (!tap_check(tap, sum.failures[f] == 0, failure_names[f]))
			tap_note(tap, "%lu times; the first failure of all was at %lx",
				 sum.failures[f], sum.first_failure_at);
	}
	tap_check(tap, sum.nr_verified > 0, "load: requests were made");
	tap_check(tap, !lab->realm.is_realm || (sum.nr_shared > 0 && sum.nr_unshared > 0),
		  "load: pages were shared and unshared");
	tap_check(tap, !lab->realm.is_realm || sum.nr_raced_done + sum.nr_raced_failed > 0,
		  "load: pages were unshared under requests");
}

static bool open_run(struct lab *lab, struct run *run)
{
	struct room room = {lab->free, lab->free_top};
	struct room churn = churn_room(lab, &room);

	for (unsigned i = 0; i < lab->machine->nr_cpus; i++) {
		run->workers[i] = open_worker(lab, i, &room, &churn);
		if (!run->workers[i])
			return false;
		run->nr_workers++;
	}
	for (unsigned i = 1; i < run->nr_workers; i++) {
		if (!machine_start_cpu(lab->machine, i, &run->workers[i]->cpu))
			return false;
	}
	return run->workers[0]->has_disk;
}

void load_run(struct lab *lab, unsigned seconds)
{
	struct run run = {0};
	uint64_t start, said;

	if (!tap_check(&lab->tap, open_run(lab, &run), "load: begins"))
		return;
	tap_note(&lab->tap, "%s of %lu MiB, %u vCPUs, %u requests of %u KiB in flight on a disk",
		 lab->realm.is_realm ? "a realm" : "a plain VM",
		 (lab->machine->ram_top - lab->machine->ram_base) >> 20, run.nr_workers,
		 run.workers[0]->nr_slots, run.workers[0]->nr_data * 4);
	start = said = now_ms();
	while (now_ms() - start < seconds * 1000ull) {
		step(run.workers[0]);
		if (now_ms() - said < 5000)
			continue;
		said = now_ms();
		report(lab, &run, "after", said - start);
	}
	judge(lab, &run, stop_all(&run));
	report(lab, &run, "LOAD", now_ms() - start);
}
