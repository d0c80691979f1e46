#pragma once

#include <rte_mbuf.h>

#include "core/worker_context.h"

namespace sluice {

/// Errors that a node reports, by their meaning; each has its ICMP and ICMPv6 form.
enum class IcmpError : uint8_t {
  NoRoute,             ///< ICMP 3/0; ICMPv6 1/0
  AddressUnreachable,  ///< ICMP 3/1; ICMPv6 1/3
  ProtocolUnknown,     ///< ICMP 3/2; ICMPv6 4/1 with a pointer to the next-header field
  PortUnreachable,     ///< ICMP 3/3; ICMPv6 1/4
  PacketTooBig,        ///< ICMP 3/4; ICMPv6 2/0, with the MTU
  BeyondScope,         ///< ICMP 3/1; ICMPv6 1/2
  TtlExpired,          ///< ICMP 11/0; ICMPv6 3/0
  ReassemblyExpired,   ///< ICMP 11/1; ICMPv6 3/1
};

/// Tells the sender of `about` what became of it, if it may be told: RFC 1122 section 3.2.2, RFC 1812 section 4.3.2 and
/// RFC 4443 section 2.4 (not about errors, later fragments, multicast, or packets without a single sender; at most
/// kIcmpErrorsPerSecond a worker). `about` has its data at the L3 header and stays the caller's. Nothing is sent about
/// packets that the node made itself. `detail` is the MTU of PacketTooBig, the pointer of ProtocolUnknown.
void send_icmp_error(WorkerContext& ctx, const rte_mbuf* about, IcmpError error, uint32_t detail = 0);

constexpr uint32_t kIcmpErrorsPerSecond = 1000;
constexpr uint32_t kIcmpErrorBurst = 50;

/// Completes the checksum of an ICMP message of the given family that fills the packet behind its IP header.
void set_icmp_checksum(rte_mbuf* packet, uint8_t family, uint16_t l4_offset);

/// The checksum over the ICMPv6 message from `l4_offset` to the packet's end is right.
bool icmp6_checksum_ok(const rte_mbuf* packet, uint16_t l4_offset);

}  // namespace sluice
