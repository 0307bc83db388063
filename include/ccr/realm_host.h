/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host's description as JSON, so that the RIM of its realms can be computed far from it:
 * `ccr-run check --json` prints it there, `ccr-run measure --host` reads it here.
 *
 *	"realm_host": {"family": "explicit", "rmm": "1.0", "max_ipa_bits": 48, "num_bps": 5,
 *		       "num_wps": 3, "pmu": false, "pmu_num_ctrs": 0, "sve": false, "sve_vl": 0,
 *		       "lpa2": false}
 *
 * The members are those of struct realm_host, with the numbers as RmiRealmParams has them.
 */
#ifndef CCR_REALM_HOST_H
#define CCR_REALM_HOST_H

#include <stddef.h>

#include "ccr/err.h"
#include "ccr/plan.h"

struct json_object;

/** REALM_HOST_MAX_SIZE - a reasonable limit for a file with a description */
#define REALM_HOST_MAX_SIZE ((size_t)1 << 20)

/** REALM_HOST_MEMBER - the name of the member that is the description */
#define REALM_HOST_MEMBER "realm_host"

/**
 * realm_host_to_json() - the value of REALM_HOST_MEMBER
 *
 * Return: for json_object_put(); NULL if there is no memory.
 */
struct json_object *realm_host_to_json(const struct realm_host *host);

/**
 * realm_host_from_json() - read a document that has a member REALM_HOST_MEMBER
 * @text: @size bytes
 * @ret_host: untouched on error
 *
 * Other members of the document are passed over: the same report says more about a host. Inside
 * the description every member must be there, and an unknown one is an error, because it may be
 * something new that enters a RIM.
 *
 * Return: 0; -EINVAL with @err a clause about the file, which the caller names.
 */
int realm_host_from_json(const char *text, size_t size, struct realm_host *ret_host,
			 struct ccr_err *err);

#endif
