// What the control thread asks of the table.
#include <algorithm>
#include <cstring>

#include "conntrack/flow_lock.h"
#include "conntrack/flow_table.h"

namespace sluice {
namespace {

constexpr uint16_t kSlotAlignment = 8;

bool is(const FlowSlotEntry& entry, const std::string& plugin) {
  return strncmp(entry.plugin, plugin.c_str(), sizeof entry.plugin) == 0;
}

/// The lowest offset where `size` bytes are free, or `room` when there is none.
uint32_t find_room(const FlowFileHeader& header, uint16_t size) {
  for (uint32_t offset = 0; offset + size <= header.slot_bytes; offset += kSlotAlignment) {
    const bool free = std::all_of(std::begin(header.slots), std::end(header.slots), [&](const FlowSlotEntry& entry) {
      return entry.plugin[0] == 0 || entry.offset + entry.size <= offset || offset + size <= entry.offset;
    });
    if (free) return offset;
  }
  return header.slot_bytes;
}

std::string describe(const FlowFileHeader& header) {
  std::string text;
  for (const FlowSlotEntry& entry : header.slots) {
    if (entry.plugin[0] == 0) continue;
    text += (text.empty() ? "" : ", ") + std::string(entry.plugin) + " " + std::to_string(entry.size);
  }
  return text.empty() ? "none" : text;
}

FlowSlot slot_of(const FlowSlotEntry& entry, uint8_t index) {
  return {entry.offset, entry.size, index};
}

}  // namespace

Result<FlowSlot> FlowTable::assign_slot(const std::string& plugin, uint16_t size) {
  FlowFileHeader& header = file_.header();
  if (plugin.empty() || plugin.size() >= sizeof header.slots[0].plugin) {
    return Error{"flow-slot-name", "/plugins/" + plugin,
                 "a plugin with flow state needs a name of 1 to " + std::to_string(sizeof header.slots[0].plugin - 1) +
                     " bytes"};
  }
  for (uint8_t index = 0; index < kMaxFlowSlots; index++) {
    if (is(header.slots[index], plugin) && header.slots[index].size == size) return slot_of(header.slots[index], index);
  }
  release_slot(plugin);
  const uint32_t offset = find_room(header, size);
  for (uint8_t index = 0; index < kMaxFlowSlots && size > 0 && offset < header.slot_bytes; index++) {
    FlowSlotEntry& entry = header.slots[index];
    if (entry.plugin[0] != 0) continue;
    entry.offset = static_cast<uint16_t>(offset);
    entry.size = size;
    clear_slot(index);
    strncpy(entry.plugin, plugin.c_str(), sizeof entry.plugin - 1);
    return slot_of(entry, index);
  }
  return Error{"no-flow-slot", "/plugins/" + plugin,
               "flow state of " + std::to_string(size) + " bytes does not fit: a flow has " +
                   std::to_string(header.slot_bytes) + " bytes in at most " + std::to_string(kMaxFlowSlots) +
                   " slots, taken are " + describe(header)};
}

void FlowTable::release_slot(const std::string& plugin) {
  for (uint8_t index = 0; index < kMaxFlowSlots; index++) {
    FlowSlotEntry& entry = file_.header().slots[index];
    if (plugin.empty() || !is(entry, plugin)) continue;
    clear_slot(index);
    entry = FlowSlotEntry{};
  }
}

void FlowTable::clear_slot(uint8_t index) {
  const FlowSlotEntry& entry = file_.header().slots[index];
  FlowLock guard(lock_);
  for (uint32_t flow = 0; flow < file_.header().high_water; flow++) {
    slot_schema(flow)[index] = 0;
    memset(slots(flow) + entry.offset, 0, entry.size);
  }
}

void FlowTable::for_each(const std::function<void(const FlowView&)>& visit) {
  constexpr uint32_t kAtOnce = 64;
  std::vector<FlowView> views;
  views.reserve(kAtOnce);
  for (uint32_t first = 0, used = 1; first < used; first += kAtOnce) {
    views.clear();
    {
      FlowLock guard(lock_);
      used = file_.header().high_water;
      for (uint32_t flow = first; flow < used && flow < first + kAtOnce; flow++) {
        const FlowRecord& found = record(flow);
        const FlowLife life = found.life.load(std::memory_order_relaxed);
        if (life != FlowLife::Confirmed && life != FlowLife::Unconfirmed) continue;
        const FlowState state = found.state.load(std::memory_order_relaxed);
        views.push_back({flow, found.original, found.reply, state, life == FlowLife::Confirmed,
                         (found.marks.load(std::memory_order_relaxed) & flow_mark::kSeenReply) != 0, found.created,
                         found.last_seen.load(std::memory_order_relaxed), timeout_of(state)});
      }
    }
    for (const FlowView& view : views) visit(view);
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
