/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, SHA-384 and SHA-512 (FIPS 180-4) of small messages. */
#ifndef GUEST_SHA2_H
#define GUEST_SHA2_H

#include <stddef.h>
#include <stdint.h>

#define SHA2_MAX_SIZE 64

/** enum sha2 - the numbers are those of RSI_REALM_CONFIG's hash_algo */
enum sha2 { SHA2_256 = 0, SHA2_512 = 1, SHA2_384 = 2 };

/** sha2_size() - bytes of a digest; 0 if @algo is none of ours */
size_t sha2_size(unsigned algo);

/** sha2() - @digest gets sha2_size() bytes */
void sha2(enum sha2 algo, const void *data, size_t size, uint8_t digest[SHA2_MAX_SIZE]);

#endif
