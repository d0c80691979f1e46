#include "wasm/chain_run.h"

#include <algorithm>
#include <cstring>

namespace sluice {

namespace {

constexpr auto kAllSlots = [] {
  std::array<uint16_t, kMaxBurst> slots{};
  for (uint16_t i = 0; i < kMaxBurst; i++) slots[i] = i;
  return slots;
}();

}  // namespace

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
  worker_.packets = packets;
  loaded_ = count;
  if (chain_.settlers != 0) pass_settled(packets, count);
  if (likely(passed_ == 0)) {
    live_ = kAllSlots.data();
    live_count_ = count;
    if (likely(chain_.shared_window)) worker_.window.fill_all(count, packets, chain_.header_bytes);
    return;
  }
  live_ = worker_.live;
  for (uint16_t i = 0; i < count; i++) {
    worker_.live[live_count_] = i;
    live_count_ = static_cast<uint16_t>(live_count_ + !worker_.passed[i]);
  }
  if (chain_.shared_window) worker_.window.fill(live_, live_count_, packets, chain_.header_bytes);
}

uint16_t ChainRun::unload(rte_mbuf** packets) {
  if (likely(live_count_ + passed_ == loaded_)) return loaded_;
  uint16_t kept = 0;
  for (uint16_t i = 0; i < loaded_; i++) {
    if (worker_.packets[i] != nullptr) packets[kept++] = worker_.packets[i];
  }
  return kept;
}

const uint16_t* ChainRun::select(const Stage& stage, uint16_t& count) {
  count = live_count_;
  if (likely(!stage.scoped)) return live_;
  const auto in_scope = [&](PortId port) { return port < kMaxPorts && stage.scope[port]; };
  count = 0;
  for (uint16_t i = 0; i < live_count_; i++) {
    const PacketMeta& meta = *meta_of(worker_.packets[live_[i]]);
    if (in_scope(meta.in_port) || in_scope(meta.out_port)) worker_.list[count++] = live_[i];
  }
  return worker_.list;
}

void ChainRun::run(size_t index) {
  index_ = index;
  const Stage& stage = *chain_.stages[index];
  uint16_t count;
  const uint16_t* const list = select(stage, count);
  if (count == 0) return;
  if (likely(stage.plugin->running())) {
    call(stage, list, count);
  } else {
    skip(stage, list, count);
  }
  compact();
}

void ChainRun::skip(const Stage& stage, const uint16_t* list, uint16_t count) {
  if (stage.failure == FailureStrategy::FailOpen) return;
  call_cycles_ = 0;
  for (uint16_t i = 0; i < count; i++) drop(stage, list[i], abi::DropReason::StageFailed);
}

void ChainRun::call(const Stage& stage, const uint16_t* list, uint16_t count) {
  LoadedPlugin::Worker& part = stage.plugin->worker(ctx_.id);
  StageCall first{ctx_,
                  hook_,
                  worker_,
                  flow_slots_,
                  stage,
                  *part.window,
                  *part.instance.load(std::memory_order_acquire),
                  *part.counters,
                  list,
                  count,
                  worker_.next_random()};
  first.settles = chain_.settlers != 0;
  if (stage.scoped) {
    first.window.fill(list, count, worker_.packets, chain_.header_bytes);
  }
  uint16_t later_count = 0;
  if (first.has_flow_slots()) first.load_flow_slots(worker_.list, worker_.later, later_count);
  drop_busy(first);
  finish_call(first);
  if (likely(later_count == 0)) return;

  if (!stage.plugin->running()) return skip(stage, worker_.later, later_count);
  StageCall second{
      ctx_,           hook_,         worker_,     flow_slots_,          stage, first.window, first.instance,
      first.counters, worker_.later, later_count, worker_.next_random()};
  second.settles = first.settles;
  second.load_flow_slots(worker_.list, nullptr, later_count);
  drop_busy(second);
  finish_call(second);
}

void ChainRun::drop_busy(const StageCall& call) {
  if (likely(call.busy_count == 0)) return;
  call_cycles_ = 0;
  for (uint16_t i = 0; i < call.busy_count; i++) drop(call.stage, worker_.busy[i], abi::DropReason::FlowStateBusy);
}

void ChainRun::finish_call(StageCall& call) {
  if (unlikely(call.count == 0)) return;
  const bool done = call.process();
  bump(call.counters.calls);
  bump(call.counters.packets, call.count);
  if (call.counted_cycles != 0) bump(call.counters.cycles, call.counted_cycles);
  call_cycles_ = call.cycles;
  call_count_ = call.count;
  if (unlikely(!done)) return fail(call);
  if (ShadowStage* shadow = call.stage.shadow.load(std::memory_order_acquire); unlikely(shadow != nullptr)) {
    run_shadow(*shadow, call);
  }
  if (call.has_flow_slots()) call.store_flow_slots();
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
  bump(call.counters.failures);
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
    refill_shared(live_, live_count_);
  }
}

void ChainRun::compact() {
  if (likely(!left_)) return;
  uint16_t kept = 0;
  for (uint16_t i = 0; i < live_count_; i++) {
    if (worker_.packets[live_[i]] != nullptr) worker_.live[kept++] = live_[i];
  }
  live_ = worker_.live;
  live_count_ = kept;
  left_ = false;
}

}  // namespace sluice
