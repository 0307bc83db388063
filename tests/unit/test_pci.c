/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/pci/host.c src/pci/function.c src/pci/msix.c tests/fake/virtio_guest.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "ccr/pci.h"
#include "../fake/virtio_guest.h"

#define BAR0 PCI_BASE_ADDRESS_0
#define BAR1 PCI_BASE_ADDRESS_1

/* A function with two BARs of one register each. */
struct thing {
	struct pci_function function;
	uint64_t offset, value;
	unsigned size;
	unsigned nr_changes;
};

struct bench {
	struct guest *guest;
	struct thing things[2];
};

static uint64_t thing_read(void *self, uint64_t offset, unsigned size)
{
	struct thing *thing = self;

	thing->offset = offset;
	thing->size = size;
	return 0x42;
}

static void thing_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
	struct thing *thing = self;

	thing->offset = offset;
	thing->size = size;
	thing->value = value;
}

static void thing_changed(void *self)
{
	struct thing *thing = self;

	thing->nr_changes++;
}

static const struct bus_ops thing_ops = {thing_read, thing_write};

static const struct pci_type thing_type = {
	.name = "thing",
	.bars = {{0x1000, &thing_ops}, {0x4000, &thing_ops}},
	.control_changed = thing_changed,
};

/* Two functions as they are when the machine starts. */
static int fresh_begin(void **state)
{
	static const struct pci_ids ids = {0x1234, 0x5678, 0x9abc, 0xdef0, 0x112233, 0x44};
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->guest = guest_create();
	assert_non_null(b->guest);
	for (unsigned i = 0; i < 2; i++) {
		pci_function_init(&b->things[i].function, &thing_type, &ids, &b->things[i]);
		assert_int_equal(pci_host_add(&b->guest->pci, &b->things[i].function), i);
	}
	*state = b;
	return 0;
}

/* The same, but no BAR is where it would answer. */
static int bench_begin(void **state)
{
	struct bench *b;

	fresh_begin(state);
	b = *state;
	for (unsigned i = 0; i < 2; i++) {
		guest_config_write(b->guest, i, BAR0, 4, 0);
		guest_config_write(b->guest, i, BAR1, 4, 0);
	}
	return 0;
}

static int bench_end(void **state)
{
	struct bench *b = *state;

	guest_destroy(b->guest);
	free(b);
	return 0;
}

static void set(struct bench *b, unsigned slot, unsigned reg, unsigned size, uint64_t value)
{
	guest_config_write(b->guest, slot, reg, size, value);
}

static uint64_t get(struct bench *b, unsigned slot, unsigned reg, unsigned size)
{
	return guest_config_read(b->guest, slot, reg, size);
}

static void assert_event(const struct bench *b, unsigned index, struct guest_bar_event expected)
{
	const struct guest_bar_event *event = &b->guest->bar_events[index];

	assert_int_equal(event->slot, expected.slot);
	assert_int_equal(event->bar, expected.bar);
	assert_int_equal(event->base, expected.base);
	assert_int_equal(event->mapped, expected.mapped);
}

static void test_identity(void **state)
{
	struct bench *b = *state;

	assert_int_equal(get(b, 0, PCI_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(get(b, 1, PCI_DEVICE_ID, 2), 0x5678);
	assert_int_equal(get(b, 0, PCI_CLASS_REVISION, 4), 0x11223344);
	assert_int_equal(get(b, 0, PCI_SUBSYSTEM_VENDOR_ID, 4), 0xdef09abc);
	assert_int_equal(get(b, 0, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(get(b, 0, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(get(b, 0, 0x100, 4), 0);
}

static void test_nobody_there(void **state)
{
	struct bench *b = *state;
	struct pci_host *host = &b->guest->pci;

	assert_int_equal(get(b, 2, 0, 4), 0xffffffff);
	assert_int_equal(get(b, 31, 0, 1), 0xff);
	/* Another function, another bus, the last byte of the segment. */
	assert_int_equal(pci_ecam_ops.read(host, 0x1000, 4), 0xffffffff);
	assert_int_equal(pci_ecam_ops.read(host, 0x100000, 2), 0xffff);
	assert_int_equal(pci_ecam_ops.read(host, 0xfffffff, 1), 0xff);
	pci_ecam_ops.write(host, 0x100004, 4, ~0ull);
}

static void test_odd_accesses(void **state)
{
	struct bench *b = *state;

	assert_int_equal(get(b, 0, 0, 8), ~0ull);
	assert_int_equal(get(b, 0, 1, 2), 0xffff);
	assert_int_equal(get(b, 0, 2, 4), 0xffffffff);
	/* Straddles into the next function. */
	assert_int_equal(get(b, 0, 0xfff, 2), 0xffff);
	set(b, 0, PCI_COMMAND, 8, ~0ull);
	set(b, 0, PCI_COMMAND + 1, 2, ~0ull);
	assert_int_equal(get(b, 0, PCI_COMMAND, 2), 0);
}

static void test_read_only_bits(void **state)
{
	struct bench *b = *state;

	for (unsigned reg = 0; reg < 0x100; reg += 4)
		set(b, 0, reg, 4, 0xffffffff);
	assert_int_equal(get(b, 0, PCI_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(get(b, 0, PCI_COMMAND, 2),
			 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(get(b, 0, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	assert_int_equal(get(b, 0, BAR0, 4), 0xfffff000);
	assert_int_equal(get(b, 0, BAR1, 4), 0xffffc000);
	assert_int_equal(get(b, 0, PCI_BASE_ADDRESS_2, 4), 0);
	assert_int_equal(get(b, 0, PCI_ROM_ADDRESS, 4), 0);
	assert_int_equal(get(b, 0, PCI_INTERRUPT_LINE, 2), 0x01ff);
	assert_int_equal(b->guest->nr_bar_events, 0);
}

static void test_byte_writes(void **state)
{
	struct bench *b = *state;

	set(b, 0, BAR0 + 3, 1, 0x50);
	set(b, 0, BAR0 + 1, 1, 0xff);
	assert_int_equal(get(b, 0, BAR0, 4), 0x5000f000);
}

static void test_bar_answers(void **state)
{
	struct bench *b = *state;

	set(b, 0, BAR0, 4, GUEST_PCI_BASE + 0x5000);
	assert_int_equal(guest_mem_read(b->guest, GUEST_PCI_BASE + 0x5004, 4), 0xffffffff);
	set(b, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(b->things[0].nr_changes, 1);
	assert_int_equal(b->guest->nr_bar_events, 1);
	assert_event(b, 0, (struct guest_bar_event){0, 0, GUEST_PCI_BASE + 0x5000, true});

	assert_int_equal(guest_mem_read(b->guest, GUEST_PCI_BASE + 0x5004, 4), 0x42);
	assert_int_equal(b->things[0].offset, 4);
	guest_mem_write(b->guest, GUEST_PCI_BASE + 0x5ff8, 8, 77);
	assert_int_equal(b->things[0].offset, 0xff8);
	assert_int_equal(b->things[0].value, 77);

	set(b, 0, PCI_COMMAND, 2, 0);
	assert_event(b, 1, (struct guest_bar_event){0, 0, GUEST_PCI_BASE + 0x5000, false});
	assert_int_equal(guest_mem_read(b->guest, GUEST_PCI_BASE + 0x5004, 2), 0xffff);
}

/* Guests that assign nothing find every BAR somewhere, and all of them apart. */
static void test_bars_have_places(void **state)
{
	struct bench *b = *state;

	assert_int_equal(get(b, 0, BAR0, 4), GUEST_PCI_BASE);
	assert_int_equal(get(b, 0, BAR1, 4), GUEST_PCI_BASE + 0x4000);
	assert_int_equal(get(b, 1, BAR0, 4), GUEST_PCI_BASE + 0x8000);
	assert_int_equal(get(b, 1, BAR1, 4), GUEST_PCI_BASE + 0xc000);
	assert_int_equal(b->guest->nr_bar_events, 0);
	set(b, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	set(b, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(b->guest->nr_bar_events, 4);
}

static void test_no_room_in_the_window(void **state)
{
	static const struct pci_type large = {.name = "large", .bars = {{0x40000000, &thing_ops}}};
	static const struct pci_ids ids = {.vendor = 1};
	struct bench *b = *state;
	struct pci_function function;

	pci_function_init(&function, &large, &ids, &b->things[0]);
	assert_int_equal(pci_host_add(&b->guest->pci, &function), -ENOSPC);
	assert_int_equal(get(b, 2, 0, 4), 0xffffffff);
}

static void test_straddling_a_bar(void **state)
{
	struct bench *b = *state;

	set(b, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	set(b, 0, BAR0, 4, GUEST_PCI_BASE + 0x1000);
	b->things[0].size = 0;
	assert_int_equal(guest_mem_read(b->guest, GUEST_PCI_BASE + 0x1ffc, 8), ~0ull);
	assert_int_equal(guest_mem_read(b->guest, GUEST_PCI_BASE + 0xffe, 4), 0xffffffff);
	assert_int_equal(b->things[0].size, 0);
}

static void test_move(void **state)
{
	struct bench *b = *state;

	set(b, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	set(b, 0, BAR0, 4, GUEST_PCI_BASE);
	set(b, 0, BAR0, 4, GUEST_PCI_BASE + 0x10000);
	assert_int_equal(b->guest->nr_bar_events, 3);
	assert_event(b, 1, (struct guest_bar_event){0, 0, GUEST_PCI_BASE, false});
	assert_event(b, 2, (struct guest_bar_event){0, 0, GUEST_PCI_BASE + 0x10000, true});
	/* The same again is no change. */
	set(b, 0, BAR0, 4, GUEST_PCI_BASE + 0x10000);
	assert_int_equal(b->guest->nr_bar_events, 3);
}

static void test_outside_the_window(void **state)
{
	struct bench *b = *state;
	static const uint32_t places[] = {0, 0x1000, 0x4ffff000, 0x80000000, 0xfffff000};

	set(b, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		set(b, 0, BAR0, 4, places[i]);
	assert_int_equal(b->guest->nr_bar_events, 0);
	set(b, 0, BAR0, 4, 0x7ffff000);
	assert_int_equal(b->guest->nr_bar_events, 1);
	/* The larger one sticks out. */
	set(b, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	set(b, 1, BAR1, 4, 0x80000000 - 0x4000);
	assert_int_equal(b->guest->nr_bar_events, 1);
}

/* Two BARs at one place: the lower slot has it, and hands it over when it leaves. */
static void test_overlap(void **state)
{
	struct bench *b = *state;

	set(b, 0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	set(b, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	set(b, 1, BAR1, 4, GUEST_PCI_BASE);
	set(b, 0, BAR0, 4, GUEST_PCI_BASE + 0x2000);
	assert_int_equal(b->guest->nr_bar_events, 3);
	assert_event(b, 1, (struct guest_bar_event){1, 1, GUEST_PCI_BASE, false});
	assert_event(b, 2, (struct guest_bar_event){0, 0, GUEST_PCI_BASE + 0x2000, true});

	set(b, 0, PCI_COMMAND, 2, 0);
	assert_int_equal(b->guest->nr_bar_events, 5);
	assert_event(b, 3, (struct guest_bar_event){0, 0, GUEST_PCI_BASE + 0x2000, false});
	assert_event(b, 4, (struct guest_bar_event){1, 1, GUEST_PCI_BASE, true});
}

static void test_interrupt_line(void **state)
{
	struct bench *b = *state;

	pci_set_intx(&b->things[1].function, true);
	assert_true(b->guest->intx[1]);
	assert_int_equal(get(b, 1, PCI_STATUS, 2), PCI_STATUS_CAP_LIST | PCI_STATUS_INTERRUPT);
	assert_int_equal(get(b, 0, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	pci_set_intx(&b->things[1].function, false);
	assert_false(b->guest->intx[1]);
}

/* With the shared bit or without, the doorbell is the same one. */
static void test_doorbell(void **state)
{
	struct bench *b = *state;
	const struct msix_message low = {0x3ffe0040, 9}, high = {0x3ffe0040 | GUEST_SHARED_BIT, 9};

	pci_signal_msi(&b->things[1].function, 2, &low);
	pci_signal_msi(&b->things[1].function, 3, &high);
	assert_int_equal(b->guest->nr_msis, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(b->guest->msis[i].address, 0x3ffe0040);
		assert_int_equal(b->guest->msis[i].data, 9);
		assert_int_equal(b->guest->msis[i].device_id, 8);
		assert_int_equal(b->guest->msis[i].slot, 1);
		assert_int_equal(b->guest->msis[i].vector, 2 + i);
	}
}

static void test_capabilities(void **state)
{
	struct bench *b = *state;
	struct pci_function *function = &b->things[0].function;
	static const uint8_t vendor[6] = {PCI_CAP_ID_VNDR, 0xee, 6, 1, 2, 3};
	static const uint8_t mask[6] = {0, 0, 0, 0, 0xff, 0};
	static const struct msix_ops ops = {0};
	struct msix msix;

	msix_init(&msix, 5, &ops, NULL);
	assert_int_equal(pci_add_capability(function, vendor, mask, sizeof(vendor)), 0x40);
	assert_int_equal(pci_add_msix(function, &msix, 1), 0);
	assert_int_equal(get(b, 0, PCI_CAPABILITY_LIST, 1), 0x40);
	assert_int_equal(get(b, 0, 0x41, 1), 0x48);
	assert_int_equal(get(b, 0, 0x48, 4), 0x00040011);
	assert_int_equal(get(b, 0, 0x4c, 4), 0x001);
	assert_int_equal(get(b, 0, 0x50, 4), 0x801);
	set(b, 0, 0x44, 4, 0);
	assert_int_equal(get(b, 0, 0x44, 4), 0x0300);

	assert_false(pci_msix_is_enabled(function));
	set(b, 0, 0x4a, 2, 0xffff);
	assert_int_equal(get(b, 0, 0x4a, 2), 0xc004);
	assert_true(pci_msix_is_enabled(function));
	assert_true(msix.is_enabled);
	assert_true(msix.is_masked);
	assert_int_equal(b->things[0].nr_changes, 1);
	msix_done(&msix);
}

static void test_no_room_for_capability(void **state)
{
	struct bench *b = *state;
	static const uint8_t bytes[0x60] = {PCI_CAP_ID_VNDR};

	assert_int_equal(pci_add_capability(&b->things[0].function, bytes, NULL, 0x60), 0x40);
	assert_int_equal(pci_add_capability(&b->things[0].function, bytes, NULL, 0x60), 0xa0);
	assert_int_equal(pci_add_capability(&b->things[0].function, bytes, NULL, 1), 0);
}

static void test_slots_are_limited(void **state)
{
	struct bench *b = *state;
	static const struct pci_ids ids = {.vendor = 1};
	struct pci_function *functions = calloc(PCI_NR_SLOTS, sizeof(*functions));

	assert_non_null(functions);
	for (unsigned i = 2; i < PCI_NR_SLOTS; i++) {
		pci_function_init(&functions[i], &thing_type, &ids, &b->things[0]);
		assert_int_equal(pci_host_add(&b->guest->pci, &functions[i]), i);
	}
	assert_int_equal(pci_host_add(&b->guest->pci, &functions[0]), -ENOSPC);
	assert_int_equal(get(b, 31, 0, 4), 1);
	free(functions);
}

static void test_slots_of_ones_choice(void **state)
{
	struct bench *b = *state;
	static const struct pci_ids ids = {.vendor = 1};
	struct pci_function functions[2];

	for (unsigned i = 0; i < 2; i++)
		pci_function_init(&functions[i], &thing_type, &ids, &b->things[0]);
	assert_int_equal(pci_host_add_at(&b->guest->pci, &functions[0], 31), 31);
	assert_int_equal(pci_host_add_at(&b->guest->pci, &functions[1], 31), -EEXIST);
	assert_int_equal(pci_host_add_at(&b->guest->pci, &functions[1], 32), -ENOSPC);
	assert_int_equal(get(b, 31, 0, 4), 1);
	/* Between the two there is nobody, whatever is written there. */
	assert_int_equal(get(b, 30, 0, 4), 0xffffffff);
	set(b, 30, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(b->guest->nr_bar_events, 0);
	set(b, 31, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(b->guest->nr_bar_events, 2);
	assert_int_equal(b->guest->bar_events[0].slot, 31);
	assert_int_equal(pci_host_add(&b->guest->pci, &functions[1]), 2);
}

#define PCI_TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PCI_TEST(test_identity),
		PCI_TEST(test_nobody_there),
		PCI_TEST(test_odd_accesses),
		PCI_TEST(test_read_only_bits),
		PCI_TEST(test_byte_writes),
		PCI_TEST(test_bar_answers),
		cmocka_unit_test_setup_teardown(test_bars_have_places, fresh_begin, bench_end),
		PCI_TEST(test_no_room_in_the_window),
		PCI_TEST(test_straddling_a_bar),
		PCI_TEST(test_move),
		PCI_TEST(test_outside_the_window),
		PCI_TEST(test_overlap),
		PCI_TEST(test_interrupt_line),
		PCI_TEST(test_doorbell),
		PCI_TEST(test_capabilities),
		PCI_TEST(test_no_room_for_capability),
		PCI_TEST(test_slots_are_limited),
		PCI_TEST(test_slots_of_ones_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
