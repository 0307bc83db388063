/* SPDX-License-Identifier: Apache-2.0 */
/* Channels: the event loop moves bytes between ports of the virtio console and their host ends. */
#include "internal.h"

/* Bytes that are moved at a time, between looks at everything else. */
#define MOVE_SIZE 4096

/* How long a look at the host ends takes, at the end, if nothing moves. */
#define STEP_MS 100

static unsigned port_of(unsigned channel)
{
	return VCONSOLE_PORT + 1 + channel;
}

int channels_open(struct channels *channels, const struct vm_channel *wishes, unsigned nr,
		  struct ccr_err *err)
{
	int ret = 0;

	for (unsigned i = 0; i < nr && !ret; i++) {
		ret = chardev_open(&channels->ends[i], &wishes[i].end, err);
		channels->names[i] = wishes[i].name;
		channels->nr += !ret;
	}
	return ret;
}

void channels_close(struct channels *channels)
{
	while (channels->nr > 0)
		chardev_close(&channels->ends[--channels->nr]);
}

void channels_set_fds(const struct channels *channels, struct vconsole *console,
		      struct pollfd fds[CHANNELS_NR_FDS])
{
	for (unsigned i = 0; i < VM_MAX_CHANNELS; i++) {
		const bool wants_input = i < channels->nr && vconsole_room(console, port_of(i)) > 0;

		/* What is not open has no descriptors. */
		chardev_set_fds(&channels->ends[i], wants_input, fds + (size_t)i * CHARDEV_NR_FDS);
	}
}

static void give_input(struct chardev *end, struct vconsole *console, unsigned port)
{
	uint8_t bytes[MOVE_SIZE];
	const size_t room = vconsole_room(console, port);
	const size_t size = chardev_read(end, bytes, room < sizeof(bytes) ? room : sizeof(bytes));

	if (size > 0)
		vconsole_receive(console, port, bytes, size);
}

/* Return: bytes moved, 0 if there are none or the host end takes none. */
static size_t take_output(struct chardev *end, struct vconsole *console, unsigned port)
{
	uint8_t bytes[MOVE_SIZE];
	const size_t room = chardev_has_peer(end) ? chardev_room(end) : 0;
	const size_t size =
		vconsole_peek(console, port, bytes, room < sizeof(bytes) ? room : sizeof(bytes));

	if (size > 0) {
		chardev_write(end, bytes, size);
		vconsole_consume(console, port, size);
	}
	return size;
}

static void note_peer(struct chardev *end, struct vconsole *console, unsigned port)
{
	if (!chardev_has_peer(end))
		chardev_forget(end);
	vconsole_set_connected(console, port, chardev_is_connected(end));
}

void channels_serve(struct channels *channels, struct vconsole *console,
		    const struct pollfd fds[CHANNELS_NR_FDS])
{
	for (unsigned i = 0; i < channels->nr; i++) {
		struct chardev *end = &channels->ends[i];

		chardev_serve(end, fds + (size_t)i * CHARDEV_NR_FDS);
		note_peer(end, console, port_of(i));
		give_input(end, console, port_of(i));
		take_output(end, console, port_of(i));
		note_peer(end, console, port_of(i));
	}
}

bool channels_are_busy(const struct channels *channels, struct vconsole *console)
{
	uint8_t byte;

	for (unsigned i = 0; i < channels->nr; i++) {
		const struct chardev *end = &channels->ends[i];

		if (chardev_has_peer(end) && chardev_room(end) > 0 &&
		    vconsole_peek(console, port_of(i), &byte, 1) > 0)
			return true;
	}
	return false;
}

static bool have_output(const struct channels *channels)
{
	bool some = false;

	for (unsigned i = 0; i < channels->nr; i++)
		some |= chardev_has_output(&channels->ends[i]);
	return some;
}

/* Let the host ends take some of what they have queued. Return: about how long that took. */
/* syscalls(loop): ppoll */
static int wait_for_ends(struct channels *channels)
{
	struct pollfd fds[CHANNELS_NR_FDS];

	for (unsigned i = 0; i < VM_MAX_CHANNELS; i++)
		chardev_set_fds(&channels->ends[i], false, fds + (size_t)i * CHARDEV_NR_FDS);
	if (poll(fds, CHANNELS_NR_FDS, STEP_MS) <= 0)
		return STEP_MS;
	for (unsigned i = 0; i < channels->nr; i++)
		chardev_serve(&channels->ends[i], fds + (size_t)i * CHARDEV_NR_FDS);
	return 1;
}

void channels_drain(struct channels *channels, struct vconsole *console, int budget_ms)
{
	size_t left = (size_t)channels->nr * 2 * VCONSOLE_RING_SIZE;

	if (channels->nr == 0)
		return;
	virtio_service(&console->virtio);
	while (budget_ms > 0) {
		size_t done = 0;

		for (unsigned i = 0; i < channels->nr && left > 0; i++)
			done += take_output(&channels->ends[i], console, port_of(i));
		left -= done < left ? done : left;
		if (done > 0)
			continue;
		if (!have_output(channels))
			break;
		budget_ms -= wait_for_ends(channels);
	}
}
