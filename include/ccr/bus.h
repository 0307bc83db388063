/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MMIO bus: which device answers an address. Addresses are without the shared bit.
 */
#ifndef CCR_BUS_H
#define CCR_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "ccr/ipa.h"

/**
 * struct bus_ops - how a device is accessed; called on vCPU threads, the device has its own lock
 * @read: @size is 1, 2, 4 or 8; @offset is from the window's start and [offset, offset + size) lies
 *	inside the window. The value is returned zero-extended.
 * @write: likewise; bits of @value above @size bytes are zero
 */
struct bus_ops {
	uint64_t (*read)(void *dev, uint64_t offset, unsigned size);
	void (*write)(void *dev, uint64_t offset, unsigned size, uint64_t value);
};

#define BUS_MAX_WINDOWS 64

struct bus_window {
	ipa_t base;
	uint64_t size;
	const struct bus_ops *ops;
	void *dev;
	const char *name;
};

/**
 * struct bus - the windows, sorted by base
 *
 * The set of windows does not change once vCPUs run, so look-ups need no lock.
 */
struct bus {
	unsigned nr_windows;
	struct bus_window windows[BUS_MAX_WINDOWS];
};

/**
 * bus_add() - give a device an address range
 * @name: static, for messages
 *
 * Return: 0; -EEXIST if it overlaps another window; -EINVAL if it is empty or wraps; -ENOSPC.
 */
int bus_add(struct bus *bus, ipa_t base, uint64_t size, const char *name, const struct bus_ops *ops,
	    void *dev);

/**
 * bus_read(), bus_write() - one access by the guest
 * @size: as the hypervisor reports it; anything but 1, 2, 4, 8 is refused
 *
 * Only whole accesses match: one that straddles the end of a window hits nothing.
 *
 * Return: 0, or -ENXIO if no device claims the access (*@ret_value untouched).
 */
int bus_read(struct bus *bus, ipa_t at, unsigned size, uint64_t *ret_value);
int bus_write(struct bus *bus, ipa_t at, unsigned size, uint64_t value);

#endif
