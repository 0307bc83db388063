# SPDX-License-Identifier: Apache-2.0
#
# ccr-run: plain GNU make, no configure step. `make help` lists the goals.
#
# The same sources are compiled up to six times, each into a tree of its own under build/:
#
#   native/  this machine's program. On x86 it does everything but run VMs.
#   arm64/   the arm64 program, static, against libraries unpacked into build/sysroot
#   san/     this machine's, with ASan and UBSan, for unit tests and fuzz replay
#   fuzz/    this machine's, by clang with libFuzzer
#   tsan/    this machine's, with ThreadSanitizer, for the unit tests that have threads
#   cov/     this machine's, by clang, counting what fuzz targets reach
#
# Missing Debian packages are installed on the way (tests/harness/deps.sh); NO_DEPS=1 prevents it.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

V ?= 0
Q := $(if $(filter 1,$(V)),,@)
# say KIND WHAT - one line a command; nothing when V=1 shows the command itself
say = @$(if $(filter 1,$(V)),:,printf '  %-7s %s\n' '$(1)' '$(2)')

MACHINE := $(shell uname -m)
HARNESS := tests/harness

# ---- tools and flags -------------------------------------------------------------------------

ifeq ($(origin CC),default)
CC := gcc
endif
CLANG    ?= clang
CROSS    ?= $(if $(filter aarch64,$(MACHINE)),,aarch64-linux-gnu-)
ARM64_CC ?= $(CROSS)gcc
PREFIX   ?= /usr/local
# Some shells have a HOST of their own in the environment: only make's command line counts.
CCR_HOST := $(if $(findstring command,$(origin HOST)),$(HOST))
export MAKE CROSS DEBIAN_MIRROR NO_DEPS STACK IMAGE CMDLINE REALM FVP DRY_RUN CCR_HOST JUNIT \
	BOOT_HOSTS FIRMWARE FIRMWARE_DISK

CFLAGS ?= -O2 -g
# A compiler newer than ours may know new warnings: WERROR= keeps them from stopping a build.
WERROR ?= -Werror
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual \
	-Wwrite-strings -Wvla -Wformat=2 -Wundef

BASE_CFLAGS := -std=gnu17 -D_GNU_SOURCE=1 -Iinclude -pthread -ffile-prefix-map=$(CURDIR)=. \
	$(WARNINGS) $(WERROR)
HARDEN      := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fPIE \
	-fstack-clash-protection
# zeroes COMPILER - the flag that fills variables with zeros, unless the compiler is there and does
# not take it, like clang before 16
ZEROES      := -ftrivial-auto-var-init=zero
zeroes       = $(shell command -v $(1) >/dev/null && \
	! $(1) $(ZEROES) -x c -c -o /dev/null /dev/null 2>/dev/null || echo $(ZEROES))
HARDEN_LD   := -Wl,-z,relro,-z,now,-z,noexecstack
SANITIZE    := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
RACES       := -fsanitize=thread -fno-omit-frame-pointer
COUNT       := -fprofile-instr-generate -fcoverage-mapping
LIBS        := -lfdt -lelf -luring -lz -lzstd -ljson-c -lcrypto -lpthread

# KVM's arm64 structures come from <asm/kvm.h>, which an x86 machine has only among its cross
# headers. Just that header and what it includes is lent, to just the files that talk to KVM: the
# directory as a whole would also bring arm64's system call numbers into an x86 program.
KVM_SOURCES := src/kvm/% arch/arm64/kvm/% tests/fake/% build/generated/%
ifeq ($(MACHINE),aarch64)
UAPI_FLAGS :=
UAPI_HEADERS :=
else
UAPI_FLAGS := -isystem build/uapi
UAPI_HEADERS := $(addprefix build/uapi/asm/,kvm.h ptrace.h hwcap.h sve_context.h)
endif

# What a test of a whole machine links: everything below the commands, on the fake KVM.
WHOLE_MACHINE = $(filter-out src/main.c src/cli/% src/kvm/sys.c,$(SOURCES)) \
	$(addprefix tests/fake/,fake_kvm.c fake_gic.c fake_vcpu.c fake_cpu.c fake_run.c \
	fake_machine.c)
# links FILE - the sources that a test names in its "links:" comment
links = $(subst whole-machine,$(WHOLE_MACHINE),$(shell \
	sed -n '/links:/{:a;/\*\//!{N;ba};s/.*links://;s/\*\/.*//;s/\n *\*//g;p;q}' $(1)))
# uapi FILE - UAPI_FLAGS for the files that talk to KVM, and for tests of those files
uapi = $(if $(filter $(KVM_SOURCES),$(1) $(if $(filter tests/%,$(1)),$(links))),$(UAPI_FLAGS))

SYSROOT := build/sysroot/arm64
SYSROOT_LIB := $(SYSROOT)/usr/lib/aarch64-linux-gnu

native_CC     := $(CC)
native_ZEROES := $(call zeroes,$(CC))
native_CFLAGS  = $(BASE_CFLAGS) $(CFLAGS) $(HARDEN) $(native_ZEROES) $(call uapi,$<)
arm64_CC      := $(ARM64_CC)
arm64_ZEROES  := $(call zeroes,$(ARM64_CC))
arm64_CFLAGS   = $(BASE_CFLAGS) $(CFLAGS) $(HARDEN) $(arm64_ZEROES) -mbranch-protection=standard \
	-isystem $(SYSROOT)/usr/include -isystem $(SYSROOT)/usr/include/aarch64-linux-gnu
san_CC        := $(CC)
san_CFLAGS     = $(BASE_CFLAGS) -O1 -g $(SANITIZE) $(call uapi,$<)
tsan_CC       := $(CC)
tsan_CFLAGS    = $(BASE_CFLAGS) -O1 -g $(RACES) $(call uapi,$<)
fuzz_CC       := $(CLANG)
cov_CC        := $(CLANG)
cov_CFLAGS     = $(BASE_CFLAGS) -O1 -g $(COUNT) $(call uapi,$<)
fuzz_CFLAGS    = $(BASE_CFLAGS) -O1 -g $(SANITIZE) -fsanitize=fuzzer-no-link $(call uapi,$<)

# ---- sources ---------------------------------------------------------------------------------

WRITTEN := $(sort $(shell find src arch/arm64 -name '*.c' 2>/dev/null))
# What the system call filters let through, from the comments beside the code.
GENERATED := build/generated/syscalls.c
SOURCES := $(WRITTEN) $(GENERATED)
UNIT_TESTS := $(sort $(basename $(notdir $(wildcard tests/unit/test_*.c))))
FUZZERS := $(sort $(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c))))
TEST_SOURCES := $(wildcard tests/unit/*.c tests/fake/*.c tests/fuzz/*.c)

CLI_TESTS := tests/cli/measure.py tests/cli/verify.py $(wildcard tests/cli/*.sh)

UNIT_PROGRAMS := $(UNIT_TESTS:%=build/unit/%)
# Sanitizers make system calls of their own, and this one has filters that kill for them.
UNSANITIZED := build/unit/test_sandbox
# Those whose threads meet.
RACE_PROGRAMS := $(addprefix build/race/,test_aio test_blk test_control test_emulated test_gmem \
	test_log test_manage test_races test_vcpu test_vm)
REPLAY_PROGRAMS := $(FUZZERS:%=build/replay/%)
FUZZ_PROGRAMS := $(FUZZERS:%=build/fuzz/%)
COVERAGE_PROGRAMS := $(FUZZERS:%=build/cov/%)

# ---- goals -----------------------------------------------------------------------------------

.PHONY: all native arm64 guest run image parity junit check unit cli replay race lint boot soak \
	bench fuzz fuzz-coverage deps refresh install dist clean distclean help unit-programs \
	replay-programs race-programs

all: native arm64
native: build/native/ccr-run
arm64: build/arm64/ccr-run

help:
	@printf '%s\n' \
	'make            build/native/ccr-run and build/arm64/ccr-run' \
	'make run        boot a realm: a shell in it on a terminal, else a scripted demo' \
	'make image      one host image for every kind of host (FORMAT=disk, OUT=build/image)' \
	'make parity     LOG=FILE: what a realm finds on a host; A=FILE B=FILE: what differs' \
	'make check      every test there is; the last line is the sum' \
	'make unit       unit tests (T=test_x for one of them)' \
	'make cli        the program as a user calls it, wrong inputs included' \
	'make replay     fuzz targets over their kept inputs' \
	'make race       unit tests whose threads meet, with ThreadSanitizer' \
	'make lint       format, static analysis, the rules of the code' \
	'make boot       boot tests in QEMU (T=name... for some; BOOT_HOSTS=1: in one host)' \
	'make soak       the boot tests that have a long form, in that form: about an hour' \
	'make fuzz       fuzz for FUZZ_SECONDS (60) a target (T=fuzz_x for one)' \
	'make fuzz-coverage  lines and regions that the inputs of fuzz targets reach' \
	'make junit      the results in build/log as JUnit XML (JUNIT=FILE)' \
	'make bench      ccr-run beside other VMMs (B=SECTION..., PEER=LKVM; see bench.md)' \
	'make guest      what runs inside: build/guest/init, attest, *.img' \
	'make deps       install every Debian package that any goal needs' \
	'make refresh    look for a newer arm64 kernel' \
	'make install    PREFIX=/usr/local, DESTDIR=, PROGRAM=build/native/ccr-run' \
	'make dist       the sources as build/ccr-run-VERSION.tar.gz' \
	'make clean      remove what was built; distclean: also what was downloaded' \
	'' \
	'V=1 shows the commands. NO_DEPS=1 installs no packages.' \
	'HOST=qemu|fvp|native for run (see hosts.md); IMAGE=DIR for run, boot: made by make image' \
	'STACK=DIR... for run, image, check, boot, soak: on hosts with a real RMM (see stack.md)' \
	'FIRMWARE=FILE FIRMWARE_DISK=FILE for boot: guest firmware, and what it is to boot' \
	'DEBIAN_MIRROR=URI for arm64 packages, if not the one that apt uses.'

run:
	@$(HARNESS)/run.sh

# LOG=FILE records a host, with HOST, STACK and so on as for run; A= and B= compare two.
parity:
ifneq ($(findstring command,$(origin LOG)),)
	@$(HARNESS)/run.sh parity $(LOG)
else
	@$(HARNESS)/parity.py $(A) $(B)
endif

JUNIT ?= build/log/junit.xml
junit:
	@$(HARNESS)/junit.py build/log >$(JUNIT)

FORMAT ?= files
OUT ?= build/image
image:
	@$(HARNESS)/mkimage.sh $(FORMAT) $(OUT)

check:
	@$(HARNESS)/check.sh

unit: $(if $(T),$(T:%=build/unit/%),unit-programs)
	@$(HARNESS)/tap.sh unit $(if $(T),$(T:%=build/unit/%),$(UNIT_PROGRAMS))

cli: build/native/ccr-run build/cli/mint build/unit/test_dtree | deps-cli
	@$(HARNESS)/tap.sh cli $(CLI_TESTS)

replay: replay-programs
	@$(HARNESS)/replay.sh $(REPLAY_PROGRAMS)

# SOAK=1 makes the one that is about races a long one.
race: $(if $(T),$(T:%=build/race/%),race-programs)
	@$(HARNESS)/race.sh $(if $(T),$(T:%=build/race/%),$(RACE_PROGRAMS))

boot:
	@$(HARNESS)/boot-tests.sh $(T)

soak:
	@SOAK=1 $(HARNESS)/boot-tests.sh $(T)

lint: | deps-lint
	@if [ -x tests/lint/run.sh ]; then $(HARNESS)/tap.sh lint tests/lint/run.sh; \
	else echo 'no tests/lint/run.sh yet: nothing was checked'; fi

fuzz: $(if $(T),$(T:%=build/fuzz/%),$(FUZZ_PROGRAMS)) | deps-fuzz
	@$(HARNESS)/fuzz.sh $(if $(T),$(T:%=build/fuzz/%),$(FUZZ_PROGRAMS))

# What the kept inputs reach, and those that fuzzing has found.
fuzz-coverage: $(if $(T),$(T:%=build/cov/%),$(COVERAGE_PROGRAMS)) | deps-fuzz
	@$(HARNESS)/fuzz-coverage.sh $(if $(T),$(T:%=build/cov/%),$(COVERAGE_PROGRAMS))

# B="boot block..." for some sections; PEER=FILE is an arm64 lkvm to compare with; CLOCK=real.
bench:
	@PEER="$(PEER)" ROUNDS="$(ROUNDS)" CLOCK="$(CLOCK)" tests/bench/run.sh $(B)

refresh:
	@$(HARNESS)/debs.sh refresh

# Which program; build/arm64/ccr-run for an image (Documentation/embedding.md).
PROGRAM ?= build/native/ccr-run
install: $(PROGRAM)
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/ccr-run
	install -D -m 644 Documentation/ccr-run.1 $(DESTDIR)$(PREFIX)/share/man/man1/ccr-run.1
	install -D -m 644 Documentation/ccr-run.bash-completion \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/ccr-run
	install -d $(DESTDIR)$(PREFIX)/share/doc/ccr-run
	install -m 644 LICENSE README.md $(wildcard Documentation/*.md) \
		$(DESTDIR)$(PREFIX)/share/doc/ccr-run

# The commit and nothing else: the same bytes wherever and whenever it is packed.
VERSION = $(shell sed -n 's/^\#define CCR_VERSION "\(.*\)"/\1/p' src/cli/commands.c)
DIST ?= build/ccr-run-$(VERSION).tar.gz
dist:
	@mkdir -p $(dir $(DIST))
	git archive --format=tar --prefix=ccr-run-$(VERSION)/ HEAD | gzip -9n >$(DIST)

# What came over the network stays: a clean build must not need it again.
clean:
	@for d in build/*; do case $$d in \
		build/apt|build/debs|build/kernel*|build/libfdt|build/programs) ;; \
		build/qemu|build/sysroot|build/systemd-boot) ;; \
		*) rm -rf "$$d" ;; esac; done

distclean:
	@rm -rf build

# print-NAME - for scripts that must compile as we do, such as the linters
print-%:
	@printf '%s\n' '$($*)'

# ---- packages --------------------------------------------------------------------------------

# Phony and order-only: asked on every run, a fraction of a second, but never a reason to rebuild.
.PHONY: deps-build deps-unit deps-cli deps-lint deps-fuzz deps-run
deps-build deps-unit deps-cli deps-lint deps-fuzz deps-run: deps-%:
	@$(if $(NO_DEPS),:,$(HARNESS)/deps.sh $*)
deps:
	@$(HARNESS)/deps.sh check

# ---- objects ---------------------------------------------------------------------------------

# compile TREE - the rule for objects of one of the four trees
define compile
build/$(1)/%.o: %.c Makefile | deps-build
	$$(call say,CC,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$($(1)_CC) $$($(1)_CFLAGS) -MMD -MP -c -o $$@ $$<
endef
$(foreach tree,native arm64 san tsan fuzz cov,$(eval $(call compile,$(tree))))

# Rewritten only if it would change: most changes of the sources leave the comments alone.
$(GENERATED): src/sandbox/syscalls.awk $(WRITTEN)
	@mkdir -p $(@D)
	@awk -f src/sandbox/syscalls.awk $(WRITTEN) >$@.tmp
	@if cmp -s $@.tmp $@; then rm $@.tmp; else mv $@.tmp $@; fi

build/uapi/asm/%.h: | deps-build
	@mkdir -p $(@D)
	@ln -sf /usr/aarch64-linux-gnu/include/asm/$*.h $@

KVM_OBJECTS := $(filter $(KVM_SOURCES),$(SOURCES) $(TEST_SOURCES)) $(wildcard tests/unit/*.c)
$(foreach tree,native san tsan fuzz cov,$(KVM_OBJECTS:%.c=build/$(tree)/%.o)): | $(UAPI_HEADERS)

$(SYSROOT)/.complete: $(HARNESS)/debs.sh | deps-build
	@$(HARNESS)/debs.sh sysroot
$(SOURCES:%.c=build/arm64/%.o): | $(SYSROOT)/.complete

-include $(foreach tree,native arm64 san tsan fuzz cov,$(SOURCES:%.c=build/$(tree)/%.d))
-include $(foreach tree,san tsan fuzz cov,$(TEST_SOURCES:%.c=build/$(tree)/%.d))
-include $(UNSANITIZED:build/unit/%=build/native/tests/unit/%.d)

# ---- programs --------------------------------------------------------------------------------

ifeq ($(MACHINE),aarch64)
build/native/ccr-run: build/arm64/ccr-run
	@mkdir -p $(@D)
	@ln -sf ../arm64/ccr-run $@
else
build/native/ccr-run: $(SOURCES:%.c=build/native/%.o)
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(HARDEN_LD) $(LDFLAGS) -o $@ $^ $(LIBS)
endif

# The linker warns of name look-ups and plug-ins in a static libcrypto; nothing here reaches them.
build/arm64/ccr-run: $(SOURCES:%.c=build/arm64/%.o)
	$(call say,LD,$@)
	$(Q)$(ARM64_CC) -static-pie $(HARDEN_LD) -Wl,--no-warnings $(LDFLAGS) -L$(SYSROOT_LIB) \
		-o $@ $^ $(LIBS)

# The same with a planted hook (tests/hook): for the boot tests, a guest that has taken it over.
HOOKED := bus_write console_serve blk_work broker_decode_request
build/hook/%.o: %.c Makefile | $(SYSROOT)/.complete
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(ARM64_CC) $(arm64_CFLAGS) -MMD -MP -c -o $@ $<
-include build/hook/tests/hook/hook.d

build/hook/ccr-run: $(SOURCES:%.c=build/arm64/%.o) build/hook/tests/hook/hook.o
	$(call say,LD,$@)
	$(Q)$(ARM64_CC) -static-pie $(HARDEN_LD) -Wl,--no-warnings $(LDFLAGS) -L$(SYSROOT_LIB) \
		$(HOOKED:%=-Wl,--wrap=%) -o $@ $^ $(LIBS)

# Each of these links exactly what its comment names, so that what a module needs stays visible.
.SECONDEXPANSION:

objects = $(patsubst %.c,build/$(1)/%.o,$(call links,$(2)))

unit-programs: $(UNIT_PROGRAMS)
$(UNSANITIZED): build/unit/%: build/native/tests/unit/%.o $$(call objects,native,tests/unit/$$*.c) \
		| deps-unit
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -pie -o $@ $^ -lcmocka $(LIBS)

$(filter-out $(UNSANITIZED),$(UNIT_PROGRAMS)): build/unit/%: build/san/tests/unit/%.o \
		$$(call objects,san,tests/unit/$$*.c) | deps-unit
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ -lcmocka $(SECOND_OPINION) $(LIBS)
# Debian has no static library of it.
build/unit/test_cbor_peer: SECOND_OPINION := -lcbor

race-programs: $(RACE_PROGRAMS)
$(RACE_PROGRAMS): build/race/%: build/tsan/tests/unit/%.o $$(call objects,tsan,tests/unit/$$*.c) \
		| deps-unit
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(RACES) -o $@ $^ -lcmocka $(LIBS)

build/cli/mint: build/san/tests/cli/mint.o $$(call objects,san,tests/cli/mint.c)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(LIBS)

replay-programs: $(REPLAY_PROGRAMS)
$(REPLAY_PROGRAMS): build/replay/%: build/san/tests/fuzz/%.o build/san/tests/fuzz/replay.o \
		$$(call objects,san,tests/fuzz/$$*.c)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(LIBS)

$(FUZZ_PROGRAMS): build/fuzz/%: build/fuzz/tests/fuzz/%.o $$(call objects,fuzz,tests/fuzz/$$*.c) \
		| deps-fuzz
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(SANITIZE) -fsanitize=fuzzer -o $@ $^ $(LIBS)

$(COVERAGE_PROGRAMS): build/cov/%: build/cov/tests/fuzz/%.o build/cov/tests/fuzz/replay.o \
		$$(call objects,cov,tests/fuzz/$$*.c) | deps-fuzz
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(COUNT) -o $@ $^ $(LIBS)

$(UNIT_TESTS:%=build/san/tests/unit/%.o) \
		$(UNSANITIZED:build/unit/%=build/native/tests/unit/%.o): | deps-unit
$(FUZZERS:%=build/fuzz/tests/fuzz/%.o): | deps-fuzz

# ---- guests and hosts ------------------------------------------------------------------------

# Each guest brings its own rules, for these.
GUEST_PROGRAMS := $(addprefix build/guest/,init attest vcat rsi.img contract.img firmware.img)
guest: $(GUEST_PROGRAMS)
-include guest/init/build.mk guest/attest/build.mk guest/vcat/build.mk \
	guest/rsi/build.mk guest/contract/build.mk guest/firmware/build.mk
$(GUEST_RSI_OBJ) $(GUEST_CONTRACT_OBJ) $(GUEST_FIRMWARE_OBJ) \
		$(addprefix build/guest/,init attest vcat): | deps-build

build/arm64/busybox:
	@$(HARNESS)/debs.sh busybox
build/kernel/Image:
	@$(HARNESS)/debs.sh kernel
build/programs/%:
	@$(HARNESS)/debs.sh program $*
build/kernel-6.1/Image:
	@$(HARNESS)/debs.sh kernel-6.1

build/programs/%-next:
	@$(HARNESS)/debs.sh next $*
build/programs/back-ends:
	@$(HARNESS)/debs.sh back-ends

build/guest/initrd.gz: $(addprefix build/guest/,init attest vcat) build/arm64/busybox \
		build/kernel/Image $(HARNESS)/mkguest.sh $(wildcard $(HARNESS)/guest-*) | deps-run
	$(call say,INITRD,$@)
	$(Q)$(HARNESS)/mkguest.sh

# A kernel with the client of 9p, which the one for clouds lacks, and a guest of its own modules.
build/kernel-full/Image:
	@$(HARNESS)/debs.sh full kernel

build/guest/initrd-full.gz: build/guest/initrd.gz build/kernel-full/Image
	$(call say,INITRD,$@)
	$(Q)$(HARNESS)/mkguest.sh full

HOST_FILES := build/arm64/ccr-run build/arm64/busybox build/kernel/Image build/guest/initrd.gz \
	$(HARNESS)/mkhost.sh $(wildcard $(HARNESS)/host-*) $(HARNESS)/demo.sh

build/host/demo.cpio: $(HOST_FILES) | deps-run
	$(call say,HOST,$@)
	$(Q)$(HARNESS)/mkhost.sh demo

# Newer than the host's image whenever other files are given than those that are in it. Always made,
# by several makes at once at times: each has a file of its own until it is done.
build/host/given: FORCE
	@mkdir -p $(@D)
	@new=$@.$$$$; echo '$(FIRMWARE) $(FIRMWARE_DISK)' >$$new; \
	if cmp -s $$new $@; then rm $$new; else mv $$new $@; fi

.PHONY: FORCE
FORCE:

build/host/test.cpio: $(HOST_FILES) build/native/ccr-run build/hook/ccr-run build/kernel-6.1/Image \
		build/guest/initrd-full.gz \
		build/guest/rsi.img build/guest/rsi.elf build/guest/contract.img \
		build/guest/firmware.img build/host/given $(FIRMWARE) $(FIRMWARE_DISK) \
		build/programs/back-ends $(wildcard tests/boot/*.sh) \
		| deps-run build/programs/passt build/programs/passt-next
	$(call say,HOST,$@)
	$(Q)$(HARNESS)/mkhost.sh test
