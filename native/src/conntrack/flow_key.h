#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "core/packet.h"

namespace sluice {

/// One direction of a flow, as its packets carry it. Addresses and ports in network byte order; an IPv4 address in the
/// first 4 bytes, the rest zero. ICMP queries have their identifier as the source port and the number of the request's
/// type (network byte order) as the destination port; their answers have the two swapped. So the inverse of a request
/// is its answer, and pings from both ends with one identifier are two flows.
struct FlowKey {
  std::array<uint8_t, 16> source{};
  std::array<uint8_t, 16> destination{};
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint8_t protocol = 0;
  uint8_t family = 0;  ///< 4 or 6; 0: no key
  uint16_t zone = 0;   ///< flows of different zones never meet; host byte order

  bool operator==(const FlowKey& other) const { return memcmp(this, &other, sizeof *this) == 0; }
  bool operator!=(const FlowKey& other) const { return !(*this == other); }

  FlowKey inverse() const { return {destination, source, destination_port, source_port, protocol, family, zone}; }
};
static_assert(sizeof(FlowKey) == 40, "as PacketMeta::reply_tuple holds it, and without padding");

/// What conntrack can say of a packet before it looks for its flow.
enum class KeyKind : uint8_t {
  Flow,       ///< belongs to a flow, which it may begin
  Answer,     ///< belongs to a flow, which it cannot begin: an ICMP query's answer
  Error,      ///< an ICMP error: the key is the inverse of the quoted packet's, the direction that the error travels in
  Untracked,  ///< has no flow: neighbour discovery, multicast, broadcast, fragments
  Invalid,    ///< should have one, and cannot
};

/// Reads the key of a parsed packet from its bytes as they are now. `key` is whole for Flow, Answer and Error.
KeyKind read_flow_key(const rte_mbuf* packet, const PacketMeta& meta, uint16_t zone, FlowKey& key);

}  // namespace sluice
