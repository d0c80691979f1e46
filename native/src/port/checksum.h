#pragma once

#include <rte_mbuf.h>

#include <cstdint>

namespace sluice {

/// Internet checksum arithmetic (RFC 1071). Sums are of 16-bit words as they lie in memory; they are added up in 64
/// bits and folded at the end, and stay valid in either byte order.

uint64_t sum_bytes(const void* data, size_t length);

/// Of `length` bytes of the packet from `offset`, across segments. The range must lie within the packet.
uint64_t sum_packet(const rte_mbuf* packet, uint32_t offset, uint32_t length);

inline uint16_t fold_sum(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

/// The pointer to `length` bytes at `offset`, which must be contiguous; nullptr when they are not, or not there.
uint8_t* packet_bytes(rte_mbuf* packet, uint32_t offset, uint32_t length);

/// Sums from `start` to the packet's end, where the field at `start + field` holds the sum of the pseudo-header, and
/// puts the checksum in that field.
bool finish_partial_checksum(rte_mbuf* packet, uint32_t start, uint32_t field);

}  // namespace sluice
