/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "ccr/bus.h"

/* Number of windows whose base is not above @address: the last of them is the only candidate. */
static unsigned nr_windows_upto(const struct bus *bus, uint64_t address)
{
	unsigned low = 0, high = bus->nr_windows;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (bus->windows[middle].base.v <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int bus_add(struct bus *bus, ipa_t base, uint64_t size, const char *name, const struct bus_ops *ops,
	    void *dev)
{
	unsigned at = nr_windows_upto(bus, base.v);
	struct bus_window *here = &bus->windows[at];
	uint64_t last = base.v + size - 1;

	if (!size || last < base.v)
		return -EINVAL;
	if (at > 0 && base.v - here[-1].base.v < here[-1].size)
		return -EEXIST;
	if (at < bus->nr_windows && here->base.v <= last)
		return -EEXIST;
	if (bus->nr_windows == BUS_MAX_WINDOWS)
		return -ENOSPC;
	memmove(here + 1, here, (bus->nr_windows - at) * sizeof(*here));
	*here = (struct bus_window){base, size, ops, dev, name};
	bus->nr_windows++;
	return 0;
}

static const struct bus_window *find(const struct bus *bus, ipa_t at, unsigned size)
{
	unsigned nr = nr_windows_upto(bus, at.v);
	const struct bus_window *window = nr ? &bus->windows[nr - 1] : NULL;

	if (size != 1 && size != 2 && size != 4 && size != 8)
		return NULL;
	if (!window || !range_within(at.v, size, window->base.v, window->size))
		return NULL;
	return window;
}

static uint64_t low_bytes(uint64_t value, unsigned size)
{
	return value & (~0ull >> (64 - 8 * size));
}

int bus_read(struct bus *bus, ipa_t at, unsigned size, uint64_t *ret_value)
{
	const struct bus_window *window = find(bus, at, size);

	if (!window)
		return -ENXIO;
	*ret_value = window->ops->read(window->dev, at.v - window->base.v, size);
	return 0;
}

int bus_write(struct bus *bus, ipa_t at, unsigned size, uint64_t value)
{
	const struct bus_window *window = find(bus, at, size);

	if (!window)
		return -ENXIO;
	window->ops->write(window->dev, at.v - window->base.v, size, low_bytes(value, size));
	return 0;
}
