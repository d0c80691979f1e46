#include "wasm/stage_call.h"

#include <rte_cycles.h>
#include <rte_prefetch.h>

#include <algorithm>
#include <cstring>

namespace sluice {

namespace {

constexpr uint16_t kFlowWritten = static_cast<uint16_t>(abi::Flag::FLOW_WRITTEN);

/// The list of a call with all slots.
constexpr auto kAllAddresses = [] {
  std::array<uint32_t, kMaxBurst> addresses{};
  for (uint16_t i = 0; i < kMaxBurst; i++) addresses[i] = Window::address(i);
  return addresses;
}();

uint32_t flow_of(const rte_mbuf* packet) {
  return meta_of(const_cast<rte_mbuf*>(packet))->flow;
}

}  // namespace

void StageCall::load_flow_slots(uint16_t* kept, uint16_t* later, uint16_t& later_count) {
  const uint8_t current = stage.plugin->manifest().flow_schema;
  for (uint16_t i = 0; i < count; i++) {
    const uint32_t flow = flow_of(worker.packets[list[i]]);
    if (flow == 0) continue;
    rte_prefetch0(flow_slots.slot(flow - 1, stage.flow));
    rte_prefetch0(&flow_slots.marks_of(flow - 1));
  }
  worker.flows.clear();
  uint16_t kept_count = 0;
  uint32_t tries = FlowSlots::kTries;
  for (uint16_t i = 0; i < count; i++) {
    const uint16_t slot = list[i];
    uint8_t* const to = window.slot(slot) + abi::kSlotFlowState;
    const uint32_t flow = flow_of(worker.packets[slot]);
    uint8_t schema = 0;
    if (flow != 0 && unlikely(!flow_slots.read(flow - 1, stage.flow, to, schema, tries))) {
      worker.busy[busy_count++] = slot;
      continue;
    }
    worker.schemas[slot] = schema;
    const bool known = schema != 0 && (schema == current || stage.migrates[schema]);
    worker.migrated[slot] = false;
    if (known) {
      std::memset(to + stage.flow.size, 0, abi::kSlotFlowStateSize - stage.flow.size);
    } else {
      std::memset(to, 0, abi::kSlotFlowStateSize);
      if (flow != 0 && later != nullptr && worker.flows.add(flow)) {
        later[later_count++] = slot;
        continue;
      }
    }
    window.set_new_slot(slot, flow != 0 && !known);
    kept[kept_count++] = slot;
  }
  list = kept;
  count = kept_count;
}

inline void StageCall::write_list(const uint16_t* slots, uint16_t length) {
  uint32_t* const addresses = window.list();
  if (likely(slots[length - 1] == length - 1)) {  // ascending numbers: all slots up to that one
    std::memcpy(addresses, kAllAddresses.data(), length * sizeof(uint32_t));
  } else {
    for (uint16_t i = 0; i < length; i++) addresses[i] = Window::address(slots[i]);
  }
  BurstHeader& header = window.header();
  header.count = length;
  header.hook = static_cast<uint32_t>(hook);
  header.now_ns = ctx.now_ns;
  const bool second = stage.segment != nullptr && stage.segment->index == 1;
  header.segment_base = second ? abi::kSegmentBBase : abi::kSegmentABase;
  header.segment_size = stage.segment != nullptr ? stage.plugin->manifest().segment_bytes : 0;
  header.worker = ctx.id;
  header.workers = worker.workers;
  header.generation = stage.generation;
  header.current = 0;
  header.settles = settles ? 1 : 0;
  header.random = random;
  header.wall_ns = ctx.wall_ns;
}

bool StageCall::migrate() {
  const uint8_t current = stage.plugin->manifest().flow_schema;
  uint8_t from[kMaxBurst];
  bool any = false;
  for (uint16_t i = 0; i < count; i++) {
    from[i] = worker.schemas[list[i]];
    if (from[i] == current || !stage.migrates[from[i]]) from[i] = 0;
    any = any || from[i] != 0;
  }
  if (!any) return true;
  for (uint16_t i = 0; i < count; i++) {
    if (from[i] == 0) continue;
    const uint8_t schema = from[i];
    uint16_t old[kMaxBurst];
    uint16_t length = 0;
    for (uint16_t j = i; j < count; j++) {
      if (from[j] != schema) continue;
      old[length++] = list[j];
      from[j] = 0;
    }
    write_list(old, length);
    if (!instance.migrate(schema, length, stage.budget_ticks)) return false;
    for (uint16_t j = 0; j < length; j++) {
      window.restore(old[j]);  // only flow slots are migrate's to write
      worker.migrated[old[j]] = true;
    }
  }
  return true;
}

inline uint64_t StageCall::timing_weight() const {
  if (counters.calls.load(std::memory_order_relaxed) < kTimedFirst) return 1;
  return random % kTimedOneIn == 0 ? kTimedOneIn : 0;
}

bool StageCall::process() {
  const uint64_t weight = timing_weight();
  const bool timed = weight != 0 || ctx.tracer != nullptr;
  const uint64_t start = timed ? rte_rdtsc() : 0;
  if (has_flow_slots() && stage.migrates.any() && !migrate()) return false;
  write_list(list, count);
  const bool done = instance.process(static_cast<uint32_t>(hook), count, stage.budget_ticks, *this);
  if (unlikely(asked)) end_requests(done);
  if (timed) {
    cycles = rte_rdtsc() - start;
    counted_cycles = cycles * weight;
  }
  return done;
}

CallRequests& StageCall::requests() {
  if (!asked) {
    uint8_t passes = 0;
    for (uint16_t i = 0; i < count; i++) passes = std::max(passes, meta_of(worker.packets[list[i]])->passes);
    worker.requests.begin(list, count, passes);
    asked = true;
  }
  return worker.requests;
}

void StageCall::end_requests(bool done) {
  if (done && !dry) {
    worker.requests.send(ctx, counters);
  } else {
    worker.requests.discard();
  }
}

void StageCall::store_flow_slots() {
  const uint8_t current = stage.plugin->manifest().flow_schema;
  for (uint16_t i = 0; i < count; i++) {
    const uint16_t slot = list[i];
    const uint32_t flow = flow_of(worker.packets[slot]);
    const bool written = (window.meta(slot).flags & kFlowWritten) != 0 || worker.migrated[slot];
    if (!written || flow == 0) continue;
    flow_slots.write(flow - 1, stage.flow, window.slot(slot) + abi::kSlotFlowState, current);
  }
}

}  // namespace sluice
