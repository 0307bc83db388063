# SPDX-License-Identifier: Apache-2.0
# Streams over vsock and Unix sockets, for the tests: build/guest/vcat, static, for guest and host.

build/guest/vcat: guest/vcat/vcat.c guest/vcat/build.mk guest/init/build.mk
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CROSS)gcc $(GUEST_INIT_CFLAGS) -o $@ $<
