#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <vector>

namespace sluice {

/// Records of any size from one thread to one other. The writer never waits: a record without room is counted as lost.
/// Memory order: `head_` is released after the records before it are written and acquired by the reader; `tail_` is
/// released after records were copied out and acquired by the writer before it writes over them.
class ByteRing {
 public:
  /// `capacity` bytes, a power of two. All pages are touched here, so that the writer meets no page fault.
  explicit ByteRing(size_t capacity) : bytes_(capacity) {}

  // Writer.

  /// Room for a record of `size` bytes, aligned to 8; null when there is none. The reader sees it after publish().
  uint8_t* reserve(uint32_t size) {
    const uint64_t whole = kHeader + (uint64_t{size} + 7) / 8 * 8;
    uint64_t at = written_ & (bytes_.size() - 1);
    const uint64_t skipped = at + whole > bytes_.size() ? bytes_.size() - at : 0;  // records do not wrap around
    if (written_ + skipped + whole - tail_.load(std::memory_order_acquire) > bytes_.size()) {
      lost_.store(lost_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      return nullptr;
    }
    if (skipped > 0) {
      put_size(at, kSkip);
      written_ += skipped;
      at = 0;
    }
    put_size(at, size);
    written_ += whole;
    return bytes_.data() + at + kHeader;
  }
  void publish() { head_.store(written_, std::memory_order_release); }
  /// Where the next record goes, for rewind().
  uint64_t position() const { return written_; }
  /// Takes back what was reserved since then and is not published.
  void rewind(uint64_t position) { written_ = position; }

  // Reader.

  /// The oldest record, until pop(); null when there is none.
  const uint8_t* front(uint32_t& size) {
    uint64_t tail = tail_.load(std::memory_order_relaxed);
    while (tail != head_.load(std::memory_order_acquire)) {
      const uint64_t at = tail & (bytes_.size() - 1);
      std::memcpy(&size, bytes_.data() + at, sizeof size);
      if (size != kSkip) return bytes_.data() + at + kHeader;
      tail += bytes_.size() - at;
      tail_.store(tail, std::memory_order_release);
    }
    return nullptr;
  }
  void pop() {
    uint32_t size = 0;
    if (front(size) == nullptr) return;
    const uint64_t whole = kHeader + (uint64_t{size} + 7) / 8 * 8;
    tail_.store(tail_.load(std::memory_order_relaxed) + whole, std::memory_order_release);
  }
  uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kHeader = 8;
  static constexpr uint32_t kSkip = UINT32_MAX;

  void put_size(uint64_t at, uint32_t size) { std::memcpy(bytes_.data() + at, &size, sizeof size); }

  std::vector<uint8_t> bytes_;
  uint64_t written_ = 0;  ///< the writer's own
  alignas(64) std::atomic<uint64_t> head_{0};
  std::atomic<uint64_t> lost_{0};
  alignas(64) std::atomic<uint64_t> tail_{0};
};

}  // namespace sluice
