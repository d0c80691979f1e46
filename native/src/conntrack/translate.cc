#include "conntrack/translate.h"

#include <netinet/in.h>

#include <cstring>

namespace sluice {

namespace {

constexpr uint16_t kIpv4Checksum = 10, kTcpChecksum = 16, kUdpChecksum = 6;

template <typename T>
T load(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <typename T>
void store(uint8_t* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

/// Folds a sum of 16- or 32-bit words to 16 bits. Words are taken as they lie in memory: a ones' complement sum does
/// not depend on the byte order.
uint32_t fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  auto low = static_cast<uint32_t>((sum & 0xffff) + (sum >> 16));
  low = (low & 0xffff) + (low >> 16);
  return (low & 0xffff) + (low >> 16);
}

void adjust(uint8_t* field, uint64_t delta) {
  const uint32_t kept = load<uint16_t>(field) ^ 0xffffu;
  store(field, static_cast<uint16_t>(~fold(kept + delta)));
}

/// The field holds the pseudo-header's sum, not complemented.
void adjust_partial(uint8_t* field, uint64_t delta) {
  store(field, static_cast<uint16_t>(fold(load<uint16_t>(field) + delta)));
}

void adjust_udp(uint8_t* field, uint64_t delta) {
  if (load<uint16_t>(field) == 0) return;
  adjust(field, delta);
  if (load<uint16_t>(field) == 0) store(field, uint16_t{0xffff});  // RFC 768
}

/// What replacing the address adds to a sum.
uint64_t replace_address(uint8_t* at, const uint8_t* address, uint16_t size) {
  uint64_t delta = 0;
  for (uint16_t i = 0; i < size; i = static_cast<uint16_t>(i + 4)) {
    delta += uint64_t{~load<uint32_t>(at + i)} + load<uint32_t>(address + i);
    std::memcpy(at + i, address + i, 4);
  }
  return delta;
}

}  // namespace

void translate_end(uint8_t* ip, const PacketMeta& meta, PacketEnd end, const uint8_t* address, uint16_t port) {
  const bool source = end == PacketEnd::Source;
  uint64_t address_delta;
  if (meta.family == 4) {
    address_delta = replace_address(ip + (source ? 12 : 16), address, 4);
    adjust(ip + kIpv4Checksum, address_delta);
  } else {
    address_delta = replace_address(ip + (source ? 8 : 24), address, 16);
  }
  uint8_t* const l4 = ip + meta.l4_offset;
  uint8_t* const port_at = l4 + (source ? 0 : 2);
  const uint64_t port_delta = (load<uint16_t>(port_at) ^ 0xffffu) + uint64_t{port};
  store(port_at, port);
  uint8_t* const checksum = l4 + (meta.protocol == IPPROTO_TCP ? kTcpChecksum : kUdpChecksum);
  if (has_flag(meta, abi::Flag::PARTIAL_CHECKSUM)) {
    adjust_partial(checksum, address_delta);
  } else if (meta.protocol == IPPROTO_TCP) {
    adjust(checksum, address_delta + port_delta);
  } else {
    adjust_udp(checksum, address_delta + port_delta);
  }
}

}  // namespace sluice
