#pragma once

#include <rte_mbuf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/packet.h"

namespace sluice {

/// Bytes before a packet's data that are its link header as received. 0 where it has none, and for a frame that was
/// not parsed, whose data begins with it.
inline uint16_t link_header_length(const rte_mbuf* packet) {
  const uint16_t length = meta_of(const_cast<rte_mbuf*>(packet))->l2_length;
  return rte_pktmbuf_headroom(packet) >= length ? length : 0;
}

/// Copies up to `size` bytes, from `before` bytes in front of the data on, over as many segments as there are. Returns
/// how many it copied. The bytes in front must be in the first segment's headroom.
inline uint32_t copy_bytes(const rte_mbuf* packet, uint16_t before, uint8_t* to, uint32_t size) {
  uint32_t copied = std::min<uint32_t>(packet->data_len + before, size);
  std::memcpy(to, rte_pktmbuf_mtod(packet, const uint8_t*) - before, copied);
  for (const rte_mbuf* part = packet->next; part != nullptr && copied < size; part = part->next) {
    const uint32_t more = std::min<uint32_t>(part->data_len, size - copied);
    std::memcpy(to + copied, rte_pktmbuf_mtod(part, const uint8_t*), more);
    copied += more;
  }
  return copied;
}

/// Copies a name into a record, cut where it does not fit, with a zero behind it.
template <size_t N>
void copy_name(char (&to)[N], std::string_view from) {
  const size_t length = std::min(from.size(), N - 1);
  from.copy(to, length);  // also of a view without data
  to[length] = '\0';
}

/// What an operator is shown of a packet: from its L3 header on, or from its link header when it is no IP packet.
inline uint16_t shown_before(const rte_mbuf* packet) {
  return meta_of(const_cast<rte_mbuf*>(packet))->family == 0 ? link_header_length(packet) : 0;
}
constexpr uint32_t kShownBytes = 128;

}  // namespace sluice
