#pragma once

#include <rte_byteorder.h>

#include <cstdint>
#include <cstring>

namespace sluice {

// Numbers in packets, wherever they lie. load: as the bytes lie, to be compared or summed; read: from network byte
// order.

inline uint16_t load16(const uint8_t* bytes) {
  uint16_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}
inline uint32_t load32(const uint8_t* bytes) {
  uint32_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}
inline uint64_t load64(const uint8_t* bytes) {
  uint64_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

inline uint16_t read16(const uint8_t* bytes) {
  return rte_be_to_cpu_16(load16(bytes));
}
inline uint32_t read32(const uint8_t* bytes) {
  return rte_be_to_cpu_32(load32(bytes));
}

}  // namespace sluice
