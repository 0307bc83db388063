/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <stddef.h>
#include <string.h>

#include "ccr/virtio_pci.h"

#define VENDOR_VIRTIO   0x1af4
#define FIRST_DEVICE_ID 0x1040
#define REVISION        1

#define MSIX_BAR           1
#define REGISTERS_BAR_SIZE 0x4000u
#define REGION_SIZE        0x1000u
#define NOTIFY_MULTIPLIER  4

enum { ISR_QUEUE = 1, ISR_CONFIG = VIRTIO_PCI_ISR_CONFIG };

/* The order in BAR 0. */
enum { REGION_COMMON, REGION_ISR, REGION_DEVICE, REGION_NOTIFY, NR_REGIONS };

static void update_line(struct virtio_pci *transport)
{
	pci_set_intx(&transport->function,
		     transport->isr && !transport->msix_enabled && !transport->intx_disabled);
}

static void interrupt(struct virtio_pci *transport, uint8_t cause, uint16_t vector)
{
	transport->isr |= cause;
	if (transport->msix_enabled)
		msix_fire(&transport->msix, vector);
	else
		update_line(transport);
}

static void queue_interrupt(void *ctx, unsigned index)
{
	struct virtio_pci *transport = ctx;

	interrupt(transport, ISR_QUEUE, transport->queue_vectors[index]);
}

static void config_interrupt(void *ctx)
{
	struct virtio_pci *transport = ctx;

	interrupt(transport, ISR_CONFIG, transport->config_vector);
}

static int queue_fd(void *ctx, unsigned index)
{
	struct virtio_pci *transport = ctx;

	if (!transport->msix_enabled)
		return -1;
	return msix_lend(&transport->msix, transport->queue_vectors[index]);
}

static void reset(void *ctx)
{
	struct virtio_pci *transport = ctx;

	transport->device_select = 0;
	transport->driver_select = 0;
	transport->queue_select = 0;
	transport->config_vector = VIRTIO_MSI_NO_VECTOR;
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
		transport->queue_vectors[i] = VIRTIO_MSI_NO_VECTOR;
	transport->isr = 0;
	update_line(transport);
}

static const struct virtio_transport virtio_pci_transport = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
	.queue_fd = queue_fd,
	.reset = reset,
};

/* Common configuration. */

/* Each register is accessed as a whole; other accesses read as 0 and change nothing. */
static const uint8_t common_sizes[] = {
	[VIRTIO_PCI_COMMON_DFSELECT] = 4,  [VIRTIO_PCI_COMMON_DF] = 4,
	[VIRTIO_PCI_COMMON_GFSELECT] = 4,  [VIRTIO_PCI_COMMON_GF] = 4,
	[VIRTIO_PCI_COMMON_MSIX] = 2,      [VIRTIO_PCI_COMMON_NUMQ] = 2,
	[VIRTIO_PCI_COMMON_STATUS] = 1,    [VIRTIO_PCI_COMMON_CFGGENERATION] = 1,
	[VIRTIO_PCI_COMMON_Q_SELECT] = 2,  [VIRTIO_PCI_COMMON_Q_SIZE] = 2,
	[VIRTIO_PCI_COMMON_Q_MSIX] = 2,    [VIRTIO_PCI_COMMON_Q_ENABLE] = 2,
	[VIRTIO_PCI_COMMON_Q_NOFF] = 2,    [VIRTIO_PCI_COMMON_Q_DESCLO] = 4,
	[VIRTIO_PCI_COMMON_Q_DESCHI] = 4,  [VIRTIO_PCI_COMMON_Q_AVAILLO] = 4,
	[VIRTIO_PCI_COMMON_Q_AVAILHI] = 4, [VIRTIO_PCI_COMMON_Q_USEDLO] = 4,
	[VIRTIO_PCI_COMMON_Q_USEDHI] = 4,
};

#define COMMON_SIZE (VIRTIO_PCI_COMMON_Q_USEDHI + 4)

static bool is_register(uint64_t offset, unsigned size)
{
	return offset < sizeof(common_sizes) && common_sizes[offset] == size;
}

/* Which of a queue's addresses a register is half of. */
static dma_t *queue_address(struct virtq *queue, uint64_t offset)
{
	if (offset < VIRTIO_PCI_COMMON_Q_AVAILLO)
		return &queue->desc;
	return offset < VIRTIO_PCI_COMMON_Q_USEDLO ? &queue->avail : &queue->used;
}

static unsigned address_shift(uint64_t offset)
{
	return (offset - VIRTIO_PCI_COMMON_Q_DESCLO) % 8 ? 32 : 0;
}

static uint64_t read_queue_register(struct virtio_pci *transport, uint64_t offset)
{
	const unsigned index = transport->queue_select;
	struct virtq *queue = virtio_queue(transport->dev, index);

	/* A size of 0 is how a driver learns that there is no such queue. */
	if (!queue)
		return 0;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return queue->size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return transport->queue_vectors[index];
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return queue->enabled;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return index;
	default:
		return (uint32_t)(queue_address(queue, offset)->v >> address_shift(offset));
	}
}

static uint64_t common_read(struct virtio_pci *transport, uint64_t offset, unsigned size)
{
	struct virtio_dev *dev = transport->dev;

	if (!is_register(offset, size))
		return 0;
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return transport->device_select;
	case VIRTIO_PCI_COMMON_DF:
		return virtio_read_features(dev, transport->device_select);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return transport->driver_select;
	case VIRTIO_PCI_COMMON_GF:
		return virtio_read_accepted(dev, transport->driver_select);
	case VIRTIO_PCI_COMMON_MSIX:
		return transport->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return dev->nr_queues;
	case VIRTIO_PCI_COMMON_STATUS:
		return virtio_read_status(dev);
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return dev->config_generation;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return transport->queue_select;
	default:
		return read_queue_register(transport, offset);
	}
}

/* What a driver reads back tells it whether its vector exists. */
static uint16_t to_vector(const struct virtio_pci *transport, uint32_t value)
{
	return value < transport->msix.nr_vectors ? (uint16_t)value : VIRTIO_MSI_NO_VECTOR;
}

static void write_queue_setup(struct virtio_pci *transport, uint64_t offset, uint32_t value)
{
	struct virtq *queue = virtio_queue_setup(transport->dev, transport->queue_select);
	dma_t *address;

	if (!queue)
		return;
	if (offset == VIRTIO_PCI_COMMON_Q_SIZE) {
		queue->size = (uint16_t)value;
		return;
	}
	address = queue_address(queue, offset);
	address->v &= ~(0xffffffffull << address_shift(offset));
	address->v |= (uint64_t)value << address_shift(offset);
}

static void write_queue_register(struct virtio_pci *transport, uint64_t offset, uint32_t value)
{
	const unsigned index = transport->queue_select;

	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_MSIX:
		if (virtio_queue(transport->dev, index)) {
			transport->queue_vectors[index] = to_vector(transport, value);
			virtio_rewired(transport->dev);
		}
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if (value == 1)
			virtio_enable_queue(transport->dev, index);
		break;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		break;
	default:
		write_queue_setup(transport, offset, value);
		break;
	}
}

static void common_write(struct virtio_pci *transport, uint64_t offset, unsigned size,
			 uint64_t value)
{
	struct virtio_dev *dev = transport->dev;

	if (!is_register(offset, size))
		return;
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		transport->device_select = (uint32_t)value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		transport->driver_select = (uint32_t)value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		virtio_write_accepted(dev, transport->driver_select, (uint32_t)value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		transport->config_vector = to_vector(transport, (uint32_t)value);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		virtio_write_status(dev, (uint8_t)value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		transport->queue_select = (uint16_t)value;
		break;
	case VIRTIO_PCI_COMMON_DF:
	case VIRTIO_PCI_COMMON_NUMQ:
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		break;
	default:
		write_queue_register(transport, offset, (uint32_t)value);
		break;
	}
}

/* The other structures. */

static uint64_t isr_read(struct virtio_pci *transport, uint64_t offset, unsigned size)
{
	const uint8_t isr = transport->isr;

	(void)size;
	if (offset != 0)
		return 0;
	transport->isr = 0;
	update_line(transport);
	return isr;
}

static uint64_t device_read(struct virtio_pci *transport, uint64_t offset, unsigned size)
{
	return virtio_read_config(transport->dev, offset, size);
}

static void device_write(struct virtio_pci *transport, uint64_t offset, unsigned size,
			 uint64_t value)
{
	virtio_write_config(transport->dev, offset, size, value);
}

/* Reached only where no ioeventfd takes the write. */
static void notify_write(struct virtio_pci *transport, uint64_t offset, unsigned size,
			 uint64_t value)
{
	(void)size;
	(void)value;
	if (offset % NOTIFY_MULTIPLIER == 0 &&
	    virtio_queue(transport->dev, (unsigned)(offset / NOTIFY_MULTIPLIER)))
		virtio_kick(transport->dev);
}

static uint64_t nothing_read(struct virtio_pci *transport, uint64_t offset, unsigned size)
{
	(void)transport;
	(void)offset;
	(void)size;
	return 0;
}

static void nothing_write(struct virtio_pci *transport, uint64_t offset, unsigned size,
			  uint64_t value)
{
	(void)transport;
	(void)offset;
	(void)size;
	(void)value;
}

/* BAR 0, REGION_SIZE each; @cfg_type is the capability that announces one. */
static const struct {
	uint8_t cfg_type;
	uint64_t (*read)(struct virtio_pci *transport, uint64_t offset, unsigned size);
	void (*write)(struct virtio_pci *transport, uint64_t offset, unsigned size, uint64_t value);
} regions[NR_REGIONS] = {
	[REGION_COMMON] = {VIRTIO_PCI_CAP_COMMON_CFG, common_read, common_write},
	[REGION_ISR] = {VIRTIO_PCI_CAP_ISR_CFG, isr_read, nothing_write},
	[REGION_DEVICE] = {VIRTIO_PCI_CAP_DEVICE_CFG, device_read, device_write},
	[REGION_NOTIFY] = {VIRTIO_PCI_CAP_NOTIFY_CFG, nothing_read, notify_write},
};

_Static_assert(NR_REGIONS *REGION_SIZE == REGISTERS_BAR_SIZE, "BAR 0 has no gap");

static uint64_t registers_read(void *self, uint64_t offset, unsigned size)
{
	struct virtio_pci *transport = self;
	uint64_t value;

	virtio_lock(transport->dev);
	value = regions[offset / REGION_SIZE].read(transport, offset % REGION_SIZE, size);
	virtio_unlock(transport->dev);
	return value;
}

static void registers_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_pci *transport = self;

	virtio_lock(transport->dev);
	regions[offset / REGION_SIZE].write(transport, offset % REGION_SIZE, size, value);
	virtio_unlock(transport->dev);
}

static uint64_t vectors_read(void *self, uint64_t offset, unsigned size)
{
	struct virtio_pci *transport = self;

	return msix_read(&transport->msix, offset, size);
}

static void vectors_write(void *self, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_pci *transport = self;

	msix_write(&transport->msix, offset, size, value);
}

static const struct bus_ops registers_ops = {.read = registers_read, .write = registers_write};
static const struct bus_ops vectors_ops = {.read = vectors_read, .write = vectors_write};

static void control_changed(void *self)
{
	struct virtio_pci *transport = self;
	const uint16_t command = pci_command(&transport->function);
	const bool msix_enabled = pci_msix_is_enabled(&transport->function);

	virtio_lock(transport->dev);
	if (transport->msix_enabled != msix_enabled) {
		transport->msix_enabled = msix_enabled;
		virtio_rewired(transport->dev);
	}
	transport->intx_disabled = command & PCI_COMMAND_INTX_DISABLE;
	update_line(transport);
	virtio_set_dma(transport->dev, command & PCI_COMMAND_MASTER);
	virtio_unlock(transport->dev);
}

static const struct pci_type virtio_pci_type;

/*
 * The window (4.1.4.9): a capability whose bar, offset and length fields name a place, and whose
 * data field then stands for it. Firmware that cannot map BARs uses it.
 *
 * Return: the ops of the BAR, and in @ret_offset the place; NULL unless the access is to the data
 * field as a whole and the place is one aligned register of a BAR.
 */
static const struct bus_ops *find_window(const struct virtio_pci *transport, unsigned offset,
					 unsigned size, uint64_t *ret_offset)
{
	struct virtio_pci_cap cap;
	uint32_t length;

	if (!transport->window_at ||
	    offset != transport->window_at + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data))
		return NULL;
	memcpy(&cap, transport->function.config + transport->window_at, sizeof(cap));
	length = le32toh(cap.length);
	*ret_offset = le32toh(cap.offset);
	if (cap.bar >= PCI_NR_BARS || length != size || *ret_offset % size ||
	    !range_within(*ret_offset, size, 0, virtio_pci_type.bars[cap.bar].size))
		return NULL;
	return virtio_pci_type.bars[cap.bar].ops;
}

static bool read_config(void *self, unsigned offset, unsigned size, uint32_t *ret_value)
{
	uint64_t at;
	const struct bus_ops *ops = find_window(self, offset, size, &at);

	if (!ops)
		return false;
	*ret_value = (uint32_t)ops->read(self, at, size);
	return true;
}

static bool write_config(void *self, unsigned offset, unsigned size, uint32_t value)
{
	uint64_t at;
	const struct bus_ops *ops = find_window(self, offset, size, &at);

	if (!ops)
		return false;
	ops->write(self, at, size, value);
	return true;
}

static const struct pci_type virtio_pci_type = {
	.name = "virtio-pci",
	.bars =
		{
			[VIRTIO_PCI_REGISTERS_BAR] = {REGISTERS_BAR_SIZE, &registers_ops},
			[MSIX_BAR] = {MSIX_BAR_SIZE, &vectors_ops},
		},
	.control_changed = control_changed,
	.read_config = read_config,
	.write_config = write_config,
};

static uint32_t region_length(const struct virtio_dev *dev, unsigned region)
{
	switch (region) {
	case REGION_COMMON:
		return COMMON_SIZE;
	case REGION_DEVICE:
		return dev->type->config_size;
	case REGION_NOTIFY:
		return NOTIFY_MULTIPLIER * dev->nr_queues;
	default:
		return 1;
	}
}

static void add_region(struct virtio_pci *transport, unsigned region)
{
	struct virtio_pci_notify_cap bytes = {
		.cap =
			{
				.cap_vndr = PCI_CAP_ID_VNDR,
				.cap_len = sizeof(struct virtio_pci_cap),
				.cfg_type = regions[region].cfg_type,
				.bar = VIRTIO_PCI_REGISTERS_BAR,
				.offset = htole32(region * REGION_SIZE),
				.length = htole32(region_length(transport->dev, region)),
			},
		.notify_off_multiplier = htole32(NOTIFY_MULTIPLIER),
	};

	if (region == REGION_NOTIFY)
		bytes.cap.cap_len = sizeof(bytes);
	/* A device without configuration space has no such structure. */
	if (bytes.cap.length)
		pci_add_capability(&transport->function, &bytes, NULL, bytes.cap.cap_len);
}

static void add_window(struct virtio_pci *transport)
{
	const struct virtio_pci_cfg_cap bytes = {
		.cap =
			{
				.cap_vndr = PCI_CAP_ID_VNDR,
				.cap_len = sizeof(bytes),
				.cfg_type = VIRTIO_PCI_CAP_PCI_CFG,
			},
	};
	const struct virtio_pci_cfg_cap writable = {
		.cap = {.bar = 0xff, .offset = ~0u, .length = ~0u},
		.pci_cfg_data = {0xff, 0xff, 0xff, 0xff},
	};

	transport->window_at =
		pci_add_capability(&transport->function, &bytes, &writable, sizeof(bytes));
}

static void prepare_vector(void *ctx, unsigned vector, const struct msix_message *message)
{
	struct virtio_pci *transport = ctx;

	pci_prepare_msi(&transport->function, vector, message);
}

static void signal_vector(void *ctx, unsigned vector, const struct msix_message *message)
{
	struct virtio_pci *transport = ctx;

	pci_signal_msi(&transport->function, vector, message);
}

static void hold_vector(void *ctx, unsigned vector)
{
	struct virtio_pci *transport = ctx;

	pci_hold_msi(&transport->function, vector);
}

static int lend_vector(void *ctx, unsigned vector)
{
	struct virtio_pci *transport = ctx;

	return pci_lend_msi(&transport->function, vector);
}

static bool is_vector_held(void *ctx, unsigned vector)
{
	struct virtio_pci *transport = ctx;

	return pci_is_msi_held(&transport->function, vector);
}

static const struct msix_ops vector_ops = {
	.prepare = prepare_vector,
	.signal = signal_vector,
	.hold = hold_vector,
	.lend = lend_vector,
	.is_held = is_vector_held,
};

void virtio_pci_init(struct virtio_pci *transport, struct virtio_dev *dev)
{
	const struct virtio_type *type = dev->type;
	const struct pci_ids ids = {
		.vendor = VENDOR_VIRTIO,
		.device = FIRST_DEVICE_ID + type->id,
		.subsystem_vendor = VENDOR_VIRTIO,
		.subsystem = FIRST_DEVICE_ID + type->id,
		.class_code = type->pci_class,
		.revision = REVISION,
	};

	*transport = (struct virtio_pci){.dev = dev, .config_vector = VIRTIO_MSI_NO_VECTOR};
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
		transport->queue_vectors[i] = VIRTIO_MSI_NO_VECTOR;
	msix_init(&transport->msix, dev->nr_queues + 1, &vector_ops, transport);
	pci_function_init(&transport->function, &virtio_pci_type, &ids, transport);
	/* 12 + 4 * 16 + 4 + 20 bytes: there is room. */
	pci_add_msix(&transport->function, &transport->msix, MSIX_BAR);
	for (unsigned i = 0; i < NR_REGIONS; i++)
		add_region(transport, i);
	add_window(transport);
	virtio_attach(dev, &virtio_pci_transport, transport);
}

void virtio_pci_done(struct virtio_pci *transport)
{
	msix_done(&transport->msix);
}

uint64_t virtio_pci_notify_offset(unsigned index)
{
	return (uint64_t)REGION_NOTIFY * REGION_SIZE + (uint64_t)NOTIFY_MULTIPLIER * index;
}
