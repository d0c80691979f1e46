#pragma once

#include <arpa/inet.h>
#include <rte_byteorder.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "control/desired_state.h"

namespace sluice {

// Addresses on the packet path are pointers to network-order bytes (4 or 16 of them); the family says how many.

constexpr uint8_t address_bytes(uint8_t family) {
  return family == 4 ? 4 : 16;
}
constexpr uint8_t address_bits(uint8_t family) {
  return family == 4 ? 32 : 128;
}

/// 169.254.0.0/16 (RFC 3927), fe80::/10 (RFC 4291).
inline bool is_link_local(uint8_t family, const uint8_t* address) {
  return family == 4 ? address[0] == 169 && address[1] == 254 : address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

/// 224.0.0.0/4, ff00::/8.
inline bool is_multicast(uint8_t family, const uint8_t* address) {
  return family == 4 ? (address[0] & 0xf0) == 0xe0 : address[0] == 0xff;
}

inline bool is_unspecified(uint8_t family, const uint8_t* address) {
  static constexpr uint8_t kZero[16] = {};
  return memcmp(address, kZero, address_bytes(family)) == 0;
}

inline IpAddress make_address(uint8_t family, const uint8_t* bytes) {
  IpAddress address;
  address.family = family;
  memcpy(address.bytes.data(), bytes, address_bytes(family));
  return address;
}

/// The first `length` bits are the same.
inline bool in_prefix(const uint8_t* address, const uint8_t* prefix, uint8_t length) {
  const uint8_t whole = length / 8;
  if (memcmp(address, prefix, whole) != 0) return false;
  const uint8_t rest = length % 8;
  return rest == 0 || ((address[whole] ^ prefix[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

/// The prefix with its host bits cleared.
inline IpPrefix network_of(const IpPrefix& prefix) {
  IpPrefix network = prefix;
  for (uint8_t bit = prefix.length; bit < address_bits(prefix.address.family); bit++) {
    network.address.bytes[bit / 8] &= static_cast<uint8_t>(~(0x80 >> bit % 8));
  }
  return network;
}

/// An address as text, without allocation.
using AddressText = char[INET6_ADDRSTRLEN];
inline const char* write_text(uint8_t family, const uint8_t* address, AddressText& text) {
  text[0] = '\0';
  inet_ntop(family == 4 ? AF_INET : AF_INET6, address, text, sizeof text);
  return text;
}

inline std::string to_text(const IpAddress& address) {
  AddressText text;
  return write_text(address.family, address.bytes.data(), text);
}

inline std::string to_text(const IpPrefix& prefix) {
  return to_text(prefix.address) + "/" + std::to_string(prefix.length);
}

}  // namespace sluice
