#pragma once

#include <rte_mbuf.h>

#include "core/packet.h"

namespace sluice {

/// What parsing answers for a packet that it does not take.
inline bool fail(PacketMeta& meta, abi::DropReason reason) {
  meta.reason = static_cast<uint16_t>(reason);
  return false;
}

/// The two halves of parse_packet(), for callers that know the family: data at the header, meta_of(packet) given.
bool parse_ipv4(rte_mbuf* packet, PacketMeta& meta);
bool parse_ipv6(rte_mbuf* packet, PacketMeta& meta);

}  // namespace sluice
