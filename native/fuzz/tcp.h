#pragma once

#include <cstdint>
#include <vector>

#include "source.h"

namespace sluice::fuzz {

using Bytes = std::vector<uint8_t>;

/// A TCP packet by its fields; what it is in bytes comes from nothing but them, and with a plain checksum.
struct TcpPacket {
  bool v6 = false;
  Bytes source, destination;
  uint8_t traffic_class = 0, ttl = 64;
  uint32_t flow_label = 0;        ///< IPv6
  uint16_t id = 0, fragment = 0;  ///< IPv4; flags and offset as on the wire
  Bytes ip_options;               ///< IPv4: options. IPv6: destination options. A multiple of 4, of 8
  uint16_t source_port = 0, destination_port = 0;
  uint32_t sequence = 0, acknowledgement = 0;
  uint8_t reserved = 0;  ///< the four bits behind the header's length, AccECN's among them (RFC 9768)
  uint8_t flags = 0x10;
  uint16_t window = 0, urgent = 0;
  Bytes options;  ///< a multiple of 4
  Bytes payload;

  uint16_t ip_length() const;  ///< bytes before the TCP header
  uint16_t header_length() const { return static_cast<uint16_t>(ip_length() + 20 + options.size()); }
  /// From the IP header on. `partial`: the checksum is the pseudo-header's sum only, as a TAP hands it over.
  Bytes bytes(bool partial = false) const;
};

/// An IP header that a stage put before a packet.
struct Outer {
  bool v6 = false;
  Bytes source, destination;
  uint16_t id = 0;
  Bytes options;  ///< IPv4: options. IPv6: a routing header
  /// With the lengths that fit; IPv4 ids count up by `index`.
  Bytes before(const Bytes& packet, uint16_t index) const;
};

/// A packet of one of a few flows, without payload.
TcpPacket tcp_packet(Source& source, uint32_t flow);
Outer outer(Source& source);

}  // namespace sluice::fuzz
