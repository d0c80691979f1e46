#pragma once

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>

#include <cstdint>

namespace sluice {

/// Moves bytes of later segments into the first one's tailroom until `need` bytes are there. False when the packet is
/// shorter than that, or the first buffer too small. Emptied segments are freed.
bool pull_up(rte_mbuf* packet, uint32_t need);

/// Cuts the packet to `length` bytes and frees segments that are then empty.
void cut_to(rte_mbuf* packet, uint32_t length);

/// At least `need` bytes are readable at the data pointer.
inline bool make_contiguous(rte_mbuf* packet, uint32_t need) {
  return likely(packet->data_len >= need) || pull_up(packet, need);
}

}  // namespace sluice
