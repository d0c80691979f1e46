// Life and death of flows: all that happens under the table's lock.
#include "conntrack/flow_table.h"

#include <algorithm>
#include <cstring>

#include "core/clock.h"
#include "core/lock.h"
#include "core/shared_words.h"

namespace sluice {
namespace {

constexpr uint32_t kMinFlows = 64, kMaxFlows = 1u << 27;
constexpr uint32_t kEvictionSample = 32;   ///< the best of so many
constexpr uint32_t kEvictionSearch = 128;  ///< and so many more are looked at when none will do
constexpr size_t kReclaimFrom = 32;        ///< removed flows that make it worth asking for the grace period's end

/// Numbers beyond max_flows: what workers may still hold of flows that were removed in the last grace period.
uint32_t spare_numbers(uint32_t max_flows) {
  return std::clamp<uint32_t>(max_flows / 16, 1024, 65536);
}

/// A tuple that workers may read meanwhile; what they make of a torn one does not count, see FlowIndex::still() and
/// FlowTable::read_opposite().
void write_key(FlowKey& to, const FlowKey& from) {
  store_words(&to, &from, sizeof to);
}

/// No slot was written. Whoever looks which schemas are in use goes over all records meanwhile.
void clear_schemas(FlowRecord& flow) {
  for (uint8_t& schema : flow.slot_marks.schemas) __atomic_store_n(&schema, uint8_t{0}, __ATOMIC_RELAXED);
}

/// What a process that was killed was writing is not whole: it counts as not written.
void forget_half_written(FlowRecord& flow) {
  for (size_t i = 0; i < kMaxFlowSlots; i++) {
    if ((flow.slot_marks.writes & 1u << i) != 0) flow.slot_marks.schemas[i] = 0;
  }
  flow.slot_marks.writes = 0;
}

/// How well a flow may be spared: 0 not at all.
int eviction_rank(FlowState state, uint16_t marks) {
  switch (state) {
    case FlowState::TcpTimeWait:
    case FlowState::TcpClose:
    case FlowState::TcpLastAck:
    case FlowState::SctpClosed:
    case FlowState::SctpShutdownAckSent:
      return 3;
    case FlowState::TcpFinWait:
    case FlowState::TcpCloseWait:
    case FlowState::SctpShutdownSent:
    case FlowState::SctpShutdownRecd:
      return 2;
    case FlowState::TcpSynSent:
    case FlowState::TcpSynSent2:
    case FlowState::TcpSynRecv:
      return 1;
    default:
      return (marks & flow_mark::kSeenReply) != 0 ? 0 : 1;
  }
}

}  // namespace

Result<std::unique_ptr<FlowTable>> FlowTable::open(const FlowTableConfig& config, rte_rcu_qsbr* workers,
                                                   uint64_t now_ns) {
  if (config.max_flows < kMinFlows || config.max_flows > kMaxFlows) {
    return Error{"flows-out-of-range", "/conntrack/maxFlows",
                 std::to_string(config.max_flows) + " flows; allowed are " + std::to_string(kMinFlows) + " to " +
                     std::to_string(kMaxFlows)};
  }
  const uint32_t numbers = config.max_flows + spare_numbers(config.max_flows);
  auto file = FlowFile::open(config.file, numbers, config.slot_bytes);
  if (!file) return file.error();
  auto index = FlowIndex::create(2 * numbers, file.value().records(), file.value().header().record_size);
  if (!index) return index.error();
  std::unique_ptr<FlowTable> table(new FlowTable(config, workers, std::move(file.value()), std::move(index.value())));
  table->restore(seconds_of(now_ns));
  return table;
}

FlowTable::FlowTable(const FlowTableConfig& config, rte_rcu_qsbr* workers, FlowFile file,
                     std::unique_ptr<FlowIndex> index)
    : max_flows_(config.max_flows),
      numbers_(file.header().numbers),
      record_size_(file.header().record_size),
      zone_by_table_(config.zone_by_table),
      file_(std::move(file)),
      records_(file_.records()),
      index_(std::move(index)),
      rcu_(workers),
      workers_(config.workers),
      removed_(new Removed[numbers_]) {
  set_timeouts(config.timeouts);
  free_.reserve(numbers_);
}

void FlowTable::set_timeouts(const Timeouts& timeouts) {
  for (size_t state = 0; state < kFlowStates; state++)
    timeouts_[state].store(timeouts[state], std::memory_order_relaxed);
}

bool FlowTable::expired(const FlowRecord& flow, uint32_t now) const {
  const bool confirmed = flow.life.load(std::memory_order_relaxed) == FlowLife::Confirmed;
  const FlowState state = confirmed ? flow.state.load(std::memory_order_relaxed) : FlowState::None;
  const auto idle = static_cast<int32_t>(now - flow.last_seen.load(std::memory_order_relaxed));
  return idle > 0 && static_cast<uint32_t>(idle) >= timeout_of(state);
}

// A process that was killed leaves confirmed flows, whose keys were whole before `life` said so, and others, which are
// lost.
void FlowTable::restore(uint32_t now) {
  FlowFileHeader& header = file_.header();
  if (!file_.kept) header.high_water = 0;
  for (uint32_t flow = header.high_water; flow-- > 0;) {
    if (restore_flow(flow, now)) {
      restored_++;
    } else {
      record(flow).life.store(FlowLife::Free, std::memory_order_relaxed);
      free_.push_back(flow);
    }
  }
  live_.store(restored_, std::memory_order_relaxed);
}

bool FlowTable::restore_flow(uint32_t flow, uint32_t now) {
  FlowRecord& found = record(flow);
  if (found.life.load(std::memory_order_relaxed) != FlowLife::Confirmed || restored_ == max_flows_) return false;
  const bool sane = (found.original.family == 4 || found.original.family == 6) &&
                    found.reply.family == found.original.family &&
                    static_cast<size_t>(found.state.load(std::memory_order_relaxed)) < kFlowStates;
  const auto ahead = static_cast<int32_t>(found.last_seen.load(std::memory_order_relaxed) - now);
  if (!sane || ahead > 1 || expired(found, now)) return false;
  if (index_->find(found.original) != kNoFlow) return false;
  unsettle(found);
  forget_half_written(found);
  if (found.reply == found.original) return index_->insert(found.original, flow << 1);
  if (index_->find(found.reply) != kNoFlow || !index_->insert(found.original, flow << 1)) return false;
  if (index_->insert(found.reply, flow << 1 | 1)) return true;
  index_->remove(found.original, flow << 1);
  return false;
}

uint32_t FlowTable::create(const FlowKey& key, const Transition& first, uint32_t now) {
  if (live_.load(std::memory_order_relaxed) >= max_flows_ && !evict()) return kNoFlow;
  if (removed_count_ >= kReclaimFrom || !has_free_number()) reclaim();
  if (!has_free_number()) return kNoFlow;
  const uint32_t flow = take_free_number();
  FlowRecord& created = record(flow);
  created.original = key;
  created.reply = FlowKey{};
  unsettle(created);
  created.state.store(first.next, std::memory_order_relaxed);
  created.marks.store(first.marks, std::memory_order_relaxed);
  created.created = now;
  created.last_seen.store(now, std::memory_order_relaxed);
  clear_schemas(created);
  __atomic_store_n(&created.slot_marks.writes, 0u, __ATOMIC_RELAXED);
  memset(slots(flow), 0, file_.header().slot_bytes);
  created.life.store(FlowLife::Unconfirmed, std::memory_order_release);
  if (!index_->insert(key, flow << 1)) {
    created.life.store(FlowLife::Free, std::memory_order_relaxed);
    free_.push_back(flow);
    return kNoFlow;
  }
  live_.store(live_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  bump(created_);
  return flow;
}

uint32_t FlowTable::take_free_number() {
  if (free_.empty()) return file_.header().high_water++;
  const uint32_t number = free_.back();
  free_.pop_back();
  return number;
}

FlowTable::Confirmation FlowTable::confirm(uint32_t flow, const FlowKey& reply) {
  FlowRecord& confirmed = record(flow);
  const FlowLife life = confirmed.life.load(std::memory_order_relaxed);
  if (life == FlowLife::Confirmed) return renew_reply(flow, reply);
  const uint32_t owner = index_->find(reply);
  if (owner != kNoFlow && owner >> 1 != flow) {
    // Both ends began at once and each worker met one: the other flow stays, and this packet is its reply.
    const bool mirrored = mirrors(owner >> 1, confirmed.original, reply);
    if (life == FlowLife::Unconfirmed) {
      remove(flow);
      bump(mirrored ? abandoned_ : clashes_);
    }
    return mirrored ? Confirmation::Unneeded : Confirmation::Clash;
  }
  if (life != FlowLife::Unconfirmed) return Confirmation::Unneeded;
  confirmed.reply = reply;
  if (owner == kNoFlow && !index_->insert(reply, flow << 1 | 1)) {
    confirmed.reply = FlowKey{};
    remove(flow);
    bump(clashes_);
    return Confirmation::Clash;
  }
  confirmed.life.store(FlowLife::Confirmed, std::memory_order_release);
  return Confirmation::Done;
}

bool FlowTable::evict() {
  const uint32_t used = file_.header().high_water;
  uint32_t victim = kNoFlow, oldest = 0;
  int best = 0;
  for (uint32_t i = 0; i < kEvictionSearch && i < used && (i < kEvictionSample || victim == kNoFlow); i++) {
    const uint32_t flow = evict_cursor_;
    evict_cursor_ = evict_cursor_ + 1 < used ? evict_cursor_ + 1 : 0;
    const FlowRecord& candidate = record(flow);
    if (candidate.life.load(std::memory_order_relaxed) != FlowLife::Confirmed) continue;
    const int rank =
        eviction_rank(candidate.state.load(std::memory_order_relaxed), candidate.marks.load(std::memory_order_relaxed));
    const uint32_t seen = candidate.last_seen.load(std::memory_order_relaxed);
    const bool better = rank > best || (rank == best && rank > 0 && static_cast<int32_t>(seen - oldest) < 0);
    if (!better) continue;
    victim = flow;
    oldest = seen;
    best = rank;
  }
  if (victim == kNoFlow) return false;
  remove(victim);
  bump(evicted_);
  return true;
}

FlowTable::Confirmation FlowTable::renew_reply(uint32_t flow, const FlowKey& reply) {
  FlowRecord& renewed = record(flow);
  if (renewed.reply == reply) return Confirmation::Unneeded;
  const uint32_t owner = index_->find(reply);
  if (owner != kNoFlow && owner >> 1 != flow) {
    bump(clashes_);
    return Confirmation::Clash;
  }
  // Workers compare keys with the tuple while it is written: the index does not lead there meanwhile.
  const FlowKey before = renewed.reply;
  if (before != renewed.original) index_->remove(before, flow << 1 | 1);
  unsettle(renewed);
  write_key(renewed.reply, reply);
  if (owner != kNoFlow || index_->insert(reply, flow << 1 | 1)) return Confirmation::Done;
  // The place that was just given up is free for what was there.
  write_key(renewed.reply, before);
  if (before != renewed.original) index_->insert(before, flow << 1 | 1);
  bump(clashes_);
  return Confirmation::Clash;
}

/// Gives a number back once no worker can hold it any more.
void FlowTable::retire(uint32_t number) {
  removed_[(removed_head_ + removed_count_) % numbers_] = {rte_rcu_qsbr_start(rcu_), number};
  removed_count_++;
}

void FlowTable::remove(uint32_t flow) {
  FlowRecord& removed = record(flow);
  index_->remove(removed.original, flow << 1);
  const bool has_reply_key = removed.reply.family != 0 && removed.reply != removed.original;
  if (has_reply_key) index_->remove(removed.reply, flow << 1 | 1);
  removed.life.store(FlowLife::Dying, std::memory_order_release);
  retire(flow);
  live_.store(live_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
}

void FlowTable::reclaim() {
  while (removed_count_ > 0) {
    const Removed& entry = removed_[removed_head_];
    if (rte_rcu_qsbr_check(rcu_, entry.token, false) == 0) return;
    FlowRecord& freed = record(entry.number);
    clear_schemas(freed);  // a free record holds no plugin's state
    freed.life.store(FlowLife::Free, std::memory_order_relaxed);
    free_.push_back(entry.number);
    removed_head_ = (removed_head_ + 1) % numbers_;
    removed_count_--;
  }
  removed_head_ = 0;
}

size_t FlowTable::age(uint64_t now_ns, size_t max_records) {
  const uint32_t now = seconds_of(now_ns);
  uint32_t used;
  {
    Locked locked(lock_);
    used = file_.header().high_water;
  }
  size_t removed = 0;
  for (size_t i = 0; i < max_records && i < used; i++) {
    const uint32_t flow = age_cursor_ < used ? age_cursor_ : 0;
    age_cursor_ = flow + 1;
    const FlowRecord& candidate = record(flow);
    const FlowLife life = candidate.life.load(std::memory_order_acquire);
    if ((life != FlowLife::Confirmed && life != FlowLife::Unconfirmed) || !expired(candidate, now)) continue;
    Locked locked(lock_);
    const FlowLife still = candidate.life.load(std::memory_order_relaxed);
    if ((still != FlowLife::Confirmed && still != FlowLife::Unconfirmed) || !expired(candidate, now)) continue;
    remove(flow);
    bump(expired_);
    removed++;
  }
  Locked locked(lock_);
  reclaim();
  return removed;
}

}  // namespace sluice
