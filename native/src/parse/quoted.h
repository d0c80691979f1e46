#pragma once

#include <netinet/in.h>

#include <cstdint>

#include "parse/ipv6_chain.h"

namespace sluice {

/// The packet that an ICMP or ICMPv6 error quotes. Offsets are from the start of the quoted packet.
struct Quoted {
  uint8_t family = 0;
  uint8_t protocol = 0;
  uint16_t l4_offset = 0;  ///< 0 unless the first 8 bytes of its L4 header are in view (RFC 792 promises so many)
};

/// Reads as far as `view` bytes allow; false when not even its IP header is whole.
inline bool read_quoted(const uint8_t* ip, uint32_t view, Quoted& quoted) {
  constexpr uint32_t kQuotedL4 = 8;
  if (view < 20) return false;
  if (ip[0] >> 4 == 4) {
    const uint32_t header = (ip[0] & 15u) * 4;
    if (header < 20 || header > view) return false;
    quoted.family = 4;
    quoted.protocol = ip[9];
    const bool later_fragment = (ip[6] & 0x1f) != 0 || ip[7] != 0;
    quoted.l4_offset = later_fragment || header + kQuotedL4 > view ? 0 : static_cast<uint16_t>(header);
    return true;
  }
  if (ip[0] >> 4 != 6 || view < kIpv6HeaderSize) return false;
  quoted.family = 6;
  quoted.protocol = ip[6];
  quoted.l4_offset = 0;
  Ipv6Chain chain;
  if (!walk_ipv6_chain(ip, view, chain)) return true;
  quoted.protocol = chain.protocol;
  if (chain.fragment_offset == 0 && chain.end + kQuotedL4 <= view) quoted.l4_offset = static_cast<uint16_t>(chain.end);
  return true;
}

}  // namespace sluice
