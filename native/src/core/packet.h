#pragma once

#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>

#include "generated/abi.h"

namespace sluice {

constexpr uint16_t kMaxBurst = abi::kMaxSlots;
using PortId = uint16_t;
constexpr PortId kNoPort = abi::NO_PORT;
constexpr PortId kMaxPorts = 1024;  ///< ports a node can have; PortIds are below it

/// Facts about a packet that parsing finds and later steps use. It lives in the mbuf's private area, so it goes
/// wherever the packet goes. All offsets are from the L3 header, which is where the mbuf's data starts once a packet is
/// parsed.
struct alignas(64) PacketMeta {
  // First cache line: every packet. From `family` on most fields lie as in a slot of the burst window (abi.json,
  // "slot"), so that the Wasm host can copy them together; wasm/window.h checks it.
  uint8_t spare_first;     ///< a slot has the verdict here
  uint8_t l2_length;       ///< bytes of link header that still lie in the headroom just before the data
  uint16_t reason;         ///< abi::DropReason once dropped
  uint8_t passes;          ///< times it, and what it was made of, went through parse; against loops
  uint8_t local : 1;       ///< addressed to the node itself
  uint8_t rewritten : 1;   ///< a stage changed header bytes since routing
  uint8_t reframed : 1;    ///< a stage pushed or popped headers: the flow's reply tuple is closed
  uint8_t confirmed : 1;   ///< its flow needs no confirming
  uint8_t redirected : 1;  ///< a stage chose out_port and next_hop_address: no routing lookup
  uint8_t answer : 1;      ///< of the node's own, made by a stage of a packet that came in: it has no flow
  uint16_t gso_size;       ///< TCP payload bytes a segment; 0 when it is no super-frame
  uint32_t next_hop;       ///< index in the routing snapshot's next hops; kNoNextHop until routed
  uint8_t family;          ///< 4, 6, or 0 when it is no IP packet
  uint8_t protocol;        ///< L4 protocol, after IPv6 extension headers
  uint16_t flags;          ///< abi::Flag, the host's ones; TRACED: an operator follows it, see core/tracer.h
  uint16_t l4_offset;      ///< 0 when absent
  uint16_t payload_offset;
  uint16_t inner_l3_offset;  ///< ICMP errors: the quoted packet; else 0
  uint16_t inner_l4_offset;
  uint32_t hash;  ///< symmetric flow hash
  PortId in_port;
  PortId out_port;       ///< kNoPort until routed
  uint8_t ct_state;      ///< abi::CtState
  uint8_t ct_direction;  ///< abi::CtDirection
  uint16_t table;        ///< routing table of the lookup
  uint32_t mark;
  uint32_t flow;                 ///< flow number + 1; 0 without one
  uint32_t fragment_size;        ///< reassembled here: L3 length of its largest fragment; else 0
  uint8_t next_hop_address[16];  ///< with `redirected`: the neighbour (IPv4 in the first 4 bytes)

  // Second cache line: some packets.
  uint8_t reply_tuple[40];  ///< conntrack: a FlowKey frozen before a push, see conntrack/flow_key.h
  // A SUPER_FRAME that a stage wrapped: where the IP and TCP headers are that segments are made of; 0 when it is not
  // wrapped. What lies before them belongs before each segment, with its lengths made to fit.
  uint16_t gso_l3_offset;
  uint16_t gso_l4_offset;
  uint32_t traced;  ///< which packet of which trace, see core/tracer.h; 0: it is not traced
  uint32_t spare[4];
};
static_assert(sizeof(PacketMeta) == 128, "two cache lines");
constexpr uint32_t kNoNextHop = UINT32_MAX;

/// Every mempool is made with this private size (core/buffers.h).
inline PacketMeta* meta_of(rte_mbuf* packet) {
  return static_cast<PacketMeta*>(rte_mbuf_to_priv(packet));
}

inline bool has_flag(const PacketMeta& meta, abi::Flag flag) {
  return (meta.flags & static_cast<uint16_t>(flag)) != 0;
}

}  // namespace sluice
