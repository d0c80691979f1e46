// Packets that pass a chain without its stages, since all of those have settled the packets' flows.

#include <algorithm>

#include "wasm/chain_run.h"

namespace sluice {

namespace {
constexpr abi::Hook kWayThrough[] = {abi::Hook::PREROUTING, abi::Hook::FORWARD, abi::Hook::POSTROUTING};
}

bool Chain::may_be_passed() const {
  if (settlers == 0 || (settling.load(std::memory_order_relaxed) & settlers) != settlers) return false;
  return std::all_of(stages.begin(), stages.end(), [](const auto& stage) {
    return stage->plugin->running() && stage->shadow.load(std::memory_order_relaxed) == nullptr;
  });
}

void Chain::count_passed(uint16_t worker, uint16_t count) const {
  for (const auto& stage : stages) bump(stage->plugin->worker(worker).counters->settled, count);
}

std::optional<Passage> Pipeline::passage() const {
  Passage passage{settled_.epoch, 0};
  for (const abi::Hook hook : kWayThrough) {
    const Chain& chain = chains_[static_cast<size_t>(hook)];
    if (chain.stages.empty()) continue;
    if (!chain.may_be_passed()) return {};
    passage.stages |= chain.settlers;
  }
  return passage;
}

void Pipeline::count_passed(uint16_t worker, uint16_t count) const {
  for (const abi::Hook hook : kWayThrough) chains_[static_cast<size_t>(hook)].count_passed(worker, count);
}

/// Not while somebody watches what stages do.
bool ChainRun::may_pass() const {
  return ctx_.tracer == nullptr && chain_.may_be_passed();
}

void ChainRun::pass_settled(rte_mbuf** packets, uint16_t count) {
  if (!may_pass()) return;
  settled_.flows->pass(hook_, settled_.epoch, chain_.settlers, packets, count, worker_.passed);
  for (uint16_t i = 0; i < count; i++) passed_ = static_cast<uint16_t>(passed_ + worker_.passed[i]);
  if (passed_ == 0) return;
  chain_.count_passed(ctx_.id, passed_);
}

/// The stage's slot is checked, and the packet's bytes are as it got them.
void ChainRun::settle(const StageCall& call, uint16_t slot, const SlotMeta& meta) {
  if (chain_.settlers == 0) return;
  constexpr auto kReplyChanged = static_cast<uint16_t>(abi::Flag::REPLY_CHANGED);
  const bool stays = meta.verdict == static_cast<uint8_t>(abi::Verdict::PASS) && meta.head == abi::kSlotHeadOffset &&
                     (meta.flags & kReplyChanged) == 0;
  const rte_mbuf* packet = worker_.packets[slot];
  if (!stays || packet->data_len < meta.head_length) return;
  const auto bit = static_cast<uint16_t>(1u << (chain_.first_settler + index_));
  const auto* before = rte_pktmbuf_mtod(packet, const uint8_t*);
  const uint8_t* after = call.window.slot(slot) + abi::kSlotHeadOffset;
  settled_.flows->settle(hook_, settled_.epoch, bit, packet, before, after, meta.head_length);
  if ((chain_.settling.load(std::memory_order_relaxed) & bit) == 0) chain_.settling.fetch_or(bit);
}

}  // namespace sluice
