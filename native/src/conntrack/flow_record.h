#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "conntrack/flow_key.h"
#include "conntrack/timeouts.h"
#include "core/slot_marks.h"

namespace sluice {

enum class FlowLife : uint8_t {
  Free,
  Unconfirmed,  ///< its first packet is still on its way: only the original key is in the index
  Confirmed,
  Dying,  ///< out of the index; its number is reused once all workers were quiescent
};

/// Bits of FlowRecord::marks.
namespace flow_mark {
constexpr uint16_t kSeenReply = 1;
constexpr uint16_t kFinOriginal = 2;  ///< shifted by the direction
constexpr uint16_t kFinReply = 4;
constexpr uint16_t kLastFinReply = 8;  ///< the latest first FIN came from the reply's side
constexpr uint16_t kAckOriginal = 16;  ///< max_ack of the direction is valid; shifted by the direction
constexpr uint16_t kAckReply = 32;
}  // namespace flow_mark

/// A flow as it lies in the file; native byte order. Keys are written under the table's lock while no worker can see
/// the flow; what workers write later is atomic. Behind it come the plugins' slots (FlowFileHeader::slot_bytes).
///
/// Records lie one behind the other without regard to cache lines: 208 bytes with 64 of slots. All that packets of
/// settled IPv4 flows need is in the first 128.
struct alignas(16) FlowRecord {
  // Read for every packet, written once a second, by state changes and by TCP's acknowledgements.
  std::atomic<FlowLife> life;
  std::atomic<FlowState> state;
  std::atomic<uint16_t> marks;
  std::atomic<uint32_t> last_seen;   ///< s, CLOCK_MONOTONIC
  std::atomic<uint32_t> max_ack[2];  ///< TCP: highest acknowledgement by direction, host byte order
  /// By direction: what stages have settled of the flow's rest, see flow_table_settled.cc. Zero: nothing.
  std::atomic<uint64_t> settled[2];
  /// By direction: the next hop of packets that pass settled, see flow_table_settled.cc. Zero: not known.
  std::atomic<uint64_t> way[2];

  // The index compares packets with one of them, and packets that pass settled get their addresses from the other.
  FlowKey original;
  FlowKey reply;  ///< family 0 until the flow is confirmed

  // The slow path.
  uint32_t created;  ///< s, CLOCK_MONOTONIC
  SlotMarks slot_marks;
};
static_assert(sizeof(FlowRecord) == 144 && offsetof(FlowRecord, created) == 128);
static_assert(offsetof(FlowRecord, original) % 8 == 0 && offsetof(FlowRecord, reply) % 8 == 0, "FlowIndex reads words");
static_assert(std::atomic<uint32_t>::is_always_lock_free, "records are shared between processes over time");

}  // namespace sluice
