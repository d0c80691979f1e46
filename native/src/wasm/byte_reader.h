#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

/// Reads the WebAssembly binary format (core specification, section 5) from bytes that may be anything. After a read
/// beyond the end or of a malformed number ok() is false and all further reads give zero.
class ByteReader {
 public:
  ByteReader(const uint8_t* begin, const uint8_t* end) : at_(begin), end_(end) {}

  bool ok() const { return ok_; }
  bool done() const { return at_ == end_; }
  size_t left() const { return static_cast<size_t>(end_ - at_); }

  uint8_t byte() {
    if (!ok_ || at_ == end_) return fail();
    return *at_++;
  }

  /// LEB128; the fifth byte's unused bits must be zero.
  uint32_t u32() {
    uint32_t value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      const uint8_t next = byte();
      if (shift == 28 && next > 0x0f) return fail();
      value |= static_cast<uint32_t>(next & 0x7f) << shift;
      if ((next & 0x80) == 0) return value;
    }
    return fail();
  }

  int32_t s32() {
    int64_t value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      const uint8_t next = byte();
      value |= static_cast<int64_t>(next & 0x7f) << shift;
      if ((next & 0x80) != 0) continue;
      if ((next & 0x40) != 0) value |= -(int64_t{1} << (shift + 7));
      if (value < INT32_MIN || value > INT32_MAX) return static_cast<int32_t>(fail());
      return static_cast<int32_t>(value);
    }
    return static_cast<int32_t>(fail());
  }

  /// The next `size` bytes as a reader of their own.
  ByteReader part(uint32_t size) {
    if (!ok_ || size > left()) {
      fail();
      return ByteReader(end_, end_);
    }
    at_ += size;
    return ByteReader(at_ - size, at_);
  }

  std::string_view text(uint32_t size) {
    const ByteReader bytes = part(size);
    return {reinterpret_cast<const char*>(bytes.at_), bytes.left()};
  }

  /// A length and so many bytes.
  std::string_view name() { return text(u32()); }
  std::string_view rest() { return text(static_cast<uint32_t>(left())); }

 private:
  uint8_t fail() {
    ok_ = false;
    at_ = end_;
    return 0;
  }

  const uint8_t* at_;
  const uint8_t* end_;
  bool ok_ = true;
};

}  // namespace sluice
