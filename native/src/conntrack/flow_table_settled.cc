// What stages have settled of flows, and packets that pass by it.
#include <netinet/in.h>
#include <rte_branch_prediction.h>
#include <rte_prefetch.h>

#include <cstring>

#include "conntrack/flow_table.h"
#include "conntrack/translate.h"
#include "core/lock.h"
#include "core/shared_words.h"

namespace sluice {

namespace {

// FlowRecord::settled, of one direction: bits 0 to 9: two for each hook, source and destination are replaced there;
// 16 to 31: stages that have settled; 32 to 63: the epoch.
constexpr unsigned kStagesAt = 16, kEpochAt = 32;
constexpr uint64_t kBitsOfEpoch = (uint64_t{1} << kEpochAt) - 1;

constexpr uint64_t move_bit(abi::Hook hook, PacketEnd end) {
  return uint64_t{1} << (2 * static_cast<unsigned>(hook) + static_cast<unsigned>(end));
}

constexpr uint64_t moves_of(PacketEnd end) {
  return move_bit(abi::Hook::PREROUTING, end) | move_bit(abi::Hook::FORWARD, end) |
         move_bit(abi::Hook::POSTROUTING, end);
}
/// Of a packet that is forwarded.
constexpr uint64_t kSourceMoves = moves_of(PacketEnd::Source), kDestinationMoves = moves_of(PacketEnd::Destination);

/// A packet whose flow is confirmed and answered, as the flow knows it: not wrapped by a stage.
bool is_of_established_flow(const PacketMeta& meta) {
  return meta.flow != 0 && meta.confirmed && !meta.reframed &&
         meta.ct_state == static_cast<uint8_t>(abi::CtState::ESTABLISHED);
}

struct End {
  const uint8_t* address;
  uint16_t port;
};

/// Where a packet that comes in with one tuple of its flow goes, or comes from, in the end: the inverse of the other.
End translated(const FlowKey& opposite, PacketEnd end) {
  if (end == PacketEnd::Source) return {opposite.destination.data(), opposite.destination_port};
  return {opposite.source.data(), opposite.source_port};
}

void move_end(uint8_t* ip, const PacketMeta& meta, PacketEnd end, const FlowKey& opposite) {
  const End to = translated(opposite, end);
  translate_end(ip, meta, end, to.address, to.port);
}

/// Bytes from the L3 header on that hold the addresses, ports and checksums.
uint32_t translated_bytes(const PacketMeta& meta) {
  constexpr uint32_t kTcpChecksumEnd = 18, kUdpChecksumEnd = 8;
  return meta.l4_offset + (meta.protocol == IPPROTO_TCP ? kTcpChecksumEnd : kUdpChecksumEnd);
}

bool same_end(const uint8_t* one, const uint8_t* other, const PacketMeta& meta, PacketEnd end) {
  const bool source = end == PacketEnd::Source;
  const size_t size = meta.family == 4 ? 4 : 16;
  const size_t address = meta.family == 4 ? (source ? 12 : 16) : (source ? 8 : 24);
  const size_t port = meta.l4_offset + (source ? 0u : 2u);
  return std::memcmp(one + address, other + address, size) == 0 && std::memcmp(one + port, other + port, 2) == 0;
}

}  // namespace

void FlowTable::pass(abi::Hook hook, uint32_t epoch, uint16_t stages, rte_mbuf* const* packets, uint16_t count,
                     bool* passed) {
  const uint64_t wanted = uint64_t{epoch} << kEpochAt | uint64_t{stages} << kStagesAt;
  const uint64_t mask = ~kBitsOfEpoch | uint64_t{stages} << kStagesAt;
  const uint64_t moves = move_bit(hook, PacketEnd::Source) | move_bit(hook, PacketEnd::Destination);
  uint16_t moving[kMaxBurst];
  uint64_t words[kMaxBurst];
  uint16_t moving_count = 0;
  for (uint16_t i = 0; i < count; i++) {
    const PacketMeta& meta = *meta_of(packets[i]);
    passed[i] = false;
    if (!is_of_established_flow(meta)) continue;
    const FlowRecord& flow = record(meta.flow - 1);
    const uint64_t word = flow.settled[meta.ct_direction].load(std::memory_order_acquire);
    if ((word & mask) != wanted) continue;
    if ((word & moves) == 0) {
      passed[i] = true;
      continue;
    }
    if (!is_translatable(meta) || packets[i]->data_len < translated_bytes(meta)) continue;
    rte_prefetch0(meta.ct_direction == 0 ? &flow.reply : &flow.original);
    words[moving_count] = word;
    moving[moving_count++] = i;
  }
  for (uint16_t i = 0; i < moving_count; i++) {
    passed[moving[i]] = move_settled(hook, packets[moving[i]], words[i]);
  }
}

/// The tuple of the direction opposite to the packet's. False when the flow got another reply tuple meanwhile: its
/// stages are asked again.
bool FlowTable::read_opposite(const PacketMeta& meta, uint64_t word, FlowKey& opposite) const {
  const FlowRecord& flow = record(meta.flow - 1);
  load_words(&opposite, meta.ct_direction == 0 ? &flow.reply : &flow.original, sizeof opposite);
  // renew_reply() takes the word away before it writes the tuple.
  std::atomic_thread_fence(std::memory_order_acquire);
  return flow.settled[meta.ct_direction].load(std::memory_order_relaxed) == word;
}

bool FlowTable::move_settled(abi::Hook hook, rte_mbuf* packet, uint64_t word) const {
  PacketMeta& meta = *meta_of(packet);
  FlowKey opposite;
  if (!read_opposite(meta, word, opposite)) return false;
  uint8_t* const ip = rte_pktmbuf_mtod(packet, uint8_t*);
  if ((word & move_bit(hook, PacketEnd::Source)) != 0) move_end(ip, meta, PacketEnd::Source, opposite);
  if ((word & move_bit(hook, PacketEnd::Destination)) != 0) {
    move_end(ip, meta, PacketEnd::Destination, opposite);
    meta.rewritten = 1;
  }
  return true;
}

void FlowTable::find_shortcuts(const Passage& passage, rte_mbuf* const* packets, uint16_t count,
                               Shortcut* shortcuts) const {
  const uint64_t stages = uint64_t{passage.stages} << kStagesAt;
  const uint64_t wanted = stages != 0 ? uint64_t{passage.epoch} << kEpochAt | stages : 0;
  const uint64_t mask = stages != 0 ? ~kBitsOfEpoch | stages : 0;
  const uint64_t moves = stages != 0 ? kSourceMoves | kDestinationMoves : 0;
  for (uint16_t i = 0; i < count; i++) {
    const PacketMeta& meta = *meta_of(packets[i]);
    shortcuts[i].found = false;
    if (unlikely(!is_of_established_flow(meta) || !is_translatable(meta))) continue;
    const FlowRecord& flow = record(meta.flow - 1);
    const uint64_t word = flow.settled[meta.ct_direction].load(std::memory_order_acquire);
    if (unlikely((word & mask) != wanted)) continue;
    if ((word & moves) != 0) {
      if (unlikely(packets[i]->data_len < translated_bytes(meta))) continue;
    }
    const bool source = (word & moves & kSourceMoves) != 0, destination = (word & moves & kDestinationMoves) != 0;
    const Way way = Way::of(flow.way[meta.ct_direction].load(std::memory_order_relaxed));
    shortcuts[i] = {true, source, destination, word, way};
  }
}

std::array<uint8_t, 16> FlowTable::shortcut_destination(const rte_mbuf* packet, const Shortcut& shortcut) const {
  const PacketMeta& meta = *meta_of(const_cast<rte_mbuf*>(packet));
  std::array<uint8_t, 16> address{};
  if (shortcut.moves_destination) {
    // What is torn is not kept.
    const FlowRecord& flow = record(meta.flow - 1);
    load_words(address.data(),
               translated(meta.ct_direction == 0 ? flow.reply : flow.original, PacketEnd::Destination).address,
               address.size());
  } else {
    const auto* ip = rte_pktmbuf_mtod(packet, const uint8_t*);
    std::memcpy(address.data(), ip + (meta.family == 4 ? 16 : 24), meta.family == 4 ? 4 : 16);
  }
  return address;
}

void FlowTable::keep_way(const rte_mbuf* packet, const Shortcut& shortcut) {
  const PacketMeta& meta = *meta_of(const_cast<rte_mbuf*>(packet));
  FlowRecord& flow = record(meta.flow - 1);
  // Off the common path: once for each flow, direction and configuration of the node.
  Locked locked(lock_);
  if (flow.life.load(std::memory_order_relaxed) != FlowLife::Confirmed) return;
  if (flow.settled[meta.ct_direction].load(std::memory_order_relaxed) != shortcut.settled) return;
  flow.way[meta.ct_direction].store(shortcut.way.word(), std::memory_order_relaxed);
}

bool FlowTable::take_shortcut(rte_mbuf* packet, const Shortcut& shortcut) const {
  if (!shortcut.moves_source && !shortcut.moves_destination) return true;
  const PacketMeta& meta = *meta_of(packet);
  uint8_t* const ip = rte_pktmbuf_mtod(packet, uint8_t*);
  FlowKey opposite;
  if (!read_opposite(meta, shortcut.settled, opposite)) return false;
  if (shortcut.moves_source) move_end(ip, meta, PacketEnd::Source, opposite);
  if (shortcut.moves_destination) move_end(ip, meta, PacketEnd::Destination, opposite);
  return true;
}

void FlowTable::settle(abi::Hook hook, uint32_t epoch, uint16_t stage, const rte_mbuf* packet, const uint8_t* before,
                       const uint8_t* after, uint16_t length) {
  const PacketMeta& meta = *meta_of(const_cast<rte_mbuf*>(packet));
  if (!is_of_established_flow(meta)) return;
  FlowRecord& flow = record(meta.flow - 1);
  std::atomic<uint64_t>& settled = flow.settled[meta.ct_direction];
  uint64_t word = settled.load(std::memory_order_relaxed);
  if (word >> kEpochAt == epoch && (word & uint64_t{stage} << kStagesAt) != 0) return;
  uint64_t moves = 0;
  if (std::memcmp(before, after, length) != 0) {
    if (!is_translatable(meta) || length < translated_bytes(meta) || length > abi::kSlotHeadBytesMax) return;
    FlowKey opposite;
    {
      // Off the common path: once for each flow, direction and stage.
      Locked locked(lock_);
      opposite = meta.ct_direction == 0 ? flow.reply : flow.original;
    }
    uint8_t expected[abi::kSlotHeadBytesMax];
    std::memcpy(expected, before, length);
    for (const PacketEnd end : {PacketEnd::Source, PacketEnd::Destination}) {
      if (same_end(before, after, meta, end)) continue;
      move_end(expected, meta, end, opposite);
      moves |= move_bit(hook, end);
    }
    if (moves == 0 || std::memcmp(expected, after, length) != 0) return;
  }
  uint64_t next;
  do {
    const uint64_t kept = word >> kEpochAt == epoch ? word : uint64_t{epoch} << kEpochAt;
    next = kept | uint64_t{stage} << kStagesAt | moves;
  } while (!settled.compare_exchange_weak(word, next, std::memory_order_release));
}

void FlowTable::unsettle(FlowRecord& flow) {
  for (auto& settled : flow.settled) settled.store(0, std::memory_order_relaxed);
  for (auto& way : flow.way) way.store(0, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
}

}  // namespace sluice
