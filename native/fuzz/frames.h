#pragma once

#include <cstdint>
#include <vector>

#include "source.h"

namespace sluice::fuzz {

using Bytes = std::vector<uint8_t>;

/// Hosts and ports that the grammar draws from: few, so that packets meet flows, routes, neighbours and each other's
/// fragments.
struct Plan {
  std::vector<Bytes> addresses4, addresses6;
  std::vector<uint16_t> ports;
  Bytes mac;  ///< the receiving port's
  uint32_t vni = 42;
};

/// What was made of a frame.
struct Frame {
  Bytes bytes;
  bool intact = true;  ///< nothing was spoilt: all lengths and checksums are right
  bool fragment = false;
};

/// A frame, mostly a valid one: Ethernet with up to three tags, IPv4 with options, IPv6 with extension headers (an SRH
/// among them), fragments, TCP, UDP, SCTP, ICMP and its errors, neighbour discovery, ARP, packets in packets (IP in IP,
/// VXLAN). Then, now and then, something is spoilt.
Frame frame(Source& source, const Plan& plan);

/// Likewise from the IP header on, never spoilt. At most `depth` packets within packets.
Bytes packet(Source& source, const Plan& plan, int depth, bool& fragment);

}  // namespace sluice::fuzz
