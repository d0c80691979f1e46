#include "tcp.h"

#include <netinet/in.h>

#include "packets.h"

namespace sluice::fuzz {
namespace {

using testing::be16;
using testing::be32;
using testing::checksum;
using testing::put16;
using testing::operator+;

/// IPv4 options of no meaning, of `words` words, that a parser takes.
Bytes no_operations(uint32_t words) {
  return Bytes(words * 4, 1);
}

Bytes ip4_header(const Bytes& source, const Bytes& destination, uint8_t protocol, size_t length, const TcpPacket& o) {
  Bytes header = Bytes{static_cast<uint8_t>(0x45 + o.ip_options.size() / 4), o.traffic_class} +
                 be16(static_cast<uint32_t>(20 + o.ip_options.size() + length)) + be16(o.id) + be16(o.fragment) +
                 Bytes{o.ttl, protocol, 0, 0} + source + destination + o.ip_options;
  put16(header, 10, checksum(header));
  return header;
}

Bytes ip6_header(const Bytes& source, const Bytes& destination, uint8_t next, size_t length, const TcpPacket& o) {
  return be32(0x60000000u | uint32_t{o.traffic_class} << 20 | o.flow_label) + be16(static_cast<uint32_t>(length)) +
         Bytes{next, o.ttl} + source + destination;
}

}  // namespace

uint16_t TcpPacket::ip_length() const {
  return static_cast<uint16_t>((v6 ? 40 : 20) + ip_options.size());
}

Bytes TcpPacket::bytes(bool partial) const {
  const auto words = static_cast<uint8_t>(5 + options.size() / 4);
  Bytes message = be16(source_port) + be16(destination_port) + be32(sequence) + be32(acknowledgement) +
                  Bytes{static_cast<uint8_t>(words << 4 | reserved), flags} + be16(window) + be16(0) + be16(urgent) +
                  options + payload;
  const Bytes pseudo = source + destination + be32(static_cast<uint32_t>(message.size())) + be32(IPPROTO_TCP);
  put16(message, 16, partial ? static_cast<uint16_t>(~checksum(pseudo)) : checksum(pseudo + message));
  if (!v6) return ip4_header(source, destination, IPPROTO_TCP, message.size(), *this) + message;
  Bytes extension = ip_options;
  if (!extension.empty()) extension[0] = IPPROTO_TCP;
  const auto next = static_cast<uint8_t>(extension.empty() ? +IPPROTO_TCP : +IPPROTO_DSTOPTS);
  return ip6_header(source, destination, next, extension.size() + message.size(), *this) + extension + message;
}

Bytes Outer::before(const Bytes& packet, uint16_t index) const {
  TcpPacket fields;
  const auto carried = static_cast<uint8_t>(packet[0] >> 4 == 6 ? +IPPROTO_IPV6 : +IPPROTO_IPIP);
  if (!v6) {
    fields.id = static_cast<uint16_t>(id + index);
    fields.ip_options = options;
    return ip4_header(source, destination, carried, packet.size(), fields) + packet;
  }
  Bytes extension = options;
  if (!extension.empty()) extension[0] = carried;
  const auto next = static_cast<uint8_t>(extension.empty() ? carried : +IPPROTO_ROUTING);
  return ip6_header(source, destination, next, extension.size() + packet.size(), fields) + extension + packet;
}

TcpPacket tcp_packet(Source& source, uint32_t flow) {
  TcpPacket packet;
  packet.v6 = flow % 2 == 1;
  const size_t size = packet.v6 ? 16 : 4;
  packet.source = Bytes(size, static_cast<uint8_t>(10 + flow / 2));
  packet.destination = Bytes(size, 20);
  packet.source_port = 1000;
  packet.destination_port = 80;
  packet.sequence = source.rarely(4) ? UINT32_MAX - source.byte() : source.word();
  packet.acknowledgement = source.byte();
  packet.window = source.byte();
  packet.id = source.rarely(4) ? static_cast<uint16_t>(UINT16_MAX - source.below(4)) : source.byte();
  packet.fragment = source.rarely(2) ? 0 : 0x4000;
  packet.options = source.rarely(2) ? Bytes{} : Bytes{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};
  return packet;
}

Outer outer(Source& source) {
  Outer made;
  made.v6 = source.below(2) == 1;
  made.source = Bytes(made.v6 ? 16 : 4, 30);
  made.destination = Bytes(made.v6 ? 16 : 4, 31);
  made.id = source.word();
  if (!source.rarely(2)) return made;
  if (!made.v6) {
    made.options = no_operations(1 + source.below(10));
    return made;
  }
  // A segment routing header (RFC 8754) whose last segment is the one in the header.
  const auto segments = static_cast<uint8_t>(1 + source.below(3));
  made.options = Bytes{0, static_cast<uint8_t>(segments * 2), 4, 0, static_cast<uint8_t>(segments - 1), 0, 0, 0};
  for (uint8_t i = 0; i < segments; i++) made.options = made.options + Bytes(16, static_cast<uint8_t>(31 + i));
  return made;
}

}  // namespace sluice::fuzz
