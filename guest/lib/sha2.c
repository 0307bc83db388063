/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 32-bit and the 64-bit family differ in word size, rotations and rounds only; both take their
 * constants from the upper bits of the same table.
 */
#include "lib/sha2.h"
#include "lib/arch.h"

/* Fractional parts of the cube roots of the first 80 primes; SHA-256 uses the upper half of 64. */
static const uint64_t round_constants[80] = {
	0x428a2f98d728ae22ull, 0x7137449123ef65cdull, 0xb5c0fbcfec4d3b2full, 0xe9b5dba58189dbbcull,
	0x3956c25bf348b538ull, 0x59f111f1b605d019ull, 0x923f82a4af194f9bull, 0xab1c5ed5da6d8118ull,
	0xd807aa98a3030242ull, 0x12835b0145706fbeull, 0x243185be4ee4b28cull, 0x550c7dc3d5ffb4e2ull,
	0x72be5d74f27b896full, 0x80deb1fe3b1696b1ull, 0x9bdc06a725c71235ull, 0xc19bf174cf692694ull,
	0xe49b69c19ef14ad2ull, 0xefbe4786384f25e3ull, 0x0fc19dc68b8cd5b5ull, 0x240ca1cc77ac9c65ull,
	0x2de92c6f592b0275ull, 0x4a7484aa6ea6e483ull, 0x5cb0a9dcbd41fbd4ull, 0x76f988da831153b5ull,
	0x983e5152ee66dfabull, 0xa831c66d2db43210ull, 0xb00327c898fb213full, 0xbf597fc7beef0ee4ull,
	0xc6e00bf33da88fc2ull, 0xd5a79147930aa725ull, 0x06ca6351e003826full, 0x142929670a0e6e70ull,
	0x27b70a8546d22ffcull, 0x2e1b21385c26c926ull, 0x4d2c6dfc5ac42aedull, 0x53380d139d95b3dfull,
	0x650a73548baf63deull, 0x766a0abb3c77b2a8ull, 0x81c2c92e47edaee6ull, 0x92722c851482353bull,
	0xa2bfe8a14cf10364ull, 0xa81a664bbc423001ull, 0xc24b8b70d0f89791ull, 0xc76c51a30654be30ull,
	0xd192e819d6ef5218ull, 0xd69906245565a910ull, 0xf40e35855771202aull, 0x106aa07032bbd1b8ull,
	0x19a4c116b8d2d0c8ull, 0x1e376c085141ab53ull, 0x2748774cdf8eeb99ull, 0x34b0bcb5e19b48a8ull,
	0x391c0cb3c5c95a63ull, 0x4ed8aa4ae3418acbull, 0x5b9cca4f7763e373ull, 0x682e6ff3d6b2b8a3ull,
	0x748f82ee5defb2fcull, 0x78a5636f43172f60ull, 0x84c87814a1f0ab72ull, 0x8cc702081a6439ecull,
	0x90befffa23631e28ull, 0xa4506cebde82bde9ull, 0xbef9a3f7b2c67915ull, 0xc67178f2e372532bull,
	0xca273eceea26619cull, 0xd186b8c721c0c207ull, 0xeada7dd6cde0eb1eull, 0xf57d4f7fee6ed178ull,
	0x06f067aa72176fbaull, 0x0a637dc5a2c898a6ull, 0x113f9804bef90daeull, 0x1b710b35131c471bull,
	0x28db77f523047d84ull, 0x32caab7b40c72493ull, 0x3c9ebe0a15c9bebcull, 0x431d67c49c100d4cull,
	0x4cc5d4becb3e42b6ull, 0x597f299cfc657e2aull, 0x5fcb6fab3ad6faecull, 0x6c44198c4a475817ull,
};

/* Fractional parts of the square roots of primes 1 to 8; SHA-256 uses the upper half. */
static const uint64_t start_512[8] = {
	0x6a09e667f3bcc908ull, 0xbb67ae8584caa73bull, 0x3c6ef372fe94f82bull, 0xa54ff53a5f1d36f1ull,
	0x510e527fade682d1ull, 0x9b05688c2b3e6c1full, 0x1f83d9abfb41bd6bull, 0x5be0cd19137e2179ull,
};

/* The same of primes 9 to 16. */
static const uint64_t start_384[8] = {
	0xcbbb9d5dc1059ed8ull, 0x629a292a367cd507ull, 0x9159015a3070dd17ull, 0x152fecd8f70e5939ull,
	0x67332667ffc00b31ull, 0x8eb44a8768581511ull, 0xdb0c2e0d64f98fa7ull, 0x47b5481dbefa4fa4ull,
};

struct family {
	unsigned word_bits, nr_rounds;
	uint8_t big0[3], big1[3];     /* rotations */
	uint8_t small0[3], small1[3]; /* rotation, rotation, shift */
};

static const struct family family_32 = {
	32, 64, {2, 13, 22}, {6, 11, 25}, {7, 18, 3}, {17, 19, 10},
};

static const struct family family_64 = {
	64, 80, {28, 34, 39}, {14, 18, 41}, {1, 8, 7}, {19, 61, 6},
};

static uint64_t rotate(const struct family *f, uint64_t word, unsigned bits)
{
	if (f->word_bits == 64)
		return word >> bits | word << (64 - bits);
	return (uint32_t)((uint32_t)word >> bits | (uint32_t)word << (32 - bits));
}

static uint64_t truncate(const struct family *f, uint64_t word)
{
	return f->word_bits == 64 ? word : (uint32_t)word;
}

static uint64_t big(const struct family *f, const uint8_t r[3], uint64_t w)
{
	return rotate(f, w, r[0]) ^ rotate(f, w, r[1]) ^ rotate(f, w, r[2]);
}

static uint64_t small(const struct family *f, const uint8_t r[3], uint64_t w)
{
	return rotate(f, w, r[0]) ^ rotate(f, w, r[1]) ^ w >> r[2];
}

static void compress(const struct family *f, uint64_t state[8], const uint8_t *block)
{
	unsigned word_size = f->word_bits / 8;
	uint64_t w[80], s[8];

	for (unsigned t = 0; t < 16; t++) {
		w[t] = 0;
		for (unsigned i = 0; i < word_size; i++)
			w[t] = w[t] << 8 | block[t * word_size + i];
	}
	for (unsigned t = 16; t < f->nr_rounds; t++)
		w[t] = truncate(f, small(f, f->small1, w[t - 2]) + w[t - 7] +
					   small(f, f->small0, w[t - 15]) + w[t - 16]);

	for (unsigned i = 0; i < 8; i++)
		s[i] = state[i];
	for (unsigned t = 0; t < f->nr_rounds; t++) {
		uint64_t k = round_constants[t] >> (64 - f->word_bits);
		uint64_t choose = (s[4] & s[5]) ^ (~s[4] & s[6]);
		uint64_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
		uint64_t t1 = s[7] + big(f, f->big1, s[4]) + choose + k + w[t];
		uint64_t t2 = big(f, f->big0, s[0]) + majority;

		for (unsigned i = 7; i > 0; i--)
			s[i] = s[i - 1];
		s[4] = truncate(f, s[4] + t1);
		s[0] = truncate(f, t1 + t2);
	}
	for (unsigned i = 0; i < 8; i++)
		state[i] = truncate(f, state[i] + s[i]);
}

size_t sha2_size(unsigned algo)
{
	switch (algo) {
	case SHA2_256:
		return 32;
	case SHA2_384:
		return 48;
	case SHA2_512:
		return 64;
	default:
		return 0;
	}
}

void sha2(enum sha2 algo, const void *data, size_t size, uint8_t digest[SHA2_MAX_SIZE])
{
	const struct family *f = algo == SHA2_256 ? &family_32 : &family_64;
	const uint64_t *start = algo == SHA2_384 ? start_384 : start_512;
	size_t word_size = f->word_bits / 8, block_size = 16 * word_size, left = size;
	const uint8_t *bytes = data;
	uint8_t block[128];
	uint64_t state[8];

	for (unsigned i = 0; i < 8; i++)
		state[i] = start[i] >> (64 - f->word_bits);
	for (; left >= block_size; left -= block_size, bytes += block_size)
		compress(f, state, bytes);

	memset(block, 0, sizeof(block));
	memcpy(block, bytes, left);
	block[left] = 0x80;
	if (left + 1 + 2 * word_size > block_size) {
		compress(f, state, block);
		memset(block, 0, sizeof(block));
	}
	for (unsigned i = 0; i < 8; i++)
		block[block_size - 1 - i] = (uint8_t)((uint64_t)size * 8 >> 8 * i);
	compress(f, state, block);

	for (size_t i = 0; i < sha2_size(algo); i++)
		digest[i] =
			(uint8_t)(state[i / word_size] >> (f->word_bits - 8 - 8 * (i % word_size)));
}
