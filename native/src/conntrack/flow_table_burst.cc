// What workers do with each burst.
#include <netinet/in.h>
#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_prefetch.h>

#include <algorithm>
#include <cstring>

#include "conntrack/flow_table.h"
#include "conntrack/translate.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/unaligned.h"

namespace sluice {
namespace {

/// Sequence numbers wrap around (RFC 9293 section 3.4).
bool before(uint32_t a, uint32_t b) {
  return static_cast<int32_t>(a - b) < 0;
}

constexpr uint64_t kFamily4 = uint64_t{4} << 40;  ///< in an IndexKey4's second word

constexpr uint16_t ack_mark(unsigned direction) {
  return static_cast<uint16_t>(flow_mark::kAckOriginal << direction);
}

/// A reset must not lie before what its receiver has acknowledged (RFC 5961 section 3, as far as one side's view
/// allows).
bool reset_in_window(const FlowRecord& flow, uint16_t marks, unsigned direction, const uint8_t* tcp) {
  const unsigned other = 1 - direction;
  if ((marks & ack_mark(other)) == 0) return true;
  return !before(read32(tcp + 4), flow.max_ack[other].load(std::memory_order_relaxed));
}

void note_ack(FlowRecord& flow, uint16_t marks, unsigned direction, const uint8_t* tcp) {
  if ((tcp[13] & (tcp_flag::kAck | tcp_flag::kRst)) != tcp_flag::kAck) return;
  const uint32_t ack = read32(tcp + 8);
  if ((marks & ack_mark(direction)) == 0) {
    flow.max_ack[direction].store(ack, std::memory_order_relaxed);
    flow.marks.fetch_or(ack_mark(direction), std::memory_order_relaxed);
  } else if (before(flow.max_ack[direction].load(std::memory_order_relaxed), ack)) {
    flow.max_ack[direction].store(ack, std::memory_order_relaxed);
  }
}

/// Type of the first chunk behind the common header; 255 (reserved) when there is none.
uint8_t first_chunk(const rte_mbuf* packet, const PacketMeta& meta) {
  const uint32_t at = meta.l4_offset + 12u;
  return at < packet->data_len ? *rte_pktmbuf_mtod_offset(packet, const uint8_t*, at) : 255;
}

Transition transition_of(const rte_mbuf* packet, const PacketMeta& meta, const FlowRecord* flow, FlowState state,
                         uint16_t marks, abi::CtDirection direction) {
  const bool reply = direction == abi::CtDirection::REPLY;
  switch (meta.protocol) {
    case IPPROTO_TCP: {
      const uint8_t* tcp = rte_pktmbuf_mtod_offset(packet, const uint8_t*, meta.l4_offset);
      const bool reset = (tcp[13] & tcp_flag::kRst) != 0;
      const bool in_window =
          flow == nullptr || !reset || reset_in_window(*flow, marks, static_cast<unsigned>(direction), tcp);
      return tcp_transition(state, marks, direction, tcp[13], in_window);
    }
    case IPPROTO_SCTP:
      return sctp_transition(state, marks, direction, first_chunk(packet, meta));
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE: {
      const bool answered = (marks & flow_mark::kSeenReply) != 0 && !reply;
      return {Transition::Accept, answered || state == FlowState::UdpStream ? FlowState::UdpStream : FlowState::Udp,
              marks};
    }
    case IPPROTO_ICMP:
      return {Transition::Accept, FlowState::Icmp, marks};
    case IPPROTO_ICMPV6:
      return {Transition::Accept, FlowState::Icmpv6, marks};
    default:
      return {Transition::Accept, FlowState::Generic, marks};
  }
}

/// Workers may meet packets of one flow at once: a transition counts only for the state that it was computed from.
Transition advance(FlowRecord& flow, const rte_mbuf* packet, const PacketMeta& meta, abi::CtDirection direction) {
  FlowState state = flow.state.load(std::memory_order_relaxed);
  uint16_t marks;
  Transition step;
  do {
    marks = flow.marks.load(std::memory_order_relaxed);
    step = transition_of(packet, meta, &flow, state, marks, direction);
    if (step.verdict != Transition::Accept) return step;
  } while (unlikely(step.next != state) &&
           !flow.state.compare_exchange_weak(state, step.next, std::memory_order_relaxed));
  if (direction == abi::CtDirection::REPLY) step.marks |= flow_mark::kSeenReply;
  if (unlikely(step.marks != marks)) {
    flow.marks.fetch_or(step.marks, std::memory_order_relaxed);
    const auto cleared = static_cast<uint16_t>(marks & ~step.marks);
    if (cleared != 0) flow.marks.fetch_and(static_cast<uint16_t>(~cleared), std::memory_order_relaxed);
  }
  return step;
}

}  // namespace

struct FlowTable::Chunk {
  IndexKey4 keys4[FlowIndex::kBulk];
  FlowKey keys6[FlowIndex::kBulk];
  uint8_t at4[FlowIndex::kBulk], at6[FlowIndex::kBulk];  ///< the packet that each key is of
  uint16_t count4 = 0, count6 = 0;
  KeyKind* kinds;   ///< by packet
  uint32_t* found;  ///< by packet
};

void FlowTable::read_keys(rte_mbuf** packets, uint16_t count, Chunk& chunk) const {
  for (uint16_t i = 0; i < count; i++) {
    const PacketMeta& meta = *meta_of(packets[i]);
    const uint8_t* ip = rte_pktmbuf_mtod(packets[i], const uint8_t*);
    chunk.found[i] = kNoFlow;
    // The common case, as read_flow_key() and index_key4() would have it.
    if (likely(meta.family == 4 && has_ports_in_place(meta) && ip[16] < 224)) {
      IndexKey4& key = chunk.keys4[chunk.count4];
      memcpy(&key.words[0], ip + 12, 8);
      key.words[1] =
          load32(ip + meta.l4_offset) | uint64_t{meta.protocol} << 32 | kFamily4 | uint64_t{zone_of(meta)} << 48;
      chunk.kinds[i] = KeyKind::Flow;
      chunk.at4[chunk.count4++] = static_cast<uint8_t>(i);
      continue;
    }
    FlowKey& key = chunk.keys6[chunk.count6];
    chunk.kinds[i] = read_flow_key(packets[i], meta, zone_of(meta), key);
    if (chunk.kinds[i] == KeyKind::Untracked || chunk.kinds[i] == KeyKind::Invalid) continue;
    if (key.family == 4) {
      chunk.keys4[chunk.count4] = index_key4(key);
      chunk.at4[chunk.count4++] = static_cast<uint8_t>(i);
    } else {
      chunk.at6[chunk.count6++] = static_cast<uint8_t>(i);
    }
  }
}

void FlowTable::look_up(Chunk& chunk) const {
  uint32_t found[FlowIndex::kBulk];
  if (chunk.count4 > 0) {
    index_->find_bulk4(chunk.keys4, chunk.count4, found);
    for (uint16_t i = 0; i < chunk.count4; i++) chunk.found[chunk.at4[i]] = found[i];
  }
  if (chunk.count6 > 0) {
    index_->find_bulk6(chunk.keys6, chunk.count6, found);
    for (uint16_t i = 0; i < chunk.count6; i++) chunk.found[chunk.at6[i]] = found[i];
  }
}

void FlowTable::track_burst(WorkerContext& context, rte_mbuf** packets, uint16_t& count) {
  const uint32_t now = seconds_of(context.now_ns);
  KeyKind kinds[kMaxBurst];
  uint32_t found[kMaxBurst];
  // All lookups come first, so that the records are on their way from memory meanwhile.
  for (uint16_t first = 0; first < count; first = static_cast<uint16_t>(first + FlowIndex::kBulk)) {
    const uint16_t part = std::min<uint16_t>(FlowIndex::kBulk, static_cast<uint16_t>(count - first));
    Chunk chunk;
    chunk.kinds = kinds + first;
    chunk.found = found + first;
    read_keys(packets + first, part, chunk);
    look_up(chunk);
    for (uint16_t i = first; i < first + part; i++) {
    }
  }
  uint16_t kept = 0;
  for (uint16_t i = 0; i < count; i++) {
    rte_mbuf* packet = packets[i];
    const bool steady = kinds[i] == KeyKind::Flow && found[i] != kNoFlow && follow_steady(packet, found[i], now);
    if (likely(steady || track(context, packet, kinds[i], found[i], now))) packets[kept++] = packet;
  }
  count = kept;
}

void FlowTable::mark_invalid(WorkerContext& context, PacketMeta& meta) {
  meta.flow = 0;
  meta.ct_state = static_cast<uint8_t>(abi::CtState::INVALID);
  meta.ct_direction = 0;
  bump(workers_[context.id].invalid);
}

bool FlowTable::drop_full(WorkerContext& context, rte_mbuf* packet) {
  bump(workers_[context.id].full_drops);
  context.drop(packet, abi::DropReason::FlowTableFull);
  return false;
}

/// False when the packet was dropped.
bool FlowTable::track(WorkerContext& context, rte_mbuf* packet, KeyKind kind, uint32_t found, uint32_t now) {
  PacketMeta& meta = *meta_of(packet);
  meta.flow = 0;
  meta.ct_state = static_cast<uint8_t>(abi::CtState::UNTRACKED);
  meta.ct_direction = 0;
  meta.confirmed = 1;
  if (found != kNoFlow && record(found >> 1).life.load(std::memory_order_acquire) == FlowLife::Dying) found = kNoFlow;
  switch (kind) {
    case KeyKind::Flow:
      return likely(found != kNoFlow) ? follow(context, packet, found, now) : begin_flow(context, packet, now);
    case KeyKind::Answer:
      if (found != kNoFlow) return follow(context, packet, found, now);
      break;
    case KeyKind::Error:
      if (found == kNoFlow) break;
      meta.flow = (found >> 1) + 1;
      meta.ct_direction = found & 1;
      meta.ct_state = static_cast<uint8_t>(abi::CtState::RELATED);
      return true;
    case KeyKind::Untracked:
      return true;
    case KeyKind::Invalid:
      break;
  }
  mark_invalid(context, meta);
  return true;
}

/// What follow() does for most packets: those that leave the state of their confirmed and answered flow as it is. False
/// when the packet is another one, and nothing was done.
inline bool FlowTable::follow_steady(rte_mbuf* packet, uint32_t found, uint32_t now) {
  PacketMeta& meta = *meta_of(packet);
  FlowRecord& flow = record(found >> 1);
  const uint16_t marks = flow.marks.load(std::memory_order_relaxed);
  const FlowState state = flow.state.load(std::memory_order_relaxed);
  if (unlikely(flow.life.load(std::memory_order_acquire) != FlowLife::Confirmed)) return false;
  if (unlikely((marks & flow_mark::kSeenReply) == 0)) return false;
  if (state == FlowState::TcpEstablished) {
    const uint8_t* tcp = rte_pktmbuf_mtod_offset(packet, const uint8_t*, meta.l4_offset);
    if (!is_plain_ack(tcp[13])) return false;
    note_ack(flow, marks, found & 1, tcp);
  } else if (unlikely(state != FlowState::UdpStream)) {
    return false;
  }
  if (unlikely(flow.last_seen.load(std::memory_order_relaxed) != now)) {
    flow.last_seen.store(now, std::memory_order_relaxed);
  }
  meta.flow = (found >> 1) + 1;
  meta.ct_state = static_cast<uint8_t>(abi::CtState::ESTABLISHED);
  meta.ct_direction = static_cast<uint8_t>(found & 1);
  meta.confirmed = 1;
  return true;
}

bool FlowTable::follow(WorkerContext& context, rte_mbuf* packet, uint32_t found, uint32_t now) {
  PacketMeta& meta = *meta_of(packet);
  FlowRecord& flow = record(found >> 1);
  const unsigned direction = found & 1;
  const Transition step = advance(flow, packet, meta, static_cast<abi::CtDirection>(direction));
  if (unlikely(step.verdict == Transition::Reopen)) {
    {
      Locked locked(lock_);
      if (flow.life.load(std::memory_order_relaxed) != FlowLife::Dying) {
        remove(found >> 1);
        bump(replaced_);
      }
    }
    return begin_flow(context, packet, now);
  }
  if (unlikely(step.verdict == Transition::Invalid)) {
    mark_invalid(context, meta);
    return true;
  }
  if (meta.protocol == IPPROTO_TCP) {
    note_ack(flow, step.marks, direction, rte_pktmbuf_mtod_offset(packet, const uint8_t*, meta.l4_offset));
  }
  if (unlikely(flow.last_seen.load(std::memory_order_relaxed) != now)) {
    flow.last_seen.store(now, std::memory_order_relaxed);
  }
  const bool answered = (step.marks & flow_mark::kSeenReply) != 0;
  meta.flow = (found >> 1) + 1;
  meta.ct_direction = static_cast<uint8_t>(direction);
  meta.ct_state = static_cast<uint8_t>(answered ? abi::CtState::ESTABLISHED : abi::CtState::NEW);
  meta.confirmed = flow.life.load(std::memory_order_relaxed) == FlowLife::Confirmed;
  return true;
}

bool FlowTable::begin_flow(WorkerContext& context, rte_mbuf* packet, uint32_t now) {
  PacketMeta& meta = *meta_of(packet);
  Worker& worker = workers_[context.id];
  FlowKey key;
  if (read_flow_key(packet, meta, zone_of(meta), key) != KeyKind::Flow) {
    mark_invalid(context, meta);
    return true;
  }
  const Transition first = transition_of(packet, meta, nullptr, FlowState::None, 0, abi::CtDirection::ORIGINAL);
  uint32_t found, flow = kNoFlow;
  {
    Locked locked(lock_);
    found = index_->find(key);
    if (found == kNoFlow && first.verdict == Transition::Accept && worker.fresh_count < Worker::kMaxFresh) {
      flow = create(key, first, now);
    }
  }
  // An earlier packet of this burst, or another worker, began it.
  if (found != kNoFlow) return follow(context, packet, found, now);
  if (first.verdict != Transition::Accept) {
    mark_invalid(context, meta);
    return true;
  }
  if (flow == kNoFlow) return drop_full(context, packet);
  if (meta.protocol == IPPROTO_TCP) {
    note_ack(record(flow), first.marks, 0, rte_pktmbuf_mtod_offset(packet, const uint8_t*, meta.l4_offset));
  }
  worker.fresh[worker.fresh_count++] = flow;
  meta.flow = flow + 1;
  meta.ct_direction = 0;
  meta.ct_state = static_cast<uint8_t>(abi::CtState::NEW);
  meta.confirmed = 0;
  return true;
}

FlowKey FlowTable::leaving_reply(const rte_mbuf* packet, const PacketMeta& meta, const FlowRecord& flow) const {
  const uint16_t zone = flow.original.zone;
  FlowKey key;
  if (meta.reframed) {
    memcpy(&key, meta.reply_tuple, sizeof key);
    key.zone = zone;
    if (key.family != 0) return key;
  } else if (read_flow_key(packet, meta, zone, key) == KeyKind::Flow) {
    return key.inverse();
  }
  return flow.original.inverse();
}

/// This flow is another one's mirror image: both ends began at once.
bool FlowTable::mirrors(uint32_t flow, const FlowKey& original, const FlowKey& reply) const {
  return record(flow).original == reply && original == reply.inverse();
}

bool FlowTable::source_taken(const rte_mbuf* packet, const SourceEnd& source) const {
  const PacketMeta& meta = *meta_of(const_cast<rte_mbuf*>(packet));
  if (meta.flow == 0 || meta.reframed || meta.ct_direction != 0) return false;
  const FlowKey& original = record(meta.flow - 1).original;
  FlowKey key;
  if (read_flow_key(packet, meta, original.zone, key) != KeyKind::Flow) return false;
  key.source = source.address(key.family);
  key.source_port = rte_cpu_to_be_16(source.port);
  const FlowKey reply = key.inverse();
  const uint32_t owner = index_->find(reply);
  return owner != kNoFlow && owner >> 1 != meta.flow - 1 && !mirrors(owner >> 1, original, reply);
}

void FlowTable::confirm_burst(WorkerContext& context, rte_mbuf** packets, uint16_t& count) {
  uint16_t kept = 0;
  for (uint16_t i = 0; i < count; i++) {
    rte_mbuf* packet = packets[i];
    PacketMeta& meta = *meta_of(packet);
    if (unlikely(meta.confirmed == 0 && meta.flow != 0)) {
      const uint32_t flow = meta.flow - 1;
      const FlowKey reply = leaving_reply(packet, meta, record(flow));
      Confirmation confirmation;
      {
        Locked locked(lock_);
        confirmation = confirm(flow, reply);
      }
      if (confirmation == Confirmation::Clash) {
        context.drop(packet, abi::DropReason::ReplyTupleClash);
        continue;
      }
      meta.confirmed = 1;
    }
    packets[kept++] = packet;
  }
  count = kept;
}

void FlowTable::settle_burst(WorkerContext& context) {
  Worker& worker = workers_[context.id];
  if (likely(worker.fresh_count == 0)) return;
  Locked locked(lock_);
  for (uint16_t i = 0; i < worker.fresh_count; i++) {
    const uint32_t flow = worker.fresh[i];
    if (record(flow).life.load(std::memory_order_relaxed) != FlowLife::Unconfirmed) continue;
    remove(flow);
    bump(abandoned_);
  }
  worker.fresh_count = 0;
}

void freeze_reply_tuple(rte_mbuf* packet) {
  PacketMeta& meta = *meta_of(packet);
  static_assert(sizeof(FlowKey) == sizeof meta.reply_tuple);
  FlowKey key;
  // Family 0 makes confirm_burst() take the original tuple's inverse.
  const FlowKey reply = read_flow_key(packet, meta, 0, key) == KeyKind::Flow ? key.inverse() : FlowKey{};
  memcpy(meta.reply_tuple, &reply, sizeof reply);
}

}  // namespace sluice
