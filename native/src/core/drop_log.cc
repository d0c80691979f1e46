#include "core/drop_log.h"

#include <rte_branch_prediction.h>

namespace sluice {

uint64_t drop_key(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char letter : name) hash = (hash ^ static_cast<uint8_t>(letter)) * 0x100000001b3;
  return hash;
}

DropLog::Entry& DropLog::find(const DropCause& cause) {
  if (cause.stage.empty()) return entries_[cause.reason < abi::kDropReasonCount ? cause.reason : kOther];
  const uint64_t key = cause.key != 0 ? cause.key : 1;
  for (size_t at = key * 0x9e3779b97f4a7c15 >> 56;; at = (at + 1) % kSlots) {
    Entry& entry = entries_[kNative + at];
    if (likely(entry.key == key)) return entry;
    if (entry.key != 0) continue;
    if (pairs_ == kPairs) return entries_[kOther];
    pairs_++;
    entry.key = key;
    copy_name(entry.stage, cause.stage);
    copy_name(entry.reason, cause.name);
    return entry;
  }
}

void DropLog::count(const DropCause& cause, const rte_mbuf* packet, uint64_t now_ns, uint64_t wall_ns,
                    std::string_view in_port) {
  Entry& entry = find(cause);
  const uint64_t packets = entry.packets.load(std::memory_order_relaxed);
  if (unlikely(entry.burst_ns != now_ns || packets == 0)) {
    entry.burst_ns = now_ns;
    keep(entry, packet, wall_ns, in_port);
  }
  // Release: who sees a count sees the names.
  entry.packets.store(packets + 1, std::memory_order_release);
}

void DropLog::keep(Entry& entry, const rte_mbuf* packet, uint64_t wall_ns, std::string_view in_port) {
  LastDrop last;
  const uint16_t before = shown_before(packet);
  last.wall_ns = wall_ns;
  last.length = packet->pkt_len + before;
  last.shown = copy_bytes(packet, before, last.bytes, kShownBytes);
  copy_name(last.in_port, in_port);
  entry.last.store(last);
}

void DropLog::for_each(const std::function<void(const View&)>& visit) const {
  for (size_t i = 0; i < entries_.size(); i++) {
    const Entry& entry = entries_[i];
    View view{"", "other", entry.packets.load(std::memory_order_acquire), {}};
    if (view.packets == 0) continue;
    entry.last.load(view.last);
    if (i < kNative) {
      view.reason = abi::kDropReasonNames[i];
    } else if (i < kOther) {
      view.stage = entry.stage;
      view.reason = entry.reason;
    } else {
      view.stage = "other";
    }
    visit(view);
  }
}

}  // namespace sluice
