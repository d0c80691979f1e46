#include "port/offload.h"

#include <netinet/in.h>
#include <rte_hash_crc.h>
#include <rte_sctp.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <cstring>

#include "core/packet.h"
#include "port/checksum.h"

namespace sluice {

namespace {
constexpr uint32_t kDccpChecksumOffset = 6;  // RFC 4340, section 5.1

/// Offset of the checksum field in the L4 header; 0 for a protocol whose checksum is never partial.
uint32_t checksum_field(uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return offsetof(rte_tcp_hdr, cksum);
    case IPPROTO_UDP:
      return offsetof(rte_udp_hdr, dgram_cksum);
    case IPPROTO_DCCP:
      return kDccpChecksumOffset;
    default:
      return 0;
  }
}

/// rte_hash_crc() would do, but for reading misaligned words, which is undefined in C++.
uint32_t crc32c(const uint8_t* bytes, size_t length, uint32_t crc) {
  for (; length >= sizeof(uint64_t); bytes += sizeof(uint64_t), length -= sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    crc = rte_hash_crc_8byte(word, crc);
  }
  for (; length > 0; bytes++, length--) crc = rte_hash_crc_1byte(*bytes, crc);
  return crc;
}
}  // namespace

bool complete_checksum(rte_mbuf* packet) {
  PacketMeta& meta = *meta_of(packet);
  if (!has_flag(meta, abi::Flag::PARTIAL_CHECKSUM)) return true;
  const uint32_t field = checksum_field(meta.protocol);
  if (field == 0 || meta.l4_offset == 0) return false;
  if (!finish_partial_checksum(packet, meta.l4_offset, field)) return false;
  uint8_t* checksum = packet_bytes(packet, meta.l4_offset + field, sizeof(uint16_t));
  // UDP: 0 means that there is none, and all ones is the same number (RFC 768).
  if (meta.protocol == IPPROTO_UDP && checksum[0] == 0 && checksum[1] == 0) checksum[0] = checksum[1] = 0xff;
  meta.flags &= ~static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
  return true;
}

void settle_offloads(rte_mbuf* packet) {
  constexpr auto kSuper = static_cast<uint16_t>(abi::Flag::SUPER_FRAME);
  constexpr auto kPartial = static_cast<uint16_t>(abi::Flag::PARTIAL_CHECKSUM);
  PacketMeta& meta = *meta_of(packet);
  if ((meta.flags & (kSuper | kPartial)) == 0) return;
  const bool wrapped = meta.gso_l4_offset != 0 && (meta.protocol == IPPROTO_IPIP || meta.protocol == IPPROTO_IPV6);
  if (wrapped) return;
  if (meta.gso_l4_offset != 0 || checksum_field(meta.protocol) == 0) meta.flags &= static_cast<uint16_t>(~kPartial);
  const bool partial = (meta.flags & kPartial) != 0;
  const bool large = meta.payload_offset != 0 && packet->pkt_len > uint32_t{meta.payload_offset} + meta.gso_size;
  if (partial && meta.protocol == IPPROTO_TCP && large) return;
  meta.flags &= static_cast<uint16_t>(~kSuper);
  meta.gso_size = meta.gso_l3_offset = meta.gso_l4_offset = 0;
}

bool complete_sctp_checksum(rte_mbuf* packet) {
  const PacketMeta& meta = *meta_of(packet);
  if (meta.protocol != IPPROTO_SCTP || meta.l4_offset == 0) return false;
  uint8_t* header = packet_bytes(packet, meta.l4_offset, sizeof(rte_sctp_hdr));
  if (header == nullptr) return false;
  uint8_t* field = header + offsetof(rte_sctp_hdr, cksum);
  std::memset(field, 0, sizeof(uint32_t));
  uint32_t crc = UINT32_MAX;
  uint32_t skip = meta.l4_offset;
  for (const rte_mbuf* part = packet; part != nullptr; part = part->next) {
    if (skip < part->data_len) {
      crc = crc32c(rte_pktmbuf_mtod_offset(part, const uint8_t*, skip), part->data_len - skip, crc);
      skip = 0;
    } else {
      skip -= part->data_len;
    }
  }
  crc = ~crc;  // little-endian on the wire, as computed
  std::memcpy(field, &crc, sizeof crc);
  return true;
}

}  // namespace sluice
