/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/util/err.c arch/arm64/memmap.c arch/arm64/layout.c */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>

#include "ccr/layout.h"

#define MIB (1ull << 20)

static int place(uint64_t ram_size, uint64_t text_offset, uint64_t image_size, uint64_t initrd_size,
		 struct layout *layout, struct ccr_err *err)
{
	const struct image_info image = {.text_offset = text_offset, .image_size = image_size};
	struct memmap map;

	assert_int_equal(memmap_init(&map, ram_size, 1, NULL), 0);
	return layout_place(&map, &image, initrd_size, layout, err);
}

static void kernel_initrd_and_tree(void **state)
{
	struct layout layout;

	(void)state;
	assert_int_equal(place(512 * MIB, 0x80000, 40 * MIB, 0x123456, &layout, NULL), 0);
	assert_int_equal(layout.kernel_base.v, 0x80080000);
	assert_int_equal(layout.initrd_base.v, 0x8fcdcba8);
	assert_int_equal(layout.initrd_size, 0x123456);
	assert_int_equal(layout.dtb_base.v, 0x8fe00000);
}

static void no_initrd(void **state)
{
	struct layout layout;

	(void)state;
	assert_int_equal(place(128 * MIB, 0, 40 * MIB, 0, &layout, NULL), 0);
	assert_int_equal(layout.kernel_base.v, 0x80000000);
	assert_int_equal(layout.initrd_size, 0);
	assert_int_equal(layout.dtb_base.v, 0x87e00000);
}

static void initrd_is_aligned_down_to_4(void **state)
{
	struct layout layout;

	(void)state;
	for (uint64_t size = 1; size <= 8; size++) {
		assert_int_equal(place(512 * MIB, 0, MIB, size, &layout, NULL), 0);
		assert_int_equal(layout.initrd_base.v, size <= 4 ? 0x8fdffffc : 0x8fdffff8);
	}
}

static void exact_fits(void **state)
{
	struct layout layout;

	(void)state;
	assert_int_equal(place(512 * MIB, 0, 254 * MIB, 0, &layout, NULL), 0);
	assert_int_equal(place(512 * MIB, 0, 254 * MIB + 1, 0, &layout, NULL), -ENOSPC);
	assert_int_equal(place(512 * MIB, 0x80000, 254 * MIB, 0, &layout, NULL), -ENOSPC);
	assert_int_equal(place(512 * MIB, 0x80000, 254 * MIB - 0x80000, 0, &layout, NULL), 0);
	assert_int_equal(place(512 * MIB, 254 * MIB, 0, 0, &layout, NULL), 0);
	assert_int_equal(place(512 * MIB, 0, 200 * MIB, 54 * MIB, &layout, NULL), 0);
	assert_int_equal(layout.initrd_base.v, 0x80000000 + 200 * MIB);
	assert_int_equal(place(512 * MIB, 0, 200 * MIB, 54 * MIB + 1, &layout, NULL), -ENOSPC);
}

/* No page may hold both: what the kernel's last page has left is not the initrd's. */
static void kernel_end_is_rounded_to_a_page(void **state)
{
	struct layout layout;

	(void)state;
	assert_int_equal(place(512 * MIB, 0, 200 * MIB - 4095, 54 * MIB, &layout, NULL), 0);
	assert_int_equal(place(512 * MIB, 0, 200 * MIB + 1, 54 * MIB, &layout, NULL), -ENOSPC);
	assert_int_equal(place(512 * MIB, 0, 200 * MIB + 1, 54 * MIB - 4095, &layout, NULL),
			 -ENOSPC);
	assert_int_equal(place(512 * MIB, 0, 200 * MIB + 1, 54 * MIB - 4096, &layout, NULL), 0);
	assert_int_equal(layout.initrd_base.v, 0x80000000 + 200 * MIB + 4096);
}

static void absurd_sizes_do_not_wrap(void **state)
{
	static const uint64_t absurd[] = {UINT64_MAX, UINT64_MAX - 4095, 1ull << 63,
					  0 - MEMMAP_RAM_BASE};
	struct layout layout;

	(void)state;
	for (size_t i = 0; i < sizeof(absurd) / sizeof(*absurd); i++) {
		assert_int_equal(place(512 * MIB, absurd[i], MIB, 1, &layout, NULL), -ENOSPC);
		assert_int_equal(place(512 * MIB, 0, absurd[i], 1, &layout, NULL), -ENOSPC);
		assert_int_equal(place(512 * MIB, 4096, absurd[i], 1, &layout, NULL), -ENOSPC);
		assert_int_equal(place(512 * MIB, 0, MIB, absurd[i], &layout, NULL), -ENOSPC);
		assert_int_equal(place(512 * MIB, absurd[i], absurd[i], absurd[i], &layout, NULL),
				 -ENOSPC);
	}
}

static void refusal_names_the_window_and_both_sizes(void **state)
{
	struct layout layout = {.initrd_size = 77};
	struct ccr_err err = {0};

	(void)state;
	assert_int_equal(place(4096 * MIB, 0x80000, 41 * MIB, 300 * MIB + 1, &layout, &err),
			 -ENOSPC);
	assert_string_equal(err.msg,
			    "kernel (41 MiB with its BSS, at offset 0x80000) and initrd (301 MiB) "
			    "do not fit the 254 MiB between the start of RAM and the device tree; "
			    "make them smaller (more RAM does not help)");
	assert_int_equal(layout.initrd_size, 77);
	err_clear(&err);
	assert_int_equal(place(64 * MIB, 0, 100 * MIB, 0, &layout, &err), -ENOSPC);
	assert_string_equal(err.msg,
			    "kernel (100 MiB with its BSS, at offset 0) and initrd (0 MiB) do not "
			    "fit the 62 MiB between the start of RAM and the device tree; give the "
			    "guest more RAM (up to 256 MiB it helps)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_initrd_and_tree),
		cmocka_unit_test(no_initrd),
		cmocka_unit_test(initrd_is_aligned_down_to_4),
		cmocka_unit_test(exact_fits),
		cmocka_unit_test(kernel_end_is_rounded_to_a_page),
		cmocka_unit_test(absurd_sizes_do_not_wrap),
		cmocka_unit_test(refusal_names_the_window_and_both_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
