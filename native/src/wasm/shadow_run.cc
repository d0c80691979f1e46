#include <algorithm>
#include <cstring>

#include "wasm/chain_run.h"
#include "wasm/shadow.h"

namespace sluice {

namespace {

/// What differs between two versions' outputs for a packet; null when they agree.
const char* difference(const uint8_t* active_slot, const uint8_t* candidate_slot) {
  SlotMeta active, candidate;
  std::memcpy(&active, active_slot, sizeof(active));
  std::memcpy(&candidate, candidate_slot, sizeof(candidate));
  if (active.verdict != candidate.verdict) return "verdict";
  if (active.verdict == static_cast<uint8_t>(abi::Verdict::DROP)) {
    return active.reason != candidate.reason ? "drop reason" : nullptr;
  }
  if (active.head != candidate.head || active.packet_length != candidate.packet_length) return "length";
  if (active.table != candidate.table || active.mark != candidate.mark) return "table or mark";
  const bool redirect = active.verdict == static_cast<uint8_t>(abi::Verdict::REDIRECT);
  if (redirect &&
      (active.out_port != candidate.out_port || std::memcmp(active.next_hop, candidate.next_hop, 16) != 0)) {
    return "redirect";
  }
  // The views may differ in length, and their fields may hold anything.
  const uint32_t head = std::min<uint32_t>(active.head, abi::kSlotStride);
  const uint32_t size = std::min<uint32_t>({active.head_length, candidate.head_length, abi::kSlotStride - head});
  return std::memcmp(active_slot + head, candidate_slot + head, size) != 0 ? "header bytes" : nullptr;
}

void note(ShadowStage::Worker& part, std::string text) {
  if (part.has_first.load(std::memory_order_relaxed)) return;
  part.first = std::move(text);
  part.has_first.store(true, std::memory_order_release);
}

std::string packet_text(const rte_mbuf* packet) {
  constexpr uint16_t kKept = 128;
  const uint16_t kept = std::min(packet->data_len, kKept);
  const uint8_t* head = rte_pktmbuf_mtod(packet, const uint8_t*);
  return summarize_packet(head, kept, packet->pkt_len) + " " + to_hex(head, kept);
}

}  // namespace

void run_shadow(ShadowStage& shadow, const StageCall& active) {
  if (shadow.stopped.load(std::memory_order_relaxed)) return;
  const Stage& stage = *shadow.candidate;
  ChainWorker& worker = active.worker;
  LoadedPlugin::Worker& loaded = stage.plugin->worker(active.ctx.id);
  ShadowStage::Worker& part = shadow.workers[active.ctx.id];
  StageCall call{active.ctx,
                 active.hook,
                 worker,
                 active.flow_slots,
                 stage,
                 *loaded.window,
                 *loaded.instance.load(std::memory_order_acquire),
                 *loaded.counters,
                 active.list,
                 active.count,
                 active.random,
                 true};
  bool migrated[kMaxBurst];
  std::memcpy(migrated, worker.migrated, sizeof(migrated));
  call.window.fill(call.list, call.count, worker.packets, shadow.header_bytes);
  uint16_t none = 0;
  if (call.has_flow_slots()) call.load_flow_slots(worker.shadow_list, nullptr, none);
  const bool done = call.count == 0 || call.process();
  std::memcpy(worker.migrated, migrated, sizeof(migrated));  // the active stage's own, still to be stored
  bump(part.packets, call.count);
  if (!done) {
    shadow.stopped.store(true, std::memory_order_relaxed);
    bump(part.traps);
    const TrapInfo trap = call.instance.take_trap();
    const uint32_t current = std::min<uint32_t>(call.window.header().current, call.count - 1u);
    return note(part,
                "trap " + trap.code + ": " + trap.message + ", on " + packet_text(worker.packets[call.list[current]]));
  }
  for (uint16_t i = 0; i < call.count; i++) {
    const uint16_t slot = call.list[i];
    const char* what = difference(active.window.slot(slot), call.window.slot(slot));
    if (what == nullptr) continue;
    bump(part.differences);
    note(part, std::string(what) + " differs, on " + packet_text(worker.packets[slot]));
  }
}

}  // namespace sluice
