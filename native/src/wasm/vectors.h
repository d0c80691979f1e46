#pragma once

#include <rte_branch_prediction.h>
#include <rte_memcpy.h>
#include <smmintrin.h>

#include <cstdint>
#include <cstring>

namespace sluice {

/// 16 bytes.
using Vector = uint64_t __attribute__((vector_size(16), may_alias));

/// At a multiple of 16, as all parts of a slot, of Expected and of PacketMeta are.
inline Vector load_vector(const void* from) {
  return *static_cast<const Vector*>(from);
}
inline void store_vector(void* to, Vector value) {
  *static_cast<Vector*>(to) = value;
}
/// At any place.
inline Vector load_unaligned(const void* from) {
  Vector value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}
inline bool is_zero(Vector value) {
  const auto bits = reinterpret_cast<__m128i>(value);
  return _mm_testz_si128(bits, bits) != 0;
}

constexpr uint32_t kVector = 32;  ///< bytes that are copied at once

/// Copies `size` bytes, at least kVector, between two places that do not overlap: by whole vectors that overlap each
/// other, so that there is no loop for the last bytes, and none at all up to 64.
inline void copy_vectors(uint8_t* to, const uint8_t* from, uint32_t size) {
  rte_mov32(to, from);
  for (uint32_t at = kVector; unlikely(at + kVector < size); at += kVector) rte_mov32(to + at, from + at);
  rte_mov32(to + size - kVector, from + size - kVector);
}

/// The same of any size.
inline void copy_apart(uint8_t* to, const uint8_t* from, uint32_t size) {
  if (likely(size >= kVector)) return copy_vectors(to, from, size);
  if (size < 16) return static_cast<void>(std::memcpy(to, from, size));
  rte_mov16(to, from);
  rte_mov16(to + size - 16, from + size - 16);
}

}  // namespace sluice
