#pragma once

#include <netinet/in.h>

#include <cstdint>

#include "conntrack/flow_key.h"

namespace sluice {

/// Which end of a packet is given another address and port.
enum class PacketEnd : uint8_t { Source, Destination };

/// True for TCP and UDP packets that are no fragment and no ICMP error: their L4 header begins with the flow's ports.
inline bool has_ports_in_place(const PacketMeta& meta) {
  constexpr auto kOdd = static_cast<uint16_t>(abi::Flag::FRAGMENT) | static_cast<uint16_t>(abi::Flag::ICMP_ERROR);
  return (meta.protocol == IPPROTO_TCP || meta.protocol == IPPROTO_UDP) && (meta.flags & kOdd) == 0;
}

/// True for a packet whose addresses and ports translate_end() can replace: TCP or UDP with its ports in place, no
/// fragment, no ICMP error, no IPv6 extension headers.
inline bool is_translatable(const PacketMeta& meta) {
  constexpr uint16_t kIpv6Header = 40;
  return has_ports_in_place(meta) && (meta.family == 4 ? meta.l4_offset != 0 : meta.l4_offset == kIpv6Header);
}

/// Gives one end of a translatable packet this address (network byte order, in FlowKey's form) and port, and updates
/// the checksums (RFC 1624): IPv4's, and TCP's or UDP's, of which partial ones cover the addresses only and a UDP
/// checksum of zero stays zero. `ip` is the L3 header, behind which at least the L4 header's checksum lies.
void translate_end(uint8_t* ip, const PacketMeta& meta, PacketEnd end, const uint8_t* address, uint16_t port);

}  // namespace sluice
