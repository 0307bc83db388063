/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole machine on the model of KVM: files, launch, vm_run() with its console on pipes. What the
 * guest does is set with fake_kvm_set_guest() before.
 */
#ifndef FAKE_MACHINE_H
#define FAKE_MACHINE_H

#include "ccr/vm.h"
#include "fake_kvm.h"

#define FAKE_MACHINE_UART 0x01000000ull
#define FAKE_MACHINE_TEXT 65536

/**
 * struct fake_machine
 * @kernel: path of the Image, which exists only while it is loaded
 * @launch, @config: filled by fake_machine_load(); may be changed before the run
 * @input: what comes from stdin before it ends; NULL for a stdin that stays silent
 * @terminal: stdin instead, if not 0
 * @drains_output: stdout is read while the machine runs, slower than a guest prints, and thrown
 *	away
 * @closes_output: nobody reads stdout
 * @max_fds: no descriptor has so high a number while it runs; 0 for no limit
 * @ret, @outcome, @err: what vm_run() said
 * @output: what was written to stdout, with a NUL
 * @wants_messages: also take what is written to stderr, to @messages; else that is left alone, so
 *	that a sanitizer's report can be read
 */
struct fake_machine {
	char kernel[32];
	struct launch launch;
	struct vm_config config;
	const char *input;
	int terminal;
	bool drains_output;
	bool closes_output;
	unsigned max_fds;
	int ret;
	enum vm_outcome outcome;
	struct ccr_err err;
	char output[FAKE_MACHINE_TEXT];
	bool wants_messages;
	char messages[FAKE_MACHINE_TEXT];
};

/**
 * fake_machine_load() - the smallest guest there is
 * @kind: plain or emulated
 *
 * 64 MiB of RAM, an Image of 8 KiB.
 */
void fake_machine_load(struct fake_machine *machine, enum machine_kind kind, unsigned nr_vcpus,
		       bool has_pci);

/** fake_machine_run() - vm_run() on the model that fake_kvm_begin() has made */
void fake_machine_run(struct fake_machine *machine);

void fake_machine_done(struct fake_machine *machine);

/** fake_machine_shared() - an address as the guest has to use it for devices */
uint64_t fake_machine_shared(const struct fake_machine *machine, uint64_t at);

/** fake_machine_nr_fds() - open descriptors of this process */
unsigned fake_machine_nr_fds(void);

/** fake_machine_nr_maps() - mappings of guest memory in this process */
unsigned fake_machine_nr_maps(void);

#endif
