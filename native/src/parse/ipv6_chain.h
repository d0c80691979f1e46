#pragma once

#include <netinet/in.h>

#include <cstdint>

namespace sluice {

/// IPv6 extension headers in front of the upper layer (RFC 8200 section 4).
struct Ipv6Chain {
  uint8_t protocol = 0;          ///< the upper layer, or what a later fragment's header names
  bool fragment = false;         ///< there is a fragment header, and it is not an atomic fragment (RFC 6946)
  bool more = false;             ///< its M flag
  uint16_t fragment_offset = 0;  ///< bytes
  uint32_t fragment_data = 0;    ///< offset of what the fragment header counts
  uint32_t end = 0;              ///< offset behind the last extension header
};

constexpr uint32_t kIpv6HeaderSize = 40;
constexpr int kMaxExtensionHeaders = 8;
constexpr uint8_t kProtocolHip = 139;
constexpr uint8_t kProtocolShim6 = 140;

/// Walks the chain of the IPv6 header at `ip`, of which `view` bytes (at least 40) are readable. False when the chain
/// leaves the view, has more than 8 headers, a second fragment header, or hop-by-hop options that are not first.
inline bool walk_ipv6_chain(const uint8_t* ip, uint32_t view, Ipv6Chain& chain) {
  uint32_t offset = kIpv6HeaderSize;
  uint8_t next = ip[6];
  bool seen_fragment_header = false;
  for (int headers = 0; headers <= kMaxExtensionHeaders; headers++) {
    uint32_t length = 8;
    switch (next) {
      case IPPROTO_HOPOPTS:
        if (offset != kIpv6HeaderSize) return false;
        [[fallthrough]];
      case IPPROTO_ROUTING:
      case IPPROTO_DSTOPTS:
      case IPPROTO_MH:
      case kProtocolHip:
      case kProtocolShim6:
        if (offset + 8 > view) return false;
        length = (ip[offset + 1] + 1u) * 8;
        break;
      case IPPROTO_AH:
        if (offset + 8 > view) return false;
        length = (ip[offset + 1] + 2u) * 4;  // RFC 4302 section 2.2: in 4-byte units, minus 2
        break;
      case IPPROTO_FRAGMENT: {
        if (seen_fragment_header || offset + 8 > view) return false;
        seen_fragment_header = true;
        const uint16_t field = static_cast<uint16_t>(ip[offset + 2] << 8 | ip[offset + 3]);
        chain.fragment_offset = field & 0xfff8;
        chain.more = field & 1;
        chain.fragment_data = offset + 8;
        chain.fragment = chain.more || chain.fragment_offset != 0;
        if (chain.fragment_offset != 0) {
          chain.protocol = ip[offset];
          chain.end = chain.fragment_data;
          return true;
        }
        break;
      }
      default:
        chain.protocol = next;
        chain.end = offset;
        return true;
    }
    if (offset + length > view) return false;
    next = ip[offset];
    offset += length;
  }
  return false;
}

}  // namespace sluice
