#include "port/checksum.h"

#include <algorithm>
#include <cstring>

namespace sluice {

uint64_t sum_bytes(const void* data, size_t length) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  // Halves of 64-bit words in separate sums need no carries, and compilers vectorise that.
  uint64_t low = 0, high = 0;
  for (; length >= 8; bytes += 8, length -= 8) {
    uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    low += word & 0xffffffff;
    high += word >> 32;
  }
  if (length > 0) {
    uint64_t word = 0;
    std::memcpy(&word, bytes, length);
    low += word & 0xffffffff;
    high += word >> 32;
  }
  return low + high;
}

uint64_t sum_packet(const rte_mbuf* packet, uint32_t offset, uint32_t length) {
  while (offset >= packet->data_len) {
    if (packet->next == nullptr) return 0;
    offset -= packet->data_len;
    packet = packet->next;
  }
  uint64_t sum = 0;
  bool odd = false;  // an odd number of bytes so far: the next segment's bytes are in the other halves of their words
  for (; length > 0 && packet != nullptr; packet = packet->next) {
    const uint32_t here = std::min<uint32_t>(packet->data_len - offset, length);
    const uint64_t part = sum_bytes(rte_pktmbuf_mtod_offset(packet, const uint8_t*, offset), here);
    sum += odd ? __builtin_bswap16(fold_sum(part)) : part;
    odd ^= here & 1;
    length -= here;
    offset = 0;
  }
  return sum;
}

uint8_t* packet_bytes(rte_mbuf* packet, uint32_t offset, uint32_t length) {
  while (packet != nullptr && offset >= packet->data_len) {
    offset -= packet->data_len;
    packet = packet->next;
  }
  if (packet == nullptr || offset + length > packet->data_len) return nullptr;
  return rte_pktmbuf_mtod_offset(packet, uint8_t*, offset);
}

bool finish_partial_checksum(rte_mbuf* packet, uint32_t start, uint32_t field) {
  uint8_t* target = packet_bytes(packet, start + field, sizeof(uint16_t));
  if (target == nullptr) return false;
  const uint16_t checksum = ~fold_sum(sum_packet(packet, start, packet->pkt_len - start));
  std::memcpy(target, &checksum, sizeof checksum);
  return true;
}

}  // namespace sluice
