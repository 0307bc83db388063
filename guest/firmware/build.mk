# SPDX-License-Identifier: Apache-2.0
# The bare-metal firmware guest: build/guest/firmware.img, built like guest/rsi.

GUEST_FIRMWARE_OBJ := $(patsubst guest/%,build/guest/obj/%.o,$(GUEST_LIB_SRC) guest/firmware/main.c)

$(GUEST_FIRMWARE_OBJ): guest/firmware/build.mk

build/guest/firmware.elf: $(GUEST_FIRMWARE_OBJ) guest/lib/guest.lds
	$(call say,LD,$@)
	$(Q)$(CROSS)gcc $(GUEST_LDFLAGS) -o $@ $(GUEST_FIRMWARE_OBJ)

build/guest/firmware.img: build/guest/firmware.elf
	$(call say,IMAGE,$@)
	$(Q)$(CROSS)objcopy -O binary $< $@
