#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/packet.h"

namespace sluice::testing {

using Bytes = std::vector<uint8_t>;

/// Two hosts; rows may put others in their place. 4: 10.0.0.1 and 10.0.0.2; 6: 2001:db8::1 and 2001:db8::2.
inline const char* const kA4 = "0a000001";
inline const char* const kB4 = "0a000002";
inline const char* const kA6 = "20010db8000000000000000000000001";
inline const char* const kB6 = "20010db8000000000000000000000002";
inline const char* const kEthernet4 = "020000000001 020000000002 0800";
inline const char* const kEthernet6 = "020000000001 020000000002 86dd";

struct Ip4 {
  uint8_t protocol;
  std::string payload;
  std::string source = kA4, destination = kB4;
  std::string options = "";  ///< a multiple of 4 bytes
  uint16_t fragment = 0;     ///< flags and offset as in the header
  int length = -1;           ///< total length; -1: the right one
  uint8_t version = 4;
  int header_words = -1;  ///< IHL; -1: the right one
  uint16_t checksum_error = 0;
};
Bytes ip4(const Ip4& fields);

struct Ip6 {
  uint8_t next;
  std::string payload;  ///< extension headers and upper layer
  std::string source = kA6, destination = kB6;
  int length = -1;  ///< payload length; -1: the right one
  uint8_t version = 6;
};
Bytes ip6(const Ip6& fields);

/// "hex" + bytes
Bytes behind(const std::string& link_header, const Bytes& packet);
std::string hex(const Bytes& bytes);

/// A packet whose only segment is a heap block of exactly its length, so that the address sanitizer sees every read
/// past the end.
class ExactPacket {
 public:
  explicit ExactPacket(const Bytes& bytes);
  rte_mbuf* get() { return mbuf_; }
  PacketMeta& meta() { return *meta_of(mbuf_); }

 private:
  std::unique_ptr<uint8_t[]> data_;
  struct alignas(RTE_CACHE_LINE_SIZE) Buffer {
    uint8_t bytes[sizeof(rte_mbuf) + sizeof(PacketMeta)];
  };
  std::unique_ptr<Buffer> buffer_;
  rte_mbuf* mbuf_;
};

}  // namespace sluice::testing
