#pragma once

#include <rte_ether.h>
#include <rte_mbuf.h>

#include <cstdint>

#include "core/packet_bytes.h"

namespace sluice {

/// A packet as the Ethernet frame that it is, was, or would be: with the link header that it came with, or, where it
/// has none, one of zeroes and its ethertype.
class Frame {
 public:
  /// `framed`: the data begins with the link header, as at a port. A packet that was not parsed is so anyway.
  Frame(const rte_mbuf* packet, bool framed);

  uint32_t length() const { return length_; }
  /// Copies up to `size` bytes; returns their number.
  uint32_t copy(uint8_t* to, uint32_t size) const;
  /// The first bytes, at most `size`, as they lie in the packet if they can be had so, else in `scratch`, which has
  /// room for them.
  const uint8_t* start(uint8_t* scratch, uint32_t size, uint32_t& captured) const;

 private:
  const rte_mbuf* packet_;
  uint16_t before_;  ///< bytes of the frame in front of the data
  bool made_;        ///< the link header is not there
  uint32_t length_;
};

}  // namespace sluice
