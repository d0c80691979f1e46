#pragma once

#include <rte_mbuf.h>

#include "core/packet.h"

namespace sluice {

/// The two halves of parse_packet(), for callers that know the family: data at the header, meta_of(packet) given.
bool parse_ipv4(rte_mbuf* packet, PacketMeta& meta);
bool parse_ipv6(rte_mbuf* packet, PacketMeta& meta);

}  // namespace sluice
