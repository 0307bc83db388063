# SPDX-License-Identifier: Apache-2.0
# The bare-metal RSI guest: build/guest/rsi.img, a flat arm64 Image. guest/lib is common to all
# bare-metal guests.

CROSS ?= aarch64-linux-gnu-
WERROR ?= -Werror

GUEST_LIB_SRC := $(addprefix guest/lib/,start.S arch.c console.c fdt.c machine.c pci.c realm.c sha2.c \
		   string.c tap.c virtio.c)
GUEST_RSI_SRC := $(addprefix guest/rsi/,main.c call.c check_info.c check_irq.c check_measure.c \
		   check_misc.c check_psci.c check_ripas.c check_together.c check_token.c gic.c \
		   id.c modes.c team.c)

# MMU off: aligned accesses, no FP registers. PIE without relocations: guest.lds checks.
GUEST_CFLAGS := -std=gnu17 -O2 -g -ffreestanding -fpie -fvisibility=hidden -mstrict-align \
	-mgeneral-regs-only -fno-stack-protector -fno-tree-loop-distribute-patterns \
	-fno-asynchronous-unwind-tables -ffile-prefix-map=$(CURDIR)=. -Iguest \
	-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Wundef $(WERROR)
GUEST_LDFLAGS := -nostdlib -static-pie -Wl,--build-id=none \
	-Wl,-z,max-page-size=4096 -Wl,--fatal-warnings -Wl,--no-warn-rwx-segments \
	-Wl,-T,guest/lib/guest.lds

GUEST_RSI_OBJ := $(patsubst guest/%,build/guest/obj/%.o,$(GUEST_LIB_SRC) $(GUEST_RSI_SRC))

build/guest/obj/%.o: guest/% guest/rsi/build.mk $(wildcard guest/lib/*.h guest/rsi/*.h)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CROSS)gcc $(GUEST_CFLAGS) -c -o $@ $<

build/guest/rsi.elf: $(GUEST_RSI_OBJ) guest/lib/guest.lds
	$(call say,LD,$@)
	$(Q)$(CROSS)gcc $(GUEST_LDFLAGS) -o $@ $(GUEST_RSI_OBJ)

build/guest/rsi.img: build/guest/rsi.elf
	$(call say,IMAGE,$@)
	$(Q)$(CROSS)objcopy -O binary $< $@
