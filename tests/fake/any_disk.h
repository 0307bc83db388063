/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk in a guest that may do anything, for the fuzz targets of its transports: what the host's
 * part and the guest's memory do is chosen by records, and some things hold whatever they choose.
 */
#ifndef FAKE_ANY_DISK_H
#define FAKE_ANY_DISK_H

#include "ccr/blk.h"
#include "virtio_guest.h"

#define ANY_DISK_LANES 2u

/** ANY_DISK_SECRET - a page of the guest's that is private from start to end */
#define ANY_DISK_SECRET 3u

/** struct any_disk_record - what happens next; what @op means is the target's affair */
struct any_disk_record {
	uint8_t op, argument;
	uint16_t place;
	uint32_t value;
};

/** struct any_disk - the device, its image, and the guest that it is in */
struct any_disk {
	struct guest *guest;
	struct disk disk;
	struct blk blk;
};

/** any_disk_create() - an image of 64 KiB, and a device without a transport */
void any_disk_create(struct any_disk *any);

/** any_disk_finish() - the host gives back what it holds, and no memory stays pinned */
void any_disk_finish(struct any_disk *any);

/** any_disk_destroy() - after the transport */
void any_disk_destroy(struct any_disk *any);

/** any_disk_work() - each lane's turn */
void any_disk_work(struct any_disk *any);

/** any_disk_play_memory() - the guest writes a word, or changes what a page is */
void any_disk_play_memory(struct any_disk *any, const struct any_disk_record *record);

/** any_disk_play_host() - requests take their time, end in another order, or fail */
void any_disk_play_host(struct any_disk *any, const struct any_disk_record *record);

/** any_disk_check() - the secret is what it was; pins are for requests in flight, as is busyness */
void any_disk_check(const struct any_disk *any);

/** any_disk_check_device() - what holds of every virtio device: features, status, queues */
void any_disk_check_device(const struct virtio_dev *dev);

#endif
