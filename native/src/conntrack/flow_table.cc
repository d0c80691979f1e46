// Life and death of flows: all that happens under the table's lock.
#include "conntrack/flow_table.h"

#include <algorithm>
#include <cstring>

#include "conntrack/flow_lock.h"

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
  auto index = FlowIndex::create(2 * numbers);
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
      removed_(size_t{2} * numbers_) {
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
  for (uint32_t flow = header.high_water; flow < numbers_; flow++)
    free_.push_back(numbers_ - 1 - (flow - header.high_water));
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
  if (found.reply == found.original) return index_->insert(found.original, flow << 1);
  if (index_->find(found.reply) != kNoFlow || !index_->insert(found.original, flow << 1)) return false;
  if (index_->insert(found.reply, flow << 1 | 1)) return true;
  index_->release(found.original.family, index_->remove(found.original));
  return false;
}

uint32_t FlowTable::create(const FlowKey& key, const Transition& first, uint32_t now) {
  if (live_.load(std::memory_order_relaxed) >= max_flows_ && !evict()) return kNoFlow;
  if (removed_count_ >= kReclaimFrom || free_.empty()) reclaim();
  if (free_.empty()) return kNoFlow;
  const uint32_t flow = free_.back();
  FlowRecord& created = record(flow);
  created.original = key;
  created.reply = FlowKey{};
  unsettle(created);
  created.state.store(first.next, std::memory_order_relaxed);
  created.marks.store(first.marks, std::memory_order_relaxed);
  created.created = now;
  created.last_seen.store(now, std::memory_order_relaxed);
  memset(created.slot_schema, 0, sizeof created.slot_schema);
  memset(slots(flow), 0, file_.header().slot_bytes);
  created.life.store(FlowLife::Unconfirmed, std::memory_order_release);
  if (!index_->insert(key, flow << 1)) {
    created.life.store(FlowLife::Free, std::memory_order_relaxed);
    return kNoFlow;
  }
  free_.pop_back();
  file_.header().high_water = std::max(file_.header().high_water, flow + 1);
  live_.store(live_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  bump(created_);
  return flow;
}

FlowTable::Confirmation FlowTable::confirm(uint32_t flow, const FlowKey& reply) {
  FlowRecord& confirmed = record(flow);
  const FlowLife life = confirmed.life.load(std::memory_order_relaxed);
  if (life == FlowLife::Confirmed) return renew_reply(flow, reply);
  const uint32_t owner = index_->find(reply);
  if (owner != kNoFlow && owner >> 1 != flow) {
    // Both ends began at once and each worker met one: the other flow stays, and this packet is its reply.
    const bool mirrored = record(owner >> 1).original == reply && confirmed.original == reply.inverse();
    if (life == FlowLife::Unconfirmed) {
      remove(flow);
      bump(mirrored ? abandoned_ : clashes_);
    }
    return mirrored ? Confirmation::Unneeded : Confirmation::Clash;
  }
  if (life != FlowLife::Unconfirmed) return Confirmation::Unneeded;
  if (owner == kNoFlow && !index_->insert(reply, flow << 1 | 1)) {
    remove(flow);
    bump(clashes_);
    return Confirmation::Clash;
  }
  confirmed.reply = reply;
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
  const bool foreign = owner != kNoFlow && owner >> 1 != flow;
  if (foreign || removed_count_ >= numbers_ || (owner == kNoFlow && !index_->insert(reply, flow << 1 | 1))) {
    bump(clashes_);
    return Confirmation::Clash;
  }
  if (renewed.reply != renewed.original) retire(kNoFlow, renewed.reply.family, {index_->remove(renewed.reply), -1});
  unsettle(renewed);
  renewed.reply = reply;
  return Confirmation::Done;
}

/// Gives back a number (or none: kNoFlow) and places in the index once no worker can hold them any more.
void FlowTable::retire(uint32_t number, uint8_t family, std::array<int32_t, 2> places) {
  Removed& entry = removed_[(removed_head_ + removed_count_) % removed_.size()];
  removed_count_++;
  entry = {rte_rcu_qsbr_start(rcu_), number, {places[0], places[1]}, family};
}

void FlowTable::remove(uint32_t flow) {
  FlowRecord& removed = record(flow);
  const int32_t original = index_->remove(removed.original);
  const bool has_reply_key = removed.reply.family != 0 && removed.reply != removed.original;
  const int32_t reply = has_reply_key ? index_->remove(removed.reply) : -1;
  removed.life.store(FlowLife::Dying, std::memory_order_release);
  retire(flow, removed.original.family, {original, reply});
  live_.store(live_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
}

void FlowTable::reclaim() {
  while (removed_count_ > 0) {
    const Removed& entry = removed_[removed_head_];
    if (rte_rcu_qsbr_check(rcu_, entry.token, false) == 0) return;
    for (const int32_t place : entry.places) index_->release(entry.family, place);
    if (entry.number != kNoFlow) {
      FlowRecord& freed = record(entry.number);
      // A free record holds no plugin's state: whoever looks which schemas are still in use goes over all records.
      memset(freed.slot_schema, 0, sizeof freed.slot_schema);
      freed.life.store(FlowLife::Free, std::memory_order_relaxed);
      free_.push_back(entry.number);
    }
    removed_head_ = (removed_head_ + 1) % removed_.size();
    removed_count_--;
  }
}

size_t FlowTable::age(uint64_t now_ns, size_t max_records) {
  const uint32_t now = seconds_of(now_ns);
  uint32_t used;
  {
    FlowLock guard(lock_);
    used = file_.header().high_water;
  }
  size_t removed = 0;
  for (size_t i = 0; i < max_records && i < used; i++) {
    const uint32_t flow = age_cursor_ < used ? age_cursor_ : 0;
    age_cursor_ = flow + 1;
    const FlowRecord& candidate = record(flow);
    const FlowLife life = candidate.life.load(std::memory_order_acquire);
    if ((life != FlowLife::Confirmed && life != FlowLife::Unconfirmed) || !expired(candidate, now)) continue;
    FlowLock guard(lock_);
    const FlowLife still = candidate.life.load(std::memory_order_relaxed);
    if ((still != FlowLife::Confirmed && still != FlowLife::Unconfirmed) || !expired(candidate, now)) continue;
    remove(flow);
    bump(expired_);
    removed++;
  }
  FlowLock guard(lock_);
  reclaim();
  return removed;
}

}  // namespace sluice
