/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader. Events come in the order of the launch, so that what has been read decides what may
 * follow:
 *
 *	header, VM VERSION, [DTB], RMM, REALM_CREATE, then measured steps
 *
 * A measured image (one with a digest) must be followed by the digests of its granules, in one or
 * more events without a gap. Of the steps only REC_CREATE must be there, once; which others make
 * a realm, and in which order, is for the replay to find out.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "evlog_format.h"

/* What has been read of the head. */
enum stage { STAGE_VM_VERSION, STAGE_RMM, STAGE_CREATE, STAGE_STEPS };

/*
 * struct reader - a log being read
 * @next, @left: what is left of the log
 * @why: the first failure, a clause without a subject; once it is set, nothing more is read
 * @granule_next, @granule_end: where the next digests must be for, and how far the image reaches
 *	for which there must be some
 */
struct reader {
	const uint8_t *next;
	size_t left;
	const char *why;
	struct evlog *log;
	enum stage stage;
	bool has_rec;
	uint64_t granule_next;
	uint64_t granule_end;
};

/* struct event - the head of a TCG_PCR_EVENT2 and a reader of its data */
struct event {
	uint32_t type;
	bool has_digest;
	bool is_zero; /* the digest is */
	const uint8_t *data;
	size_t size;
};

static bool fail(struct reader *r, const char *why)
{
	if (!r->why)
		r->why = why;
	return false;
}

static const uint8_t *take(struct reader *r, size_t size)
{
	const uint8_t *at = r->next;

	if (r->why || size > r->left) {
		fail(r, "is cut off");
		return NULL;
	}
	r->next += size;
	r->left -= size;
	return at;
}

static uint64_t take_number(struct reader *r, size_t size)
{
	const uint8_t *at = take(r, size);
	uint64_t value = 0;

	if (at)
		memcpy(&value, at, size);
	return le64toh(value);
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

/* @text, padded with zeros to @size */
static bool is_field(const uint8_t *bytes, const char *text, size_t size)
{
	const size_t length = strlen(text);

	return length <= size && !memcmp(bytes, text, length) &&
	       is_zero(bytes + length, size - length);
}

static bool take_algo(struct reader *r)
{
	const uint64_t id = take_number(r, 2);
	const uint64_t size = take_number(r, 2);

	for (size_t i = 0; i < EVLOG_NR_ALGOS; i++) {
		if (id == evlog_tcg_algos[i] && size == hash_size((enum hash_algo)i)) {
			r->log->hash_algo = (enum hash_algo)i;
			return true;
		}
	}
	return fail(r, "names a hash that realms do not have");
}

static bool read_spec_id(struct reader *r)
{
	static const uint8_t version[] = EVLOG_SPEC_VERSION;
	const uint64_t pcr = take_number(r, 4);
	const uint64_t type = take_number(r, 4);
	const uint8_t *digest = take(r, EVLOG_SHA1_SIZE);
	const uint64_t size = take_number(r, 4);
	const uint8_t *signature = take(r, EVLOG_SIGNATURE);
	const uint64_t class = take_number(r, 4);
	const uint8_t *numbers = take(r, sizeof(version));
	const uint64_t nr_algos = take_number(r, 4);

	if (r->why)
		return false;
	if (pcr != EVLOG_PCR_RIM || type != EV_NO_ACTION || !is_zero(digest, EVLOG_SHA1_SIZE) ||
	    !is_field(signature, EVLOG_SPEC_ID, EVLOG_SIGNATURE))
		return fail(r, "is not the header of a crypto-agile log");
	if (class > 1 || memcmp(numbers, version, 2) != 0 || numbers[3] != version[3])
		return fail(r, "has the header of another kind of log");
	if (nr_algos != 1 || size != EVLOG_SPEC_ID_SIZE)
		return fail(r, "has not just one hash, the realm's");
	if (!take_algo(r))
		return false;
	return take_number(r, 1) == 0 || fail(r, "has vendor information, which is not known");
}

static bool read_digests(struct reader *r, struct event *event)
{
	const uint64_t nr = take_number(r, 4);
	const size_t size = hash_size(r->log->hash_algo);
	const uint8_t *digest;

	if (r->why || nr == 0)
		return !r->why;
	if (nr > 1)
		return fail(r, "has more digests than the header has hashes");
	if (take_number(r, 2) != evlog_tcg_algos[r->log->hash_algo])
		return fail(r, "has a digest that is not of the header's hash");
	digest = take(r, size);
	event->has_digest = true;
	event->is_zero = digest && is_zero(digest, size);
	return !r->why;
}

static bool read_event(struct reader *r, struct event *event)
{
	*event = (struct event){0};
	if (take_number(r, 4) != EVLOG_PCR_RIM)
		return fail(r, "is not about the RIM");
	event->type = (uint32_t)take_number(r, 4);
	if (!read_digests(r, event))
		return false;
	event->size = take_number(r, 4);
	event->data = take(r, event->size);
	return !r->why;
}

/* Names come from the host; what is not plain text would be shown to somebody. */
static bool take_name(struct reader *r, char *name, size_t size)
{
	const uint8_t *field = take(r, size);
	size_t length;

	if (!field)
		return false;
	length = strnlen((const char *)field, size);
	for (size_t i = 0; i < size; i++) {
		if (i < length ? field[i] < 0x20 || field[i] > 0x7e : field[i] != 0)
			return fail(r, "has a name that is not zero-padded plain text");
	}
	memcpy(name, field, length);
	name[length] = '\0';
	return true;
}

static bool read_vm_version(struct reader *r, struct reader *data)
{
	struct evlog *log = r->log;

	if (r->stage != STAGE_VM_VERSION)
		return fail(r, "describes the machine a second time");
	if (data->left != EVLOG_VM_VERSION_SIZE)
		return fail(r, "has the wrong size");
	if (!take_name(data, log->name, EVLOG_NAME_SIZE) ||
	    !take_name(data, log->version, EVLOG_VERSION_SIZE))
		return fail(r, data->why);
	log->ram_size = take_number(data, 8);
	log->nr_vcpus = (unsigned)take_number(data, 4);
	r->stage = STAGE_RMM;
	return true;
}

static bool read_dtb(struct reader *r, struct reader *data)
{
	if (r->stage != STAGE_RMM || r->log->dtb)
		return fail(r, "has a device tree in the wrong place");
	r->log->dtb_size = data->left;
	r->log->dtb = take(data, data->left);
	return true;
}

static bool read_no_action(struct reader *r, const struct event *event, struct reader *data)
{
	const uint8_t *signature = take(data, EVLOG_SIGNATURE);

	if (!event->has_digest || !event->is_zero)
		return fail(r, "has a digest where nothing is measured, or has none");
	if (!signature)
		return fail(r, "is cut off");
	if (is_field(signature, EVLOG_VM_VERSION, EVLOG_SIGNATURE))
		return read_vm_version(r, data);
	if (is_field(signature, EVLOG_DTB, EVLOG_SIGNATURE))
		return read_dtb(r, data);
	return fail(r, "has a signature that is not known");
}

static bool read_rmm(struct reader *r, struct reader *data)
{
	const uint64_t rmm = take_number(data, 1);

	if (r->stage != STAGE_RMM)
		return fail(r, "names the RMM in the wrong place");
	if (rmm > RMM_2_0_SPEC)
		return fail(r, "names an RMM that is not known");
	r->log->host.rmm = (enum rmm_variant)rmm;
	r->stage = STAGE_CREATE;
	return true;
}

static bool read_create(struct reader *r, struct reader *data)
{
	const uint64_t flags = take_number(data, 8);
	struct evlog *log = r->log;

	if (r->stage != STAGE_CREATE)
		return fail(r, "creates the realm in the wrong place");
	if (flags & ~(uint64_t)(EVLOG_REALM_LPA2 | EVLOG_REALM_SVE | EVLOG_REALM_PMU))
		return fail(r, "creates the realm with flags that are not known");
	log->host.lpa2 = flags & EVLOG_REALM_LPA2;
	log->host.sve = flags & EVLOG_REALM_SVE;
	log->host.pmu = flags & EVLOG_REALM_PMU;
	log->ipa_bits = (unsigned)take_number(data, 1);
	log->host.sve_vl = (unsigned)take_number(data, 1);
	log->host.num_bps = (unsigned)take_number(data, 1);
	log->host.num_wps = (unsigned)take_number(data, 1);
	log->host.pmu_num_ctrs = (unsigned)take_number(data, 1);
	if (take_number(data, 1) != (uint64_t)log->hash_algo)
		return fail(r, "creates the realm with another hash than the header's");
	r->stage = STAGE_STEPS;
	return true;
}

static struct evlog_item *add_item(struct reader *r, enum evlog_kind kind)
{
	struct evlog_item *item;

	if (r->log->nr_items == EVLOG_MAX_ITEMS) {
		fail(r, "is one too many");
		return NULL;
	}
	item = &r->log->items[r->log->nr_items++];
	*item = (struct evlog_item){.kind = kind};
	return item;
}

static bool read_ripas(struct reader *r, struct reader *data)
{
	struct evlog_item *item = add_item(r, EVLOG_RIPAS);

	if (!item)
		return false;
	item->base = ipa_at(take_number(data, 8));
	item->size = take_number(data, 8);
	return true;
}

static bool read_rec(struct reader *r, struct reader *data)
{
	struct evlog_item *item = add_item(r, EVLOG_REC);

	if (!item)
		return false;
	if (take_number(data, 8) != EVLOG_REC_RUNNABLE)
		return fail(r, "creates a vCPU that is not measured");
	if (r->has_rec)
		return fail(r, "creates a second vCPU that is measured");
	item->pc = take_number(data, 8);
	for (unsigned i = 0; i < PLAN_NR_GPRS; i++)
		item->gprs[i] = take_number(data, 8);
	r->has_rec = true;
	return true;
}

static bool read_granules(struct reader *r, struct reader *data)
{
	const size_t digest_size = hash_size(r->log->hash_algo);
	const uint64_t base = take_number(data, 8);
	const uint64_t nr = take_number(data, 8);
	struct evlog_item *item;

	if (r->granule_next == r->granule_end || base != r->granule_next)
		return fail(r, "has digests of granules that nothing was said of");
	if (nr == 0 || nr > EVLOG_MAX_GRANULES || data->left != nr * digest_size ||
	    nr > (r->granule_end - base) / GRANULE_SIZE)
		return fail(r, "has not as many digests as it should");
	item = add_item(r, EVLOG_GRANULES);
	if (!item)
		return false;
	item->base = ipa_at(base);
	item->size = nr * GRANULE_SIZE;
	item->image = r->log->nr_images - 1;
	item->digests = take(data, data->left);
	r->granule_next += item->size;
	return true;
}

/* @size: what must be there; 0 if the function looks itself */
static const struct {
	enum evlog_tag tag;
	size_t size;
	bool is_step;
	bool (*read)(struct reader *r, struct reader *data);
} tags[] = {
	{EVLOG_TAG_RMM, EVLOG_RMM_SIZE, false, read_rmm},
	{EVLOG_TAG_REALM_CREATE, EVLOG_REALM_CREATE_SIZE, false, read_create},
	{EVLOG_TAG_INIT_RIPAS, EVLOG_INIT_RIPAS_SIZE, true, read_ripas},
	{EVLOG_TAG_REC_CREATE, EVLOG_REC_CREATE_SIZE, true, read_rec},
	{EVLOG_TAG_GRANULES, 0, true, read_granules},
};

static bool read_tagged(struct reader *r, const struct event *event, struct reader *data)
{
	const uint64_t tag = take_number(data, 4);
	const uint64_t size = take_number(data, 4);

	if (!event->has_digest || !event->is_zero)
		return fail(r, "has a digest where nothing is measured, or has none");
	if (data->why || size != data->left)
		return fail(r, "has the wrong size");
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		if (tag != (uint64_t)tags[i].tag)
			continue;
		if (tags[i].size ? size != tags[i].size : size < EVLOG_GRANULES_HEAD)
			return fail(r, "has the wrong size");
		if (tags[i].is_step && r->stage != STAGE_STEPS)
			return fail(r, "comes before the realm's creation");
		return tags[i].read(r, data);
	}
	return fail(r, "has a tag that is not known");
}

static void set_image_name(char *name, const char *description)
{
	for (size_t i = 0; i < EVLOG_NR_BLOBS; i++) {
		if (!strcmp(description, evlog_blobs[i].description))
			description = evlog_blobs[i].segment;
	}
	(void)snprintf(name, EVLOG_MAX_IMAGENAME + 1, "%s", description);
}

/* The description counts the zero at its end. */
static bool take_description(struct reader *r, struct reader *data, char *name)
{
	char description[EVLOG_MAX_IMAGENAME + 1];
	const uint64_t size = take_number(data, 1);

	if (size < 2 || size > EVLOG_MAX_IMAGENAME || !take_name(data, description, size) ||
	    strlen(description) != size - 1)
		return fail(r, "has no usable description of its image");
	set_image_name(name, description);
	return true;
}

static bool read_blob(struct reader *r, const struct event *event, struct reader *data)
{
	struct evlog *log = r->log;
	struct evlog_item *item;
	uint64_t base, size, first, end;

	if (r->stage != STAGE_STEPS)
		return fail(r, "comes before the realm's creation");
	if (log->nr_images == EVLOG_MAX_IMAGES)
		return fail(r, "is one image too many");
	if (!take_description(r, data, log->image_names[log->nr_images]))
		return false;
	base = take_number(data, 8);
	size = take_number(data, 8);
	if (data->why || data->left > 0)
		return fail(r, "has the wrong size");
	if (size == 0 || !range_within(base, size, 0, 1ull << 52))
		return fail(r, "has an image that is outside of every realm");
	first = align_down(base, GRANULE_SIZE);
	end = align_up(base + size, GRANULE_SIZE);
	log->image_bases[log->nr_images++] = ipa_at(first);
	if (event->has_digest) {
		r->granule_next = first;
		r->granule_end = end;
		return true;
	}
	if (end - first > EVLOG_MAX_UNMEASURED)
		return fail(r, "has more unmeasured memory than a log may have");
	item = add_item(r, EVLOG_UNMEASURED);
	if (!item)
		return false;
	item->base = ipa_at(first);
	item->size = end - first;
	item->image = log->nr_images - 1;
	return true;
}

static bool is_granules(const struct event *event)
{
	uint32_t tag = 0;

	if (event->type == EV_EVENT_TAG && event->size >= sizeof(tag))
		memcpy(&tag, event->data, sizeof(tag));
	return le32toh(tag) == EVLOG_TAG_GRANULES;
}

static bool interpret(struct reader *r, const struct event *event)
{
	struct reader data = {.next = event->data, .left = event->size, .log = r->log};

	if (r->granule_next != r->granule_end && !is_granules(event))
		return fail(r, "comes before all digests of the granules of the image before it");
	if (r->stage == STAGE_VM_VERSION && event->type != EV_NO_ACTION)
		return fail(r, "comes before the machine's description");
	switch (event->type) {
	case EV_NO_ACTION:
		return read_no_action(r, event, &data);
	case EV_EVENT_TAG:
		return read_tagged(r, event, &data);
	case EV_POST_CODE2:
		return read_blob(r, event, &data);
	default:
		return fail(r, "is of a type that is not known");
	}
}

/* Where the log is in the guest, its region is filled up with zeros. */
static bool at_end(const struct reader *r)
{
	return is_zero(r->next, r->left);
}

static bool check_complete(struct reader *r)
{
	if (r->granule_next != r->granule_end)
		return fail(r, "should be the digests of an image's granules, and is missing");
	if (!r->has_rec)
		return fail(r, "should create the vCPU that is measured, and is missing");
	return true;
}

int evlog_read_log(const uint8_t *data, size_t size, struct evlog *ret_log, struct ccr_err *err)
{
	struct reader r = {.next = data, .left = size, .log = ret_log};
	size_t offset = 0;
	unsigned nr = 1;

	*ret_log = (struct evlog){0};
	if (size > EVLOG_MAX_SIZE)
		return err_set(err, -EINVAL, "%zu bytes are more than a log may have", size);
	if (read_spec_id(&r)) {
		do {
			struct event event;

			nr++;
			offset = (size_t)(r.next - data);
			if (at_end(&r)) {
				check_complete(&r);
				break;
			}
			if (read_event(&r, &event))
				interpret(&r, &event);
		} while (!r.why);
	}
	if (r.why)
		return err_set(err, -EINVAL, "event %u, at byte %zu, %s", nr, offset, r.why);
	return 0;
}
