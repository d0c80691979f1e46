#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sluice {

// Memory that several threads write and read at once: words of 8 bytes, aligned to that. A word is always one that
// somebody stored; several words may be of different stores.

inline void load_words(void* to, const void* shared, size_t bytes) {
  const auto* const words = static_cast<const uint64_t*>(shared);
  for (size_t i = 0; i < bytes / sizeof(uint64_t); i++) {
    const uint64_t word = __atomic_load_n(words + i, __ATOMIC_RELAXED);
    std::memcpy(static_cast<uint8_t*>(to) + i * sizeof word, &word, sizeof word);
  }
}

inline void store_words(void* shared, const void* from, size_t bytes) {
  auto* const words = static_cast<uint64_t*>(shared);
  for (size_t i = 0; i < bytes / sizeof(uint64_t); i++) {
    uint64_t word;
    std::memcpy(&word, static_cast<const uint8_t*>(from) + i * sizeof word, sizeof word);
    __atomic_store_n(words + i, word, __ATOMIC_RELAXED);
  }
}

}  // namespace sluice
