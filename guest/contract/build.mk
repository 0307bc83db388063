# SPDX-License-Identifier: Apache-2.0
# The bare-metal contract guest: build/guest/contract.img, built like guest/rsi.

GUEST_CONTRACT_SRC := $(addprefix guest/contract/,main.c lab.c check_chain.c check_ring.c \
			check_status.c check_others.c check_registers.c check_unaligned.c \
			check_bars.c check_9p.c check_network.c check_mmio.c check_channels.c \
			check_balloon.c check_vsock.c check_ranges.c check_each.c load.c)
GUEST_CONTRACT_OBJ := $(patsubst guest/%,build/guest/obj/%.o,$(GUEST_LIB_SRC) \
			$(GUEST_CONTRACT_SRC))

$(GUEST_CONTRACT_OBJ): guest/contract/build.mk $(wildcard guest/contract/*.h)

build/guest/contract.elf: $(GUEST_CONTRACT_OBJ) guest/lib/guest.lds
	$(call say,LD,$@)
	$(Q)$(CROSS)gcc $(GUEST_LDFLAGS) -o $@ $(GUEST_CONTRACT_OBJ)

build/guest/contract.img: build/guest/contract.elf
	$(call say,IMAGE,$@)
	$(Q)$(CROSS)objcopy -O binary $< $@
