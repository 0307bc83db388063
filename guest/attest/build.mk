# SPDX-License-Identifier: Apache-2.0
# Asks the RMM for a token, inside a realm: build/guest/attest, static. Like init it is part of an
# initrd that is measured, and is built like it.

build/guest/attest: guest/attest/attest.c guest/attest/build.mk guest/init/build.mk
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CROSS)gcc $(GUEST_INIT_CFLAGS) -o $@ $<
