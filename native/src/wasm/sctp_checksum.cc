#include "wasm/sctp_checksum.h"

#include <netinet/in.h>
#include <rte_hash_crc.h>

#include <algorithm>
#include <cstring>

#include "core/packet.h"

namespace sluice {

namespace {

constexpr uint32_t kHeader = 12, kChecksum = 8;  // bytes of the common header, and the checksum's place in it

/// Calls `visit` with each run of bytes from `offset` to the packet's end.
template <typename Visit>
void each_run(rte_mbuf* packet, uint32_t offset, Visit visit) {
  for (rte_mbuf* segment = packet; segment != nullptr; segment = segment->next) {
    const uint32_t skipped = std::min<uint32_t>(offset, segment->data_len);
    offset -= skipped;
    if (segment->data_len > skipped) {
      visit(rte_pktmbuf_mtod_offset(segment, uint8_t*, skipped), segment->data_len - skipped);
    }
  }
}

/// Writes bytes of the packet, whatever segments they lie in.
void write(rte_mbuf* packet, uint32_t offset, const uint8_t* bytes, uint32_t size) {
  each_run(packet, offset, [&](uint8_t* at, uint32_t length) {
    const uint32_t part = std::min(length, size);
    std::memcpy(at, bytes, part);
    bytes += part;
    size -= part;
  });
}

}  // namespace

void complete_sctp_checksum(rte_mbuf* packet) {
  const PacketMeta& meta = *meta_of(packet);
  const bool whole = !has_flag(meta, abi::Flag::FRAGMENT) && meta.l4_offset != 0;
  if (meta.protocol != IPPROTO_SCTP || !whole || packet->pkt_len < meta.l4_offset + kHeader) return;
  const uint8_t zero[4] = {};
  write(packet, meta.l4_offset + kChecksum, zero, sizeof(zero));
  uint32_t crc = UINT32_MAX;
  each_run(packet, meta.l4_offset, [&](const uint8_t* at, uint32_t length) { crc = rte_hash_crc(at, length, crc); });
  crc = ~crc;
  // The reflected CRC goes out with its least significant byte first.
  const uint8_t bytes[4] = {static_cast<uint8_t>(crc), static_cast<uint8_t>(crc >> 8), static_cast<uint8_t>(crc >> 16),
                            static_cast<uint8_t>(crc >> 24)};
  write(packet, meta.l4_offset + kChecksum, bytes, sizeof(bytes));
}

}  // namespace sluice
