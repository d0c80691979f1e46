// What the control thread asks of the table.
#include <rte_pause.h>

#include <algorithm>
#include <cstring>

#include "conntrack/flow_table.h"
#include "core/lock.h"
#include "core/shared_words.h"

namespace sluice {

namespace {

/// Copies a flow's slots, of `bytes` together, with their schemas while workers go on writing. A slot that cannot be
/// had whole in `tries`, which are counted down, gets the schema 0.
void copy_slots(const SlotMarks& marks, const uint8_t* slots, uint32_t bytes, FlowView& view, uint8_t* to,
                uint32_t& tries) {
  uint32_t before, after;
  while (true) {
    before = __atomic_load_n(&marks.writes, __ATOMIC_ACQUIRE);
    for (size_t i = 0; i < kMaxFlowSlots; i++) {
      view.slot_schema[i] = __atomic_load_n(&marks.schemas[i], __ATOMIC_RELAXED);
    }
    load_words(to, slots, bytes);
    // Words of a later write are not seen without its bit or its number.
    std::atomic_thread_fence(std::memory_order_acquire);
    after = __atomic_load_n(&marks.writes, __ATOMIC_RELAXED);
    if (!SlotMarks::torn(SlotMarks::kAllSlots, before, after)) return;
    if (tries == 0) break;
    tries--;
    rte_pause();
  }
  for (size_t i = 0; i < kMaxFlowSlots; i++) {
    if (SlotMarks::torn(1u << i, before, after)) view.slot_schema[i] = 0;
  }
}

}  // namespace

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
  constexpr uint32_t kTries = 256;  // of all these records' slots together: some microseconds more
  const uint32_t slot_bytes = file_.header().slot_bytes;
  std::vector<FlowView> views;
  views.reserve(kAtOnce);
  std::vector<uint8_t> copies(size_t{kAtOnce} * slot_bytes);
  for (uint32_t used = first + 1; first < used; first += kAtOnce) {
    views.clear();
    {
      Locked locked(lock_);
      uint32_t tries = kTries;
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
        copy_slots(found.slot_marks, slots(flow), slot_bytes, views.back(), copy, tries);
      }
    }
    for (const FlowView& view : views) {
      if (!visit(view)) return;
    }
  }
}

uint32_t FlowTable::find(const FlowKey& key) const {
  Locked locked(lock_);
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
