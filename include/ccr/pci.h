/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI as a guest on a device tree meets it: one ECAM host bridge, bus 0, a function 0 in each of up
 * to 32 slots, 32-bit memory BARs that the guest assigns and moves, MSI-X, and INTA for guests that
 * have no message interrupts. No bridges, no I/O space, no legacy anything.
 *
 * What a function is (BARs, hooks) is a const struct pci_type, its configuration space is bytes and
 * a mask of those bits that the guest may change.
 *
 * Locks: the host's reader-writer lock comes first. BAR accesses and configuration reads hold it
 * for reading; configuration writes hold it for writing, so that a BAR never moves under an access.
 */
#ifndef CCR_PCI_H
#define CCR_PCI_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ccr/bus.h"
#include "ccr/ipa.h"
#include "ccr/msix.h"

#define PCI_NR_SLOTS    32
#define PCI_NR_BARS     6
#define PCI_CONFIG_SIZE 256

/**
 * struct pci_bar_type - a memory BAR
 * @size: a power of two from 16 up; 0 for no BAR
 * @ops: are given the function's self
 */
struct pci_bar_type {
	uint32_t size;
	const struct bus_ops *ops;
};

/**
 * struct pci_type - what a function is; the hooks run under the host's lock
 * @control_changed: command register or MSI-X control may have changed; see pci_command() and
 *	pci_msix_is_enabled()
 * @read_config, @write_config: take an aligned access of 1, 2 or 4 bytes to the first
 *	PCI_CONFIG_SIZE bytes in place of the bytes there. Return: false to leave it. NULL if there
 *	is none to take.
 */
struct pci_type {
	const char *name;
	struct pci_bar_type bars[PCI_NR_BARS];
	void (*control_changed)(void *self);
	bool (*read_config)(void *self, unsigned offset, unsigned size, uint32_t *ret_value);
	bool (*write_config)(void *self, unsigned offset, unsigned size, uint32_t value);
};

/** struct pci_ids - how a function presents itself; @class_code has 24 bits */
struct pci_ids {
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem;
	uint32_t class_code;
	uint8_t revision;
};

/**
 * struct pci_msi - a message interrupt, of @vector of the function in @slot
 * @address: the doorbell, without the shared bit
 * @device_id: requester id, what the device tree's msi-map turns into an ITS DeviceID
 */
struct pci_msi {
	unsigned slot, vector;
	uint64_t address;
	uint32_t data;
	uint32_t device_id;
};

/**
 * struct pci_platform - what the host bridge needs from the machine
 * @set_bar: BAR @bar of slot @slot begins (@mapped) or ceases to answer at @base; called with the
 *	host's lock held for writing. All of a change's goings come before its comings. This is the
 *	place to take ioeventfds away and to register them.
 * @set_intx: level of a slot's own interrupt line
 * @prepare_msi: that message may be sent from now on, until there is another for its vector; NULL
 *	if nobody cares. Calls for one function never overlap, nor with @signal_msi.
 * @signal_msi: send it, from any thread
 * @hold_msi, @lend_msi, @is_msi_held: as struct msix_ops has them; NULL, all of them, if messages
 *	have no descriptors
 * @shared_bit: stripped from doorbell addresses; 0 in a plain VM
 */
struct pci_platform {
	void (*set_bar)(void *ctx, unsigned slot, unsigned bar, ipa_t base, bool mapped);
	void (*set_intx)(void *ctx, unsigned slot, bool level);
	void (*prepare_msi)(void *ctx, const struct pci_msi *msi);
	void (*signal_msi)(void *ctx, const struct pci_msi *msi);
	void (*hold_msi)(void *ctx, unsigned slot, unsigned vector);
	int (*lend_msi)(void *ctx, unsigned slot, unsigned vector);
	bool (*is_msi_held)(void *ctx, unsigned slot, unsigned vector);
	void *ctx;
	uint64_t shared_bit;
};

struct pci_host;

/**
 * struct pci_function - a function; private to src/pci
 * @intx: level of the interrupt line
 * @mapped: address at which each BAR answers; 0 for none
 */
struct pci_function {
	const struct pci_type *type;
	void *self;
	struct pci_host *host;
	unsigned slot;
	struct msix *msix;
	unsigned msix_at; /* offset of the capability */
	unsigned last_capability, capabilities_end;
	atomic_bool intx;
	uint32_t mapped[PCI_NR_BARS];
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE];
};

/** pci_function_init() - configuration space with identity and BARs, no capabilities */
void pci_function_init(struct pci_function *function, const struct pci_type *type,
		       const struct pci_ids *ids, void *self);

/**
 * pci_add_capability() - append a capability
 * @bytes: @size of them, from the id on; the next pointer is filled in
 * @writable: mask of as many bytes; NULL if the guest may write none
 *
 * Return: its offset; 0 if there is no room.
 */
unsigned pci_add_capability(struct pci_function *function, const void *bytes, const void *writable,
			    unsigned size);

/** pci_add_msix() - MSI-X capability for the table in BAR @bar. Return: 0 or -ENOSPC. */
int pci_add_msix(struct pci_function *function, struct msix *msix, unsigned bar);

/** pci_preset_bar() - the address that a BAR has until the guest changes it; nothing is mapped */
void pci_preset_bar(struct pci_function *function, unsigned bar, uint32_t base);

/** pci_command(), pci_bar_address(), pci_msix_is_enabled() - as the guest last wrote them */
uint16_t pci_command(const struct pci_function *function);
uint32_t pci_bar_address(const struct pci_function *function, unsigned bar);
bool pci_msix_is_enabled(const struct pci_function *function);

/** pci_set_intx() - level of the interrupt line; calls for one function are serialised by it */
void pci_set_intx(struct pci_function *function, bool level);

/** pci_prepare_msi(), pci_signal_msi() - struct msix_ops on behalf of a function */
void pci_prepare_msi(struct pci_function *function, unsigned vector,
		     const struct msix_message *message);
void pci_signal_msi(struct pci_function *function, unsigned vector,
		    const struct msix_message *message);

/** pci_hold_msi(), pci_lend_msi(), pci_is_msi_held() - the others of struct msix_ops */
void pci_hold_msi(struct pci_function *function, unsigned vector);
int pci_lend_msi(struct pci_function *function, unsigned vector);
bool pci_is_msi_held(struct pci_function *function, unsigned vector);

/**
 * pci_config_read(), pci_config_write() - one access to a function's configuration space; aligned,
 * of 1, 2 or 4 bytes, @offset + @size at most PCI_CONFIG_SIZE
 *
 * Write returns true if the function may answer at other addresses than before.
 */
uint32_t pci_config_read(const struct pci_function *function, unsigned offset, unsigned size);
bool pci_config_write(struct pci_function *function, unsigned offset, unsigned size,
		      uint32_t value);

/** struct pci_mapping - a BAR that answers now */
struct pci_mapping {
	uint64_t base, size;
	struct pci_function *function;
	unsigned bar;
};

/**
 * struct pci_host - the host bridge; private to host.c
 * @functions: NULL for a slot that is empty
 * @mappings: in slot order; no two overlap
 */
struct pci_host {
	pthread_rwlock_t lock;
	struct pci_platform platform;
	uint64_t mem_base, mem_size;
	uint64_t mem_next; /* from here on no BAR was placed at the start */
	struct pci_function *functions[PCI_NR_SLOTS];
	unsigned nr_mappings;
	struct pci_mapping mappings[PCI_NR_SLOTS * PCI_NR_BARS];
};

/**
 * pci_host_init() - an empty bus
 * @mem_base, @mem_size: the window for BARs, below 4 GiB
 */
void pci_host_init(struct pci_host *host, const struct pci_platform *platform, ipa_t mem_base,
		   uint64_t mem_size);
void pci_host_done(struct pci_host *host);

/**
 * pci_host_add() - put a function into the next free slot; before any vCPU runs
 *
 * Its BARs get places of their own in the window; nothing is mapped there yet.
 *
 * Return: the slot, or -ENOSPC if slots or window are used up.
 */
int pci_host_add(struct pci_host *host, struct pci_function *function);

/** pci_host_add_at() - the same with a slot of the caller's choice; -EEXIST if it is taken */
int pci_host_add_at(struct pci_host *host, struct pci_function *function, unsigned slot);

/**
 * pci_ecam_ops - configuration space of the segment; the device is a struct pci_host
 *
 * Any window size will do: buses, slots and functions that are not there read as all ones, as do
 * accesses that are misaligned or longer than 4 bytes.
 */
extern const struct bus_ops pci_ecam_ops;

/** pci_mem_ops - the window for BARs; the device is a struct pci_host. Gaps read as ones. */
extern const struct bus_ops pci_mem_ops;

#endif
