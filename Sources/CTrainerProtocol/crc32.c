// CRC-32 with processor instructions that are not available in Swift. Only whole blocks of 16 bytes; the caller
// handles the rest by table.
#include "CTrainerProtocol.h"

#if defined(__x86_64__)
#include <immintrin.h>

int hf_crc32_is_fast(void) { return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"); }

// Folding by carry-less multiplication, after "Fast CRC Computation for Generic Polynomials Using
// PCLMULQDQ Instruction" (Gopal et al., Intel, 2009), with its constants for the reflected 0x104C11DB7.
__attribute__((target("pclmul,sse4.1")))
uint32_t hf_crc32_blocks(uint32_t crc, const uint8_t *bytes, size_t count) {
  const __m128i by512 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
  const __m128i by128 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
  const __m128i by64 = _mm_set_epi64x(0, 0x0163cd6124);
  const __m128i barrett = _mm_set_epi64x(0x01f7011641, 0x01db710641);
  const __m128i low = _mm_setr_epi32(~0, 0, ~0, 0);
#define LOAD(offset) _mm_loadu_si128((const __m128i *)(bytes + (offset)))
#define FOLD(value, by) \
  _mm_xor_si128(_mm_clmulepi64_si128(value, by, 0x00), _mm_clmulepi64_si128(value, by, 0x11))

  __m128i a = _mm_xor_si128(LOAD(0), _mm_cvtsi32_si128((int)crc));
  if (count >= 64) {
    __m128i b = LOAD(16), c = LOAD(32), d = LOAD(48);
    for (bytes += 64, count -= 64; count >= 64; bytes += 64, count -= 64) {
      a = _mm_xor_si128(FOLD(a, by512), LOAD(0));
      b = _mm_xor_si128(FOLD(b, by512), LOAD(16));
      c = _mm_xor_si128(FOLD(c, by512), LOAD(32));
      d = _mm_xor_si128(FOLD(d, by512), LOAD(48));
    }
    a = _mm_xor_si128(FOLD(a, by128), b);
    a = _mm_xor_si128(FOLD(a, by128), c);
    a = _mm_xor_si128(FOLD(a, by128), d);
  } else {
    bytes += 16;
    count -= 16;
  }
  for (; count >= 16; bytes += 16, count -= 16) a = _mm_xor_si128(FOLD(a, by128), LOAD(0));

  // 128 bits to 64, to 32 with the remainder's 32, then Barrett's reduction.
  a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, by128, 0x10));
  a = _mm_xor_si128(_mm_srli_si128(a, 4), _mm_clmulepi64_si128(_mm_and_si128(a, low), by64, 0x00));
  __m128i quotient = _mm_and_si128(_mm_clmulepi64_si128(_mm_and_si128(a, low), barrett, 0x10), low);
  a = _mm_xor_si128(a, _mm_clmulepi64_si128(quotient, barrett, 0x00));
  return (uint32_t)_mm_extract_epi32(a, 1);
}

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#include <string.h>

int hf_crc32_is_fast(void) { return 1; }

uint32_t hf_crc32_blocks(uint32_t crc, const uint8_t *bytes, size_t count) {
  for (; count >= 8; bytes += 8, count -= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    crc = __crc32d(crc, word);
  }
  return crc;
}

#else

int hf_crc32_is_fast(void) { return 0; }
uint32_t hf_crc32_blocks(uint32_t crc, const uint8_t *bytes, size_t count) {
  (void)bytes;
  (void)count;
  return crc;
}

#endif
