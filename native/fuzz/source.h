#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice::fuzz {

/// A fuzzer's input as a row of choices: whatever the bytes are, they mean something, so that mutated inputs stay
/// mostly valid packets. Behind its end come zeroes, which choose the plainest of everything.
class Source {
 public:
  Source(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}

  bool empty() const { return at_ == end_; }
  uint8_t byte() { return at_ == end_ ? 0 : *at_++; }
  uint16_t word() { return static_cast<uint16_t>(byte() << 8 | byte()); }
  uint32_t dword() { return static_cast<uint32_t>(word()) << 16 | word(); }
  /// 0 to `count` - 1; `count` is at most 256.
  uint32_t below(uint32_t count) { return byte() % count; }
  /// True for one byte value in `of`; never at the end.
  bool rarely(uint32_t of) { return byte() % of == of - 1; }
  std::vector<uint8_t> bytes(size_t count) {
    std::vector<uint8_t> out(count);
    for (uint8_t& each : out) each = byte();
    return out;
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

}  // namespace sluice::fuzz
