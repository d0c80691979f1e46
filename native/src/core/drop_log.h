#pragma once

#include <rte_mbuf.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>

#include "core/packet_bytes.h"
#include "core/seqlock.h"
#include "generated/abi.h"

namespace sluice {

/// Why a packet is dropped, and who says so.
struct DropCause {
  uint16_t reason = 0;          ///< abi::DropReason, or from abi::PLUGIN_REASON_BASE on a stage's own
  const char* name = "";        ///< of the reason
  std::string_view stage = {};  ///< empty: native code
  uint64_t key = 0;             ///< of stage and reason, see drop_key(); 0 for native code
};

/// Part of DropCause::key for a name: the sum of the stage's and the reason's. Not for the packet path.
uint64_t drop_key(std::string_view name);
/// The same for a well-known reason.
inline uint64_t drop_key(abi::DropReason reason) {
  return (static_cast<uint64_t>(reason) + 1) * 0x9e3779b97f4a7c15;
}

/// The packet that was dropped last for a reason, or one of the same burst.
struct LastDrop {
  uint64_t wall_ns = 0;
  uint32_t length = 0;  ///< from where the bytes begin
  uint32_t shown = 0;   ///< bytes kept
  char in_port[64] = {};
  uint8_t bytes[kShownBytes] = {};  ///< from the L3 header, or the link header when it is no IP packet
};

/// A worker's drops since its start, by reason and deciding stage, with the last packet of each. The worker writes; the
/// control thread reads at any time. Room for all native reasons and kPairs pairs of stage and reason; what is beyond
/// is counted together, as by a stage and for a reason named "other".
class DropLog {
 public:
  static constexpr size_t kPairs = 192;

  void count(const DropCause& cause, const rte_mbuf* packet, uint64_t now_ns, uint64_t wall_ns,
             std::string_view in_port);

  struct View {
    const char* stage;
    const char* reason;
    uint64_t packets;
    LastDrop last;
  };
  /// Visits what is not zero. Control thread.
  void for_each(const std::function<void(const View&)>& visit) const;

 private:
  static constexpr size_t kNative = 64, kSlots = 256, kOther = kNative + kSlots;
  static_assert(abi::kDropReasonCount <= kNative && kPairs < kSlots);

  struct alignas(64) Entry {
    std::atomic<uint64_t> packets{0};
    uint64_t key = 0;                      ///< 0: the slot is free
    uint64_t burst_ns = 0;                 ///< of the burst whose packet `last` is
    char stage[64] = {}, reason[64] = {};  ///< written once, before `packets` first is not zero
    Seqlock<LastDrop> last;
  };

  Entry& find(const DropCause& cause);
  static void keep(Entry& entry, const rte_mbuf* packet, uint64_t wall_ns, std::string_view in_port);

  std::array<Entry, kOther + 1> entries_;  ///< native reasons by number, the pairs' hash table, what found no room
  size_t pairs_ = 0;
};

}  // namespace sluice
