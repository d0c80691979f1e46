// Packets that pass a chain without its stages, since all of those have settled the packets' flows.

#include <algorithm>

#include "wasm/chain_run.h"

namespace sluice {

/// Not while a stage is out of order, a new version runs beside one, or somebody watches what stages do.
bool ChainRun::may_pass() const {
  if (chain_.settlers == 0 || ctx_.tracer != nullptr) return false;
  if ((chain_.settling.load(std::memory_order_relaxed) & chain_.settlers) != chain_.settlers) return false;
  return std::all_of(chain_.stages.begin(), chain_.stages.end(), [](const auto& stage) {
    return stage->plugin->running() && stage->shadow.load(std::memory_order_relaxed) == nullptr;
  });
}

void ChainRun::pass_settled(rte_mbuf** packets, uint16_t count) {
  if (!may_pass()) return;
  settled_.flows->pass(hook_, settled_.epoch, chain_.settlers, packets, count, worker_.passed);
  for (uint16_t i = 0; i < count; i++) passed_ = static_cast<uint16_t>(passed_ + worker_.passed[i]);
  if (passed_ == 0) return;
  for (const auto& stage : chain_.stages) bump(stage->plugin->worker(ctx_.id).counters->settled, passed_);
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
