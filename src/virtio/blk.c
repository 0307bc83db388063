/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <string.h>

#include "ccr/blk.h"

#define BIT(n) (1ull << (n))

#define HEADER_SIZE ((uint32_t)sizeof(struct virtio_blk_outhdr))
#define STATUS_SIZE 1u

#define CONFIG_SIZE offsetof(struct virtio_blk_config, max_secure_erase_sectors)

_Static_assert(CONFIG_SIZE <= VIRTIO_MAX_CONFIG, "the configuration space fits");

/* One command's reach, in sectors: zeros may have to be written, and that must come to an end. */
#define MAX_DISCARD_SECTORS (1u << 21)
#define MAX_ZERO_SECTORS    (1u << 17)

/* struct request - one command; all sizes are of the data, without header and status */
struct request {
	const struct virtq_chain *chain;
	uint32_t type;
	uint64_t sector;
	uint32_t out_size, in_size;
	uint32_t written; /* to the start of the writable part */
};

static bool is_write_back(const struct blk *blk)
{
	return virtio_has(&blk->virtio, VIRTIO_BLK_F_FLUSH) &&
	       blk->virtio.config[offsetof(struct virtio_blk_config, wce)];
}

static bool is_on_disk(const struct blk *blk, uint64_t sector, uint64_t nr_sectors)
{
	return range_within(sector, nr_sectors, 0, blk->disk->size / DISK_SECTOR_SIZE);
}

static int finish_write(const struct blk *blk, int ret, bool write_back)
{
	return ret || write_back ? ret : disk_flush(blk->disk);
}

static int transfer(const struct blk *blk, struct request *request, enum virtq_side side,
		    bool write_back)
{
	const bool is_read = side == VIRTQ_IN;
	const uint32_t size = is_read ? request->in_size : request->out_size;
	struct virtio_segment slices[VIRTIO_MAX_SEGMENTS];
	struct virtio_pin pin;
	unsigned nr;
	int ret;

	if (size == 0 || size % DISK_SECTOR_SIZE ||
	    !is_on_disk(blk, request->sector, size / DISK_SECTOR_SIZE))
		return -EINVAL;
	nr = virtq_chain_slice(request->chain, side, is_read ? 0 : HEADER_SIZE, size, slices);
	ret = virtio_mem_pin(blk->mem, slices, nr, &pin);
	if (ret)
		return ret;
	ret = (is_read ? disk_read : disk_write)(blk->disk, pin.iov, nr,
						 request->sector * DISK_SECTOR_SIZE);
	virtio_mem_unpin(blk->mem, &pin);
	if (is_read && !ret)
		request->written = size;
	return is_read ? ret : finish_write(blk, ret, write_back);
}

static int get_id(const struct blk *blk, struct request *request)
{
	const uint32_t size = request->in_size < BLK_SERIAL_SIZE ? request->in_size
								 : BLK_SERIAL_SIZE;
	int ret = virtq_chain_write(&blk->virtio.queues[0], request->chain, 0, blk->serial, size);

	if (!ret)
		request->written = size;
	return ret;
}

static int free_range(const struct blk *blk, const struct request *request, bool write_back)
{
	const bool zero = request->type == VIRTIO_BLK_T_WRITE_ZEROES;
	struct virtio_blk_discard_write_zeroes range;
	uint64_t sector, nr_sectors;
	uint32_t flags;
	int ret;

	if (request->out_size != sizeof(range))
		return -EINVAL;
	ret = virtq_chain_read(&blk->virtio.queues[0], request->chain, HEADER_SIZE, &range,
			       sizeof(range));
	if (ret)
		return ret;
	sector = le64toh(range.sector);
	nr_sectors = le32toh(range.num_sectors);
	flags = le32toh(range.flags);
	if (flags & ~(zero ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0u))
		return -EOPNOTSUPP;
	if (nr_sectors == 0 || nr_sectors > (zero ? MAX_ZERO_SECTORS : MAX_DISCARD_SECTORS) ||
	    !is_on_disk(blk, sector, nr_sectors))
		return -EINVAL;
	sector *= DISK_SECTOR_SIZE;
	nr_sectors *= DISK_SECTOR_SIZE;
	if (!zero)
		return disk_discard(blk->disk, sector, nr_sectors);
	ret = disk_zero(blk->disk, sector, nr_sectors, flags != 0);
	return finish_write(blk, ret, write_back);
}

/* Runs without the device's lock. */
static int perform(const struct blk *blk, struct request *request, bool write_back)
{
	switch (request->type) {
	case VIRTIO_BLK_T_IN:
		return transfer(blk, request, VIRTQ_IN, write_back);
	case VIRTIO_BLK_T_OUT:
		return transfer(blk, request, VIRTQ_OUT, write_back);
	case VIRTIO_BLK_T_FLUSH:
		return disk_flush(blk->disk);
	case VIRTIO_BLK_T_GET_ID:
		return get_id(blk, request);
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return free_range(blk, request, write_back);
	default:
		return -EOPNOTSUPP;
	}
}

static uint8_t to_status(int ret)
{
	if (ret == 0)
		return VIRTIO_BLK_S_OK;
	return ret == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

/* Return: NULL, or why the driver cannot be answered. */
static const char *decode(struct blk *blk, const struct virtq_chain *chain, struct request *request)
{
	struct virtio_blk_outhdr header;

	if (chain->out_size < HEADER_SIZE || chain->in_size < STATUS_SIZE)
		return "a request without header or status";
	if (virtq_chain_read(&blk->virtio.queues[0], chain, 0, &header, HEADER_SIZE))
		return "a request header that is not in shared memory";
	*request = (struct request){
		.chain = chain,
		.type = le32toh(header.type),
		.sector = le64toh(header.sector),
		.out_size = chain->out_size - HEADER_SIZE,
		.in_size = chain->in_size - STATUS_SIZE,
	};
	return NULL;
}

static void complete(struct blk *blk, const struct request *request, uint8_t status)
{
	struct virtio_dev *dev = &blk->virtio;
	uint32_t written = request->written;

	if (virtq_chain_write(&dev->queues[0], request->chain, request->in_size, &status,
			      STATUS_SIZE)) {
		virtio_fail(dev, "a request status that is not in shared memory");
		return;
	}
	/* Only what is written without a gap counts. */
	if (written == request->in_size)
		written += STATUS_SIZE;
	virtio_push(dev, 0, request->chain, written);
	virtio_notify(dev, 0);
}

static void blk_process(void *self)
{
	struct blk *blk = self;
	struct virtq_chain chain;
	struct request request;

	while (virtio_pop(&blk->virtio, 0, &chain)) {
		const char *why = decode(blk, &chain, &request);
		const bool write_back = is_write_back(blk);
		int ret;

		if (why) {
			virtio_fail(&blk->virtio, why);
			return;
		}
		virtio_begin_io(&blk->virtio);
		ret = perform(blk, &request, write_back);
		if (!virtio_end_io(&blk->virtio))
			return;
		complete(blk, &request, to_status(ret));
	}
}

static void set_write_back(struct blk *blk, bool write_back)
{
	blk->virtio.config[offsetof(struct virtio_blk_config, wce)] = write_back;
}

static void blk_write_config(void *self, unsigned offset, unsigned size, uint64_t value)
{
	struct blk *blk = self;

	if (offset == offsetof(struct virtio_blk_config, wce) && size == 1 && value <= 1 &&
	    virtio_has(&blk->virtio, VIRTIO_BLK_F_CONFIG_WCE))
		set_write_back(blk, value);
}

static void blk_reset(void *self)
{
	set_write_back(self, true);
}

static const struct virtio_type blk_type = {
	.name = "virtio-blk",
	.id = VIRTIO_ID_BLOCK,
	.pci_class = 0x018000, /* mass storage, other */
	.features = BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_RO) |
		    BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |
		    BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_DISCARD) |
		    BIT(VIRTIO_BLK_F_WRITE_ZEROES),
	.config_size = CONFIG_SIZE,
	.nr_queues = 1,
	.queue_sizes = {VIRTQ_MAX_SIZE},
	.process = blk_process,
	.write_config = blk_write_config,
	.reset = blk_reset,
};

static uint64_t features_of(const struct blk_config *config)
{
	uint64_t features = BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_BLK_SIZE);

	if (config->limits.size_max)
		features |= BIT(VIRTIO_BLK_F_SIZE_MAX);
	if (config->disk->read_only)
		return features | BIT(VIRTIO_BLK_F_RO);
	return features | BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_CONFIG_WCE) |
	       BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES);
}

static void fill_config(struct blk *blk, const struct bounce_limits *limits)
{
	const uint32_t sectors_per_block = blk->disk->block_size / DISK_SECTOR_SIZE;
	struct virtio_blk_config space = {
		.capacity = htole64(blk->disk->size / DISK_SECTOR_SIZE),
		.size_max = htole32(limits->size_max),
		.seg_max = htole32(limits->seg_max),
		.blk_size = htole32(blk->disk->block_size),
		.wce = 1,
	};

	/* A read-only disk offers neither. */
	if (!blk->disk->read_only) {
		space.max_discard_sectors = htole32(MAX_DISCARD_SECTORS);
		space.max_discard_seg = htole32(1);
		space.discard_sector_alignment = htole32(sectors_per_block);
		space.max_write_zeroes_sectors = htole32(MAX_ZERO_SECTORS);
		space.max_write_zeroes_seg = htole32(1);
		space.write_zeroes_may_unmap = 1;
	}
	memcpy(blk->virtio.config, &space, CONFIG_SIZE);
}

void blk_init(struct blk *blk, const struct blk_config *config, const struct virtio_setup *setup)
{
	struct virtio_setup own = *setup;

	own.type = &blk_type;
	own.self = blk;
	own.features = features_of(config);
	own.queue_size = config->limits.queue_size;
	blk->mem = setup->mem;
	blk->disk = config->disk;
	memset(blk->serial, 0, sizeof(blk->serial));
	memcpy(blk->serial, config->serial, strnlen(config->serial, sizeof(blk->serial)));
	virtio_init(&blk->virtio, &own);
	fill_config(blk, &config->limits);
}

void blk_done(struct blk *blk)
{
	virtio_done(&blk->virtio);
}
