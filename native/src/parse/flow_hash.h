#pragma once

#include <cstdint>
#include <cstring>

namespace sluice {

constexpr uint64_t kHashSeedA = 0x9e3779b97f4a7c15;
constexpr uint64_t kHashSeedB = 0xd1b54a32d192ed03;

/// Folds the 128-bit product: every bit of both inputs reaches every bit of the result.
inline uint64_t multiply_fold(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

/// One end of a flow as 64 bits: exact for IPv4 (address and port), folded for IPv6.
/// Addresses and ports in network byte order.
inline uint64_t endpoint4(uint32_t address, uint16_t port) {
  return uint64_t{address} << 16 | port;
}

inline uint64_t endpoint6(const uint8_t* address, uint16_t port) {
  uint64_t high, low;
  memcpy(&high, address, 8);
  memcpy(&low, address + 8, 8);
  return multiply_fold(high ^ kHashSeedA, low ^ kHashSeedB) + port;
}

/// The same for both directions: the ends are ordered before they are mixed.
inline uint32_t symmetric_hash(uint64_t end_a, uint64_t end_b, uint8_t protocol) {
  const uint64_t low = end_a < end_b ? end_a : end_b;
  const uint64_t high = end_a < end_b ? end_b : end_a;
  const uint64_t mixed = multiply_fold(low ^ kHashSeedA, (high + (uint64_t{protocol} << 56)) ^ kHashSeedB);
  return static_cast<uint32_t>(mixed ^ mixed >> 32);
}

}  // namespace sluice
