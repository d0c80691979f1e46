#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace sluice {

/// A value that one thread replaces now and then and others copy at any time. The writer never waits; a reader looks
/// again when it met a change. The words are atomics, since a reader may load one while it is stored.
template <typename Value>
class Seqlock {
  static_assert(std::is_trivially_copyable_v<Value>);
  static constexpr size_t kWords = (sizeof(Value) + 7) / 8;
  using Words = std::array<uint64_t, kWords>;

 public:
  /// One thread only.
  void store(const Value& value) {
    Words words{};
    std::memcpy(words.data(), &value, sizeof value);
    const uint32_t sequence = sequence_.load(std::memory_order_relaxed);
    // Odd before any word changes (the fence keeps the stores below behind it), even again after all have.
    sequence_.store(sequence + 1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    for (size_t i = 0; i < kWords; i++) words_[i].store(words[i], std::memory_order_relaxed);
    sequence_.store(sequence + 2, std::memory_order_release);
  }

  /// False when nothing was stored yet.
  bool load(Value& value) const {
    Words words;
    uint32_t before, after;
    do {
      before = sequence_.load(std::memory_order_acquire);
      for (size_t i = 0; i < kWords; i++) words[i] = words_[i].load(std::memory_order_relaxed);
      // Words of a later store are not seen without its odd number, which is before them.
      std::atomic_thread_fence(std::memory_order_acquire);
      after = sequence_.load(std::memory_order_relaxed);
    } while (before != after || (before & 1) != 0);
    std::memcpy(static_cast<void*>(&value), words.data(), sizeof value);
    return before != 0;
  }

 private:
  std::atomic<uint32_t> sequence_{0};
  std::array<std::atomic<uint64_t>, kWords> words_{};
};

}  // namespace sluice
