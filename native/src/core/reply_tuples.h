#pragma once

#include <rte_byteorder.h>
#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace sluice {

/// A source that a packet may leave with, as a stage says it: native numbers, an IPv4 address in the lowest 32 bits of
/// `low`; the identifier of an ICMP query in place of a port.
struct SourceEnd {
  uint64_t high, low;
  uint16_t port;

  /// Network byte order; an IPv4 address in the first 4 bytes, the rest zero.
  std::array<uint8_t, 16> address(uint8_t family) const {
    std::array<uint8_t, 16> bytes{};
    const rte_be64_t words[] = {rte_cpu_to_be_64(high), rte_cpu_to_be_64(low)};
    const rte_be32_t low4 = rte_cpu_to_be_32(static_cast<uint32_t>(low));
    if (family == 4) {
      std::memcpy(bytes.data(), &low4, sizeof low4);
    } else {
      std::memcpy(bytes.data(), words, sizeof words);
    }
    return bytes;
  }
  bool operator==(const SourceEnd& other) const { return high == other.high && low == other.low && port == other.port; }
};

/// Of an address in network byte order.
inline SourceEnd make_source(uint8_t family, const uint8_t* address, uint16_t port) {
  if (family == 4) {
    rte_be32_t low4;
    std::memcpy(&low4, address, sizeof low4);
    return {0, rte_be_to_cpu_32(low4), port};
  }
  rte_be64_t words[2];
  std::memcpy(words, address, sizeof words);
  return {rte_be_to_cpu_64(words[0]), rte_be_to_cpu_64(words[1]), port};
}

/// Who owns the tuples that replies come with.
class ReplyTuples {
 public:
  virtual ~ReplyTuples() = default;

  /// Another flow has the replies that the packet's flow would have if it left with this source. Takes no lock: a
  /// worker that begins a flow meanwhile may take the tuple all the same.
  virtual bool source_taken(const rte_mbuf* packet, const SourceEnd& source) const = 0;
};

}  // namespace sluice
