#include "wasm/chain_run.h"

#include <algorithm>
#include <cstring>

namespace sluice {

void Pipeline::run(WorkerContext& ctx, abi::Hook hook, rte_mbuf** packets, uint16_t& count, ChainOutput& output) const {
  output.redirected_count = output.reinput_count = output.reply_count = 0;
  const Chain& chain = chains_[static_cast<size_t>(hook)];
  if (chain.stages.empty() || count == 0) return;
  ChainRun run(ctx, hook, chain, *workers_[ctx.id], flow_slots_, reparse_, before_move_, settled_, output);
  run.load(packets, count);
  for (size_t i = 0; i < chain.stages.size() && !run.finished(); i++) run.run(i);
  count = run.unload(packets);
}

void ChainRun::load(rte_mbuf** packets, uint16_t count) {
  std::memcpy(worker_.packets, packets, count * sizeof(rte_mbuf*));
  loaded_ = count;
  pass_settled(packets, count);
  uint16_t live = 0;
  for (uint16_t i = 0; i < count; i++) {
    meta_of(packets[i])->verdict = static_cast<uint8_t>(abi::Verdict::PASS);
    worker_.live[live] = i;
    live = static_cast<uint16_t>(live + (passed_ == 0 || !worker_.passed[i]));
  }
  live_count_ = live;
  if (likely(chain_.shared_window)) worker_.window.fill(worker_.live, live, worker_.packets, chain_.header_bytes);
}

uint16_t ChainRun::unload(rte_mbuf** packets) {
  if (likely(live_count_ + passed_ == loaded_)) return loaded_;
  uint16_t kept = 0;
  for (uint16_t i = 0; i < loaded_; i++) {
    if (worker_.packets[i] != nullptr) packets[kept++] = worker_.packets[i];
  }
  return kept;
}

uint16_t ChainRun::select(const Stage& stage) {
  if (!stage.scoped) {
    std::memcpy(worker_.list, worker_.live, live_count_ * sizeof(uint16_t));
    return live_count_;
  }
  const auto in_scope = [&](PortId port) { return port < kMaxPorts && stage.scope[port]; };
  uint16_t count = 0;
  for (uint16_t i = 0; i < live_count_; i++) {
    const PacketMeta& meta = *meta_of(worker_.packets[worker_.live[i]]);
    if (in_scope(meta.in_port) || in_scope(meta.out_port)) worker_.list[count++] = worker_.live[i];
  }
  return count;
}

void ChainRun::run(size_t index) {
  index_ = index;
  const Stage& stage = *chain_.stages[index];
  const uint16_t count = select(stage);
  if (count == 0) return;
  if (likely(stage.plugin->running())) {
    call(stage, count);
  } else {
    skip(stage, count);
  }
  compact();
}

void ChainRun::skip(const Stage& stage, uint16_t count) {
  if (stage.failure == FailureStrategy::FailOpen) return;
  call_cycles_ = 0;
  for (uint16_t i = 0; i < count; i++) drop(stage, worker_.list[i], abi::DropReason::StageFailed);
}

void ChainRun::call(const Stage& stage, uint16_t count) {
  LoadedPlugin::Worker& part = stage.plugin->worker(ctx_.id);
  StageCall first{ctx_,
                  hook_,
                  worker_,
                  flow_slots_,
                  stage,
                  *part.window,
                  *part.instance.load(std::memory_order_acquire),
                  worker_.list,
                  count,
                  worker_.next_random()};
  first.settles = chain_.settlers != 0;
  if (stage.scoped) {
    first.window.fill(worker_.list, count, worker_.packets, chain_.header_bytes);
  }
  uint16_t later_count = 0;
  first.load_flow_slots(worker_.later, later_count);
  finish_call(first);
  if (likely(later_count == 0)) return;

  std::memcpy(worker_.list, worker_.later, later_count * sizeof(uint16_t));
  if (!stage.plugin->running()) return skip(stage, later_count);
  StageCall second{ctx_,         hook_,          worker_,      flow_slots_, stage,
                   first.window, first.instance, worker_.list, later_count, worker_.next_random()};
  second.settles = first.settles;
  second.load_flow_slots(nullptr, later_count);
  finish_call(second);
}

void ChainRun::finish_call(StageCall& call) {
  const bool done = call.process();
  StageCounters& counters = *call.stage.plugin->worker(ctx_.id).counters;
  bump(counters.calls);
  bump(counters.packets, call.count);
  bump(counters.cycles, call.counted_cycles);
  call_cycles_ = call.cycles;
  call_count_ = call.count;
  if (unlikely(!done)) return fail(call);
  if (ShadowStage* shadow = call.stage.shadow.load(std::memory_order_acquire); unlikely(shadow != nullptr)) {
    run_shadow(*shadow, call);
  }
  call.store_flow_slots();
  commit(call);
  if (unlikely(ctx_.tracer != nullptr)) tell_passed(call);
  if (call.stage.scoped && chain_.shared_window) refill_shared(call.list, call.count);
}

/// The slots of packets that are still in the chain, of these.
void ChainRun::refill_shared(const uint16_t* slots, uint16_t count) {
  uint16_t kept[kMaxBurst];
  uint16_t kept_count = 0;
  for (uint16_t i = 0; i < count; i++) {
    if (worker_.packets[slots[i]] != nullptr) kept[kept_count++] = slots[i];
  }
  worker_.window.fill(kept, kept_count, worker_.packets, chain_.header_bytes);
}

void ChainRun::fail(StageCall& call) {
  const Stage& stage = call.stage;
  LoadedPlugin::Worker& part = stage.plugin->worker(ctx_.id);
  bump(part.counters->failures);
  TrapInfo info = call.instance.take_trap();
  info.hook = hook_name(hook_);
  info.worker = ctx_.id;
  info.wall_ns = ctx_.wall_ns;
  info.packet_index = std::min<uint32_t>(call.window.header().current, call.count - 1u);
  const rte_mbuf* packet = worker_.packets[call.list[info.packet_index]];
  constexpr uint16_t kKept = 128;
  const uint16_t kept = std::min(packet->data_len, kKept);
  const uint8_t* head = rte_pktmbuf_mtod(packet, const uint8_t*);
  info.packet_hex = to_hex(head, kept);
  info.packet_summary = summarize_packet(head, kept, packet->pkt_len);
  stage.plugin->fail(ctx_.id, std::move(info), ctx_.now_ns);

  if (stage.failure != FailureStrategy::FailOpen) {
    for (uint16_t i = 0; i < call.count; i++) drop(stage, call.list[i], abi::DropReason::StageFailed);
  } else if (!stage.scoped) {
    // What it wrote is thrown away. It could write to any slot of the shared window.
    refill_shared(worker_.live, live_count_);
  }
}

void ChainRun::compact() {
  if (likely(!left_)) return;
  uint16_t kept = 0;
  for (uint16_t i = 0; i < live_count_; i++) {
    if (worker_.packets[worker_.live[i]] != nullptr) worker_.live[kept++] = worker_.live[i];
  }
  live_count_ = kept;
  left_ = false;
}

}  // namespace sluice
