// What the control thread asks of the table.
#include <algorithm>
#include <cstring>

#include "conntrack/flow_lock.h"
#include "conntrack/flow_table.h"
#include "core/shared_words.h"

namespace sluice {

bool FlowTable::keep_slot_registry(const std::string& text) {
  char(&kept)[sizeof FlowFileHeader::slot_registry] = file_.header().slot_registry;
  if (text.size() >= sizeof kept) return false;
  memset(kept, 0, sizeof kept);
  memcpy(kept, text.data(), text.size());
  return true;
}

void FlowTable::for_each(const std::function<void(const FlowView&)>& visit) {
  for_each_from(0, [&visit](const FlowView& view) {
    visit(view);
    return true;
  });
}

void FlowTable::for_each_from(uint32_t first, const std::function<bool(const FlowView&)>& visit) {
  constexpr uint32_t kAtOnce = 64;  // records that the lock is held for: microseconds
  const uint32_t slot_bytes = file_.header().slot_bytes;
  std::vector<FlowView> views;
  views.reserve(kAtOnce);
  std::vector<uint8_t> copies(size_t{kAtOnce} * slot_bytes);
  for (uint32_t used = first + 1; first < used; first += kAtOnce) {
    views.clear();
    {
      FlowLock guard(lock_);
      used = file_.header().high_water;
      for (uint32_t flow = first; flow < used && flow < first + kAtOnce; flow++) {
        const FlowRecord& found = record(flow);
        const FlowLife life = found.life.load(std::memory_order_relaxed);
        if (life != FlowLife::Confirmed && life != FlowLife::Unconfirmed) continue;
        const FlowState state = found.state.load(std::memory_order_relaxed);
        uint8_t* copy = copies.data() + views.size() * slot_bytes;
        views.push_back({flow,
                         found.original,
                         found.reply,
                         state,
                         life == FlowLife::Confirmed,
                         (found.marks.load(std::memory_order_relaxed) & flow_mark::kSeenReply) != 0,
                         found.created,
                         found.last_seen.load(std::memory_order_relaxed),
                         timeout_of(state),
                         copy,
                         {}});
        for (size_t i = 0; i < kMaxFlowSlots; i++) {
          views.back().slot_schema[i] = __atomic_load_n(&found.slot_schema[i], __ATOMIC_ACQUIRE);
        }
        load_words(copy, slots(flow), slot_bytes);
      }
    }
    for (const FlowView& view : views) {
      if (!visit(view)) return;
    }
  }
}

uint32_t FlowTable::find(const FlowKey& key) const {
  FlowLock guard(lock_);
  const uint32_t found = index_->find(key);
  return found == kNoFlow ? kNoFlow : found >> 1;
}

FlowCounters FlowTable::counters() const {
  FlowCounters sum{
      created_.load(), expired_.load(), evicted_.load(), abandoned_.load(), clashes_.load(), replaced_.load(), 0, 0};
  for (const Worker& worker : workers_) {
    sum.full_drops += worker.full_drops.load(std::memory_order_relaxed);
    sum.invalid += worker.invalid.load(std::memory_order_relaxed);
  }
  return sum;
}

}  // namespace sluice
