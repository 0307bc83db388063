# SPDX-License-Identifier: Apache-2.0
# pid 1 of the test guest: build/guest/init, static. Its bytes are part of an initrd that is
# measured: nothing of the place it was built in may enter.

CROSS ?= aarch64-linux-gnu-
WERROR ?= -Werror

GUEST_INIT_CFLAGS := -std=gnu17 -D_GNU_SOURCE=1 -Os -static -ffunction-sections -fdata-sections \
	-Wl,--gc-sections -Wl,--build-id=none -s -Wall -Wextra -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Wundef $(WERROR)

build/guest/init: guest/init/init.c guest/init/build.mk
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CROSS)gcc $(GUEST_INIT_CFLAGS) -o $@ $<
