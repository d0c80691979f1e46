#pragma once

#include <rte_rcu_qsbr.h>
#include <rte_spinlock.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "conntrack/flow_file.h"
#include "conntrack/flow_index.h"
#include "conntrack/flow_record.h"
#include "conntrack/shortcut.h"
#include "conntrack/timeouts.h"
#include "conntrack/transitions.h"
#include "conntrack/translate.h"
#include "core/error.h"
#include "core/reply_tuples.h"
#include "core/settled_flows.h"
#include "core/worker_context.h"

namespace sluice {

struct FlowTableConfig {
  uint32_t max_flows = 262144;
  std::string file;            ///< see FlowFile::open
  uint32_t slot_bytes = 64;    ///< plugins' slots in each flow, all together; a multiple of 8
  bool zone_by_table = false;  ///< flows of different routing tables are apart; else all are in zone 0
  uint16_t workers = 1;        ///< WorkerContext::id is below this
  Timeouts timeouts = default_timeouts();
};

struct FlowCounters {
  // Flows. Created is the sum of the others and of those that live.
  uint64_t created, expired, evicted;
  uint64_t abandoned;  ///< not confirmed: their packet was dropped, or both ends began at once
  uint64_t clashes;    ///< refused for their reply tuple
  uint64_t replaced;   ///< by a new connection between the same ends
  // Packets.
  uint64_t full_drops, invalid;
};

/// A copy of a flow, for status.
struct FlowView {
  uint32_t number;
  FlowKey original, reply;
  FlowState state;
  bool confirmed, seen_reply;
  uint32_t created, last_seen;  ///< s, CLOCK_MONOTONIC
  uint32_t timeout;             ///< s from last_seen
  const uint8_t* slots;         ///< plugins' slots, FlowTableConfig::slot_bytes
  /// By slot index. 0: there is nothing to see in the slot: it was not written, or was being written all the time.
  std::array<uint8_t, kMaxFlowSlots> slot_schema;
};

/// The connections of a node, shared by all workers.
///
/// A burst goes through track_burst() after parse, confirm_burst() when its packets are as they will leave (also those
/// for the node itself, and before a REINPUT parses a packet anew), and settle_burst() at its end, before the worker's
/// quiescent state. Lookups take no lock; a new flow takes one spinlock twice, for its two keys.
///
/// When max_flows live: a new flow takes the place of one that is closing, still opening, or has not seen a reply: the
/// best of 32 sampled ones, or the first found among 128. A flow with traffic in both directions is never evicted.
/// Without a victim the packet is dropped, flow-table-full. A removed flow's number is reused once every worker was
/// quiescent; numbers beyond max_flows bridge that time.
class FlowTable : public SettledFlows, public ReplyTuples {
 public:
  /// `workers` is the variable that every worker registers with; it must outlive the table. `now_ns`: CLOCK_MONOTONIC.
  static Result<std::unique_ptr<FlowTable>> open(const FlowTableConfig& config, rte_rcu_qsbr* workers, uint64_t now_ns);

  // Workers.

  /// Sets each packet's meta.flow, ct_state, ct_direction and confirmed. Packets without room for their flow are
  /// dropped and taken out of the array. Packets with ct_state INVALID or UNTRACKED go on without a flow.
  void track_burst(WorkerContext& context, rte_mbuf** packets, uint16_t& count);
  /// Confirms the flows of packets whose meta.confirmed is not set; a flow that is confirmed gets a new reply tuple by
  /// it, where a stage translates it to another place from now on: the reply tuple is the inverse of the packet's as it
  /// is now, or meta.reply_tuple when meta.reframed. Packets whose reply tuple another flow owns are dropped,
  /// reply-tuple-clash, and taken out of the array, their flow removed.
  void confirm_burst(WorkerContext& context, rte_mbuf** packets, uint16_t& count);
  /// Removes flows that this worker's burst began and nobody confirmed.
  void settle_burst(WorkerContext& context);

  void pass(abi::Hook hook, uint32_t epoch, uint16_t stages, rte_mbuf* const* packets, uint16_t count,
            bool* passed) override;
  void settle(abi::Hook hook, uint32_t epoch, uint16_t stage, const rte_mbuf* packet, const uint8_t* before,
              const uint8_t* after, uint16_t length) override;

  bool source_taken(const rte_mbuf* packet, const SourceEnd& source) const override;

  /// Looks which packets of a tracked burst may go straight to their next hop: those of answered TCP and UDP flows that
  /// all stages of the passage have settled.
  void find_shortcuts(const Passage& passage, rte_mbuf* const* packets, uint16_t count, Shortcut* shortcuts) const;
  /// Where the packet goes (network byte order, in FlowKey's form) once take_shortcut() has translated it.
  std::array<uint8_t, 16> shortcut_destination(const rte_mbuf* packet, const Shortcut& shortcut) const;
  /// Keeps what shortcut.way is now with the flow, unless that changed since the shortcut was found.
  void keep_way(const rte_mbuf* packet, const Shortcut& shortcut);
  /// Does to the packet what the stages would do. False, and the packet unchanged, when the flow changed since the
  /// shortcut was found.
  bool take_shortcut(rte_mbuf* packet, const Shortcut& shortcut) const;

  uint8_t* slots(uint32_t flow) { return reinterpret_cast<uint8_t*>(&record(flow)) + sizeof(FlowRecord); }
  SlotMarks& slot_marks(uint32_t flow) { return record(flow).slot_marks; }

  // Control and housekeeping; one thread at a time, which need not register with the workers' variable.

  /// Looks at the next `max_records` records, removes the expired and gives back numbers that no worker holds any more.
  /// Returns how many it removed.
  size_t age(uint64_t now_ns, size_t max_records);
  void set_timeouts(const Timeouts& timeouts);

  /// Text about the plugins' slots that lies beside the flows, so that it is theirs after a restart too. Longer text
  /// than there is room for is refused.
  std::string slot_registry() const { return file_.header().slot_registry; }
  bool keep_slot_registry(const std::string& text);

  /// Visits a copy of each flow; workers go on meanwhile.
  void for_each(const std::function<void(const FlowView&)>& visit);
  /// The same from the flow with this number on, until `visit` says false.
  void for_each_from(uint32_t first, const std::function<bool(const FlowView&)>& visit);
  /// The number of the flow that owns the key in either direction, or kNoFlow.
  uint32_t find(const FlowKey& key) const;
  uint32_t live() const { return live_.load(std::memory_order_relaxed); }
  uint32_t max_flows() const { return max_flows_; }
  uint32_t numbers() const { return numbers_; }  ///< flow numbers are below this
  FlowCounters counters() const;
  uint32_t restored() const { return restored_; }                   ///< flows found in the file
  const std::string& reset_reason() const { return file_.reason; }  ///< why the file's flows were not kept, or empty

 private:
  /// The number of a removed flow until its grace period is over.
  struct Removed {
    uint64_t token;
    uint32_t number;
  };
  struct alignas(64) Worker {
    static constexpr uint16_t kMaxFresh = 4 * kMaxBurst;
    uint32_t fresh[kMaxFresh];  ///< flows begun in this burst
    uint16_t fresh_count = 0;
    std::atomic<uint64_t> full_drops{0}, invalid{0};
  };
  /// A part of a burst in work.
  struct Chunk;
  enum class Confirmation { Done, Unneeded, Clash };

  FlowTable(const FlowTableConfig& config, rte_rcu_qsbr* workers, FlowFile file, std::unique_ptr<FlowIndex> index);

  FlowRecord& record(uint32_t flow) const {
    return *reinterpret_cast<FlowRecord*>(records_ + size_t{flow} * record_size_);
  }
  uint16_t zone_of(const PacketMeta& meta) const { return zone_by_table_ ? meta.table : 0; }
  uint32_t timeout_of(FlowState state) const {
    return timeouts_[static_cast<size_t>(state)].load(std::memory_order_relaxed);
  }
  bool expired(const FlowRecord& flow, uint32_t now) const;

  void read_keys(rte_mbuf** packets, uint16_t count, Chunk& chunk) const;
  void look_up(Chunk& chunk) const;
  bool track(WorkerContext& context, rte_mbuf* packet, KeyKind kind, uint32_t found, uint32_t now);
  bool begin_flow(WorkerContext& context, rte_mbuf* packet, uint32_t now);
  bool follow_steady(rte_mbuf* packet, uint32_t found, uint32_t now);
  bool follow(WorkerContext& context, rte_mbuf* packet, uint32_t found, uint32_t now);
  void mark_invalid(WorkerContext& context, PacketMeta& meta);
  bool drop_full(WorkerContext& context, rte_mbuf* packet);
  bool read_opposite(const PacketMeta& meta, uint64_t word, FlowKey& opposite) const;
  bool move_settled(abi::Hook hook, rte_mbuf* packet, uint64_t word) const;
  static void unsettle(FlowRecord& flow);
  bool mirrors(uint32_t flow, const FlowKey& original, const FlowKey& reply) const;
  FlowKey leaving_reply(const rte_mbuf* packet, const PacketMeta& meta, const FlowRecord& flow) const;

  // Under the lock.
  uint32_t create(const FlowKey& key, const Transition& first, uint32_t now);
  Confirmation confirm(uint32_t flow, const FlowKey& reply);
  bool evict();
  Confirmation renew_reply(uint32_t flow, const FlowKey& reply);
  void remove(uint32_t flow);
  bool has_free_number() const { return !free_.empty() || file_.header().high_water < numbers_; }
  uint32_t take_free_number();
  void retire(uint32_t number);
  void reclaim();
  void restore(uint32_t now);
  bool restore_flow(uint32_t flow, uint32_t now);

  const uint32_t max_flows_, numbers_, record_size_;
  const bool zone_by_table_;
  FlowFile file_;
  uint8_t* const records_;
  std::unique_ptr<FlowIndex> index_;
  rte_rcu_qsbr* const rcu_;
  std::array<std::atomic<uint32_t>, kFlowStates> timeouts_;
  std::vector<Worker> workers_;
  uint32_t restored_ = 0;
  uint32_t age_cursor_ = 0;

  mutable rte_spinlock_t lock_ = RTE_SPINLOCK_INITIALIZER;
  std::vector<uint32_t> free_;  ///< a stack of numbers below the file's high-water mark
  /// A ring in the order of removal, `numbers_` long. It starts anew when it is empty, so that its pages are not all
  /// touched in time.
  const std::unique_ptr<Removed[]> removed_;
  size_t removed_head_ = 0, removed_count_ = 0;
  uint32_t evict_cursor_ = 0;
  std::atomic<uint32_t> live_{0};
  std::atomic<uint64_t> created_{0}, expired_{0}, evicted_{0}, abandoned_{0}, clashes_{0}, replaced_{0};
};

/// Keeps the reply tuple of the packet as it is now, for confirm_burst(); before a push or pop changes its head.
void freeze_reply_tuple(rte_mbuf* packet);

}  // namespace sluice
