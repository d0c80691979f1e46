#include <algorithm>
#include <cstring>

#include "core/tracer.h"
#include "port/offload.h"
#include "port/port.h"
#include "wasm/chain_run.h"

namespace sluice {

namespace {

constexpr uint16_t kWritten = static_cast<uint16_t>(abi::Flag::WRITTEN);
constexpr uint16_t kReplyChanged = static_cast<uint16_t>(abi::Flag::REPLY_CHANGED);
constexpr uint16_t kSettled = static_cast<uint16_t>(abi::Flag::SETTLED);
constexpr uint16_t kSctpStale = static_cast<uint16_t>(abi::Flag::SCTP_CHECKSUM_STALE);

/// Writes over the packet's first bytes, in as many segments as they lie in.
void overwrite_segments(rte_mbuf* packet, const uint8_t* from, uint16_t size) {
  for (uint16_t done = 0; done < size; packet = packet->next) {
    const uint16_t part = std::min<uint16_t>(packet->data_len, static_cast<uint16_t>(size - done));
    std::memcpy(rte_pktmbuf_mtod(packet, uint8_t*), from + done, part);
    done = static_cast<uint16_t>(done + part);
  }
}

inline void overwrite(rte_mbuf* packet, const uint8_t* from, uint16_t size) {
  if (unlikely(packet->data_len < size)) return overwrite_segments(packet, from, size);
  copy_apart(rte_pktmbuf_mtod(packet, uint8_t*), from, size);
}

/// The stage may have moved the head, but nothing else may have changed about where the packet lies.
bool placement_is_possible(const SlotMeta& meta, uint16_t head_length, uint32_t packet_length, bool may_write) {
  const uint32_t end = abi::kSlotHeadOffset + uint32_t{head_length};
  if (meta.head < abi::kSlotHeadroomOffset || meta.head > end || uint32_t{meta.head} + meta.head_length != end)
    return false;
  if (meta.packet_length != packet_length + abi::kSlotHeadOffset - meta.head || meta.packet_length == 0) return false;
  const bool moved = meta.head != abi::kSlotHeadOffset;
  const bool written = (meta.flags & kWritten) != 0;
  return may_write ? written || !moved : !written && !moved;
}

/// Keeps the L4 header's place, and that of a super-frame's, true when the head moves. Bytes behind the head stay where
/// they are seen from the end.
void shift_offsets(PacketMeta& facts, int32_t push) {
  if (has_flag(facts, abi::Flag::SUPER_FRAME)) {
    const bool wrapped = facts.gso_l4_offset != 0;
    const int32_t l3 = (wrapped ? facts.gso_l3_offset : 0) + push;
    const int32_t l4 = (wrapped ? facts.gso_l4_offset : facts.l4_offset) + push;
    facts.gso_l3_offset = static_cast<uint16_t>(l3 > 0 ? l3 : 0);
    facts.gso_l4_offset = static_cast<uint16_t>(l3 > 0 ? l4 : 0);
  }
  const int32_t l4 = facts.l4_offset + push;
  facts.l4_offset = static_cast<uint16_t>(facts.l4_offset != 0 && l4 > 0 ? l4 : 0);
}

}  // namespace

void ChainRun::commit(StageCall& call) {
  const uint16_t count = call.count;
  const uint16_t* const list = call.list;
  rte_mbuf* const* const packets = worker_.packets;
  Window& window = call.window;
  const bool may_write = call.stage.plugin->manifest().writes;
  for (uint32_t i = count == loaded_ ? window.untouched(count) : 0; i < count; i++) {
    const uint16_t slot = list[i];
    const Window::Change change = window.change(slot);
    if (change.is_none()) continue;
    if (unlikely(!change.is_mark() || !may_write)) {
      commit_changed(call, slot);
      continue;
    }
    if (change.is_written()) {
      overwrite(packets[slot], change.header(), change.head_length());
      meta_of(packets[slot])->rewritten = 1;
    }
    window.unmark(slot);
  }
}

void ChainRun::commit_changed(StageCall& call, uint16_t slot) {
  const SlotMeta meta = call.window.meta(slot);
  rte_mbuf* packet = worker_.packets[slot];
  PacketMeta& facts = *meta_of(packet);
  const bool same_course = facts.table == meta.table && facts.mark == meta.mark;
  facts.table = meta.table;
  facts.mark = meta.mark;
  call.window.set_course(slot, meta.table, meta.mark);
  if (meta.verdict == static_cast<uint8_t>(abi::Verdict::DROP)) return drop_as_told(call, slot, meta.reason);
  const Manifest& manifest = call.stage.plugin->manifest();
  const bool possible = placement_is_possible(meta, call.window.head_length(slot), packet->pkt_len, manifest.writes);
  if (!possible || meta.verdict > static_cast<uint8_t>(abi::Verdict::REPLY)) {
    return drop(call.stage, slot, abi::DropReason::StageInvalidOutput);
  }
  if (meta.verdict == static_cast<uint8_t>(abi::Verdict::REDIRECT) && !redirect(call, slot, meta)) return;
  if ((meta.flags & kSettled) != 0 && same_course) settle(call, slot, meta);
  if ((meta.flags & kWritten) != 0 && !write_back(call, slot, meta)) return;
  const bool original = facts.ct_direction == static_cast<uint8_t>(abi::CtDirection::ORIGINAL);
  if ((meta.flags & kReplyChanged) != 0 && original) facts.confirmed = 0;

  StageCounters& counters = call.counters;
  switch (static_cast<abi::Verdict>(meta.verdict)) {
    case abi::Verdict::REDIRECT:
      output_.redirected[output_.redirected_count++] = packet;
      bump(counters.redirects);
      break;
    case abi::Verdict::REINPUT:
      output_.reinput[output_.reinput_count++] = packet;
      bump(counters.reinputs);
      break;
    case abi::Verdict::REPLY:
      output_.replies[output_.reply_count++] = packet;
      bump(counters.replies);
      break;
    default:
      if (meta.head == abi::kSlotHeadOffset) return call.window.restore(slot);
      return call.window.fill(&slot, 1, worker_.packets, chain_.header_bytes);
  }
  if (unlikely(ctx_.tracer != nullptr)) {
    const auto verdict = static_cast<abi::Verdict>(meta.verdict);
    ctx_.tracer->left_stage(ctx_, call.stage, hook_, verdict, cycles_a_packet(), &packet, 1);
  }
  worker_.packets[slot] = nullptr;
  left_ = true;
}

/// Tells of the packets that stay in the chain.
void ChainRun::tell_passed(const StageCall& call) {
  rte_mbuf* passed[kMaxBurst];
  uint16_t count = 0;
  for (uint16_t i = 0; i < call.count; i++) {
    if (worker_.packets[call.list[i]] != nullptr) passed[count++] = worker_.packets[call.list[i]];
  }
  ctx_.tracer->left_stage(ctx_, call.stage, hook_, abi::Verdict::PASS, cycles_a_packet(), passed, count);
}

bool ChainRun::write_back(StageCall& call, uint16_t slot, const SlotMeta& meta) {
  rte_mbuf* packet = worker_.packets[slot];
  PacketMeta& facts = *meta_of(packet);
  const int32_t push = static_cast<int32_t>(abi::kSlotHeadOffset) - meta.head;
  if (push != 0) {
    if (before_move_ != nullptr) before_move_(packet);
    if (!move_head(packet, push)) {
      drop(call.stage, slot, abi::DropReason::NoBuffer);
      return false;
    }
    shift_offsets(facts, push);
  }
  overwrite(packet, call.window.slot(slot) + meta.head, meta.head_length);
  facts.rewritten = 1;
  if ((meta.flags & kSctpStale) != 0) complete_sctp_checksum(packet);
  if (push == 0) return true;

  // Behind another header nobody would find the field again.
  if (!has_flag(facts, abi::Flag::SUPER_FRAME)) complete_checksum(packet);
  facts.reframed = 1;
  facts.l2_length = 0;  // the link header's place is the packet's now
  const bool parsed_later = meta.verdict == static_cast<uint8_t>(abi::Verdict::REINPUT) ||
                            meta.verdict == static_cast<uint8_t>(abi::Verdict::REPLY);
  if (parsed_later || reparse_ == nullptr || reparse_(packet)) return true;
  drop(call.stage, slot, static_cast<abi::DropReason>(facts.reason));
  return false;
}

bool ChainRun::move_head(rte_mbuf* packet, int32_t push) {
  if (push > 0) return rte_pktmbuf_prepend(packet, static_cast<uint16_t>(push)) != nullptr;
  const auto pop = static_cast<uint16_t>(-push);
  if (packet->data_len < pop && rte_pktmbuf_linearize(packet) != 0) return false;
  return rte_pktmbuf_adj(packet, pop) != nullptr;
}

bool ChainRun::redirect(StageCall& call, uint16_t slot, const SlotMeta& meta) {
  if (ctx_.ports->at(meta.out_port) == nullptr) {
    drop(call.stage, slot, abi::DropReason::StageInvalidOutput);
    return false;
  }
  PacketMeta& facts = *meta_of(worker_.packets[slot]);
  facts.out_port = meta.out_port;
  facts.redirected = 1;
  std::memcpy(facts.next_hop_address, meta.next_hop, sizeof(meta.next_hop));
  return true;
}

void ChainRun::drop_as_told(StageCall& call, uint16_t slot, uint16_t reason) {
  if (reason < abi::PLUGIN_REASON_BASE) {
    const bool known = reason < abi::kDropReasonCount;
    if (reason == 0) return drop(call.stage, slot, abi::DropReason::Unspecified);
    return drop(call.stage, slot, known ? static_cast<abi::DropReason>(reason) : abi::DropReason::StageInvalidOutput);
  }
  LoadedPlugin& plugin = *call.stage.plugin;
  const uint32_t own = reason - abi::PLUGIN_REASON_BASE;
  if (own >= plugin.manifest().drop_reasons.size()) return drop(call.stage, slot, abi::DropReason::StageInvalidOutput);
  bump(plugin.worker(ctx_.id).counters->own_drops[plugin.own_reason(static_cast<uint16_t>(own))]);
  const auto index = static_cast<uint16_t>(own);
  // The worker's counters have no room for plugins' own reasons; there it is a drop that a stage decided on.
  drop(call.stage, slot, abi::DropReason::Policy,
       {reason, plugin.manifest().drop_reasons[own].c_str(), call.stage.config.name,
        call.stage.drop_key + plugin.own_reason_key(index)});
}

void ChainRun::drop(const Stage& stage, uint16_t slot, abi::DropReason reason) {
  bump(stage.plugin->worker(ctx_.id).counters->drops[static_cast<size_t>(reason)]);
  const auto number = static_cast<uint16_t>(reason);
  drop(stage, slot, reason,
       {number, abi::kDropReasonNames[number], stage.config.name, stage.drop_key + drop_key(reason)});
}

void ChainRun::drop(const Stage& stage, uint16_t slot, abi::DropReason reason, const DropCause& cause) {
  rte_mbuf* packet = worker_.packets[slot];
  if (unlikely(ctx_.tracer != nullptr)) ctx_.tracer->refused_by_stage(ctx_, stage, hook_, cycles_a_packet(), packet);
  ctx_.drop(packet, reason, cause);
  worker_.packets[slot] = nullptr;
  left_ = true;
}

}  // namespace sluice
