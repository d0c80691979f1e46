#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "testing/eal.h"

// Packets for tests, made byte by byte and with a plain checksum of their own: nothing here comes from the code under
// test.

namespace sluice::testing {

using Bytes = std::vector<uint8_t>;

inline Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline Bytes be16(uint32_t value) {
  return {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
}
inline Bytes be32(uint32_t value) {
  return be16(value >> 16) + be16(value & 0xffff);
}

inline Bytes address(const std::string& text) {
  const bool v6 = text.find(':') != std::string::npos;
  Bytes bytes(v6 ? 16 : 4);
  if (inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), bytes.data()) != 1) throw std::invalid_argument(text);
  return bytes;
}

inline uint16_t checksum(const Bytes& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i++) sum += i % 2 == 0 ? bytes[i] << 8 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

inline void put16(Bytes& bytes, size_t at, uint16_t value) {
  bytes[at] = static_cast<uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<uint8_t>(value);
}

struct IpOptions {
  uint8_t ttl = 64;
  uint16_t id = 0;
  uint16_t fragment = 0;  ///< IPv4: flags and offset in units of 8, as on the wire
  Bytes options = {};     ///< IPv4, a multiple of 4
  uint8_t tos = 0;
};
constexpr uint16_t kDf = 0x4000, kMf = 0x2000;

/// An IPv4 or IPv6 packet, as its addresses say.
inline Bytes ip(const std::string& from, const std::string& to, uint8_t protocol, const Bytes& payload,
                const IpOptions& o = {}) {
  if (address(from).size() == 16) {
    return Bytes{0x60, 0, 0, 0} + be16(static_cast<uint32_t>(payload.size())) + Bytes{protocol, o.ttl} + address(from) +
           address(to) + payload;
  }
  const auto words = static_cast<uint8_t>(5 + o.options.size() / 4);
  Bytes header = Bytes{static_cast<uint8_t>(0x40 | words), o.tos} +
                 be16(static_cast<uint32_t>(words * 4u + payload.size())) + be16(o.id) + be16(o.fragment) +
                 Bytes{o.ttl, protocol, 0, 0} + address(from) + address(to) + o.options;
  put16(header, 10, checksum(header));
  return header + payload;
}

inline Bytes pseudo(const std::string& from, const std::string& to, uint8_t protocol, size_t length) {
  return address(from) + address(to) + be32(static_cast<uint32_t>(length)) + be32(protocol);
}

inline Bytes filler(size_t count) {
  Bytes bytes(count);
  for (size_t i = 0; i < count; i++) bytes[i] = static_cast<uint8_t>(i * 7 + i / 256);
  return bytes;
}

inline Bytes udp_datagram(const std::string& from, const std::string& to, const Bytes& payload, uint16_t source = 1000,
                          uint16_t destination = 2000) {
  Bytes datagram =
      be16(source) + be16(destination) + be16(static_cast<uint32_t>(payload.size() + 8)) + be16(0) + payload;
  const uint16_t sum = checksum(pseudo(from, to, IPPROTO_UDP, datagram.size()) + datagram);
  put16(datagram, 6, sum == 0 ? 0xffff : sum);
  return datagram;
}

inline Bytes udp(const std::string& from, const std::string& to, const Bytes& payload, const IpOptions& o = {}) {
  return ip(from, to, IPPROTO_UDP, udp_datagram(from, to, payload), o);
}

/// An ICMP or ICMPv6 packet: the message without its checksum, which is filled in.
inline Bytes icmp(const std::string& from, const std::string& to, Bytes message, const IpOptions& o = {}) {
  const bool v6 = address(from).size() == 16;
  put16(message, 2, checksum((v6 ? pseudo(from, to, IPPROTO_ICMPV6, message.size()) : Bytes{}) + message));
  return ip(from, to, static_cast<uint8_t>(v6 ? +IPPROTO_ICMPV6 : +IPPROTO_ICMP), message, o);
}

/// An ICMP error of `from` about the packet `about`, quoted to the length that the family allows.
inline Bytes icmp_error(const std::string& from, const std::string& to, uint8_t type, uint8_t code, uint32_t word,
                        Bytes about) {
  const size_t room = address(from).size() == 16 ? 1280 - 48 : 576 - 28;
  if (about.size() > room) about.resize(room);
  return icmp(from, to, Bytes{type, code, 0, 0} + be32(word) + about);
}

inline Bytes mac(const std::string& text) {
  return from_hex(text);
}

inline Bytes ethernet(const std::string& to, const std::string& from, const Bytes& packet) {
  return mac(to) + mac(from) + (packet[0] >> 4 == 6 ? Bytes{0x86, 0xdd} : Bytes{0x08, 0x00}) + packet;
}

inline Bytes arp(uint16_t opcode, const std::string& sender_mac, const std::string& sender,
                 const std::string& target_mac, const std::string& target) {
  return Bytes{0, 1, 8, 0, 6, 4} + be16(opcode) + mac(sender_mac) + address(sender) + mac(target_mac) + address(target);
}

inline Bytes arp_frame(const std::string& to, const std::string& from, const Bytes& message) {
  return mac(to) + mac(from) + Bytes{0x08, 0x06} + message;
}

inline Bytes bytes_of(const rte_mbuf* packet) {
  return from_hex(to_hex(packet));
}

}  // namespace sluice::testing
