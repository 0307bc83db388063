/* SPDX-License-Identifier: Apache-2.0 */
/* links: src/host/broker_proto.c */
/*
 * What a machine and its broker say to each other, decoded as both. Whatever comes,
 *   - what is taken as a request has one spelling, names that are components of a path, and handles
 *     and flags in range,
 *   - what is taken as a reply has one spelling but for what an error leaves out, and an error
 *     comes alone.
 */
#include <stdlib.h>
#include <string.h>

#include "ccr/broker_proto.h"
#include "fuzz.h"

static void check_request(const struct broker_request *request, const uint8_t *data, size_t size)
{
	uint8_t again[BROKER_MAX_MESSAGE];

	require(request->op < BROKER_NR_OPS && request->handle < BROKER_NR_HANDLES);
	require(request->other < BROKER_NR_HANDLES && request->flags <= BROKER_ALL_FLAGS);
	require(!request->name[0] || broker_is_name(request->name));
	require(request->op != BROKER_RENAME || broker_is_name(request->text));
	require(request->offset <= INT64_MAX && request->size <= INT64_MAX);
	require(broker_encode_request(request, again) == size);
	require(!memcmp(again, data, size));
}

static void check_reply(const struct broker_reply *reply, const uint8_t *data, size_t size)
{
	uint8_t again[BROKER_MAX_MESSAGE];

	require(reply->error <= 0 && reply->error > -4096);
	require(reply->payload_size <= BROKER_MAX_PAYLOAD);
	require(!reply->error || (!reply->has_fd && !reply->payload_size));
	require(broker_encode_reply(reply, again) == size);
	require(reply->error || !memcmp(again, data, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct broker_request request;
	static struct broker_reply reply;

	if (!broker_decode_request(data, size, &request))
		check_request(&request, data, size);
	if (!broker_decode_reply(data, size, &reply))
		check_reply(&reply, data, size);
	return 0;
}
