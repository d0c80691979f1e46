#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "observe/trace.h"

namespace sluice {

/// What happened to a packet at one place; as native/index.d.ts has it.
struct TraceStep {
  struct Rewrite {
    uint32_t offset;
    std::string before, after;  ///< hex
  };
  struct Value {
    std::string name;
    int64_t value;
  };
  std::string kind, detail;
  uint64_t after_ns = 0;
  std::string stage, hook, verdict, reason;  ///< empty: none
  std::vector<Rewrite> rewrites;
  std::vector<Value> values;
  std::optional<uint32_t> cycles;
};

struct TracedPacket {
  uint32_t number = 0;
  uint16_t worker = 0;
  uint64_t wall_ns = 0;
  std::string hex, summary;
  uint32_t length = 0;
  std::vector<TraceStep> steps;
};

struct TraceRead {
  std::vector<TracedPacket> packets;
  uint32_t left = 0;
  uint32_t in_work = 0;
  uint64_t lost = 0;
};

/// Puts the workers' records of a trace together into packets' ways. Control thread.
///
/// A packet's way ends when all that it became was sent, dropped or taken in. Packets that are freed without a word (by
/// a port that goes, say) end after kSilenceNs; one that waits for other fragments, after those would have been given
/// up.
class TraceReader {
 public:
  static constexpr uint64_t kSilenceNs = 5'000'000'000;
  static constexpr uint64_t kFragmentSilenceNs = 65'000'000'000;

  explicit TraceReader(std::shared_ptr<Trace> trace) : trace_(std::move(trace)) {}

  const std::shared_ptr<Trace>& trace() const { return trace_; }
  /// Packets whose way has ended since the last call. `now_tsc`: rte_rdtsc().
  TraceRead read(uint64_t now_tsc);

 private:
  struct Pending {
    std::vector<TraceRecord> records;
    int64_t open = 1;  ///< packets that it is now
    uint64_t last_tsc = 0;
    bool begun = false;
  };

  void drain();
  void add(const TraceRecord& record);
  bool silent(const Pending& pending, uint64_t now_tsc) const;

  std::shared_ptr<Trace> trace_;
  std::map<uint32_t, Pending> pending_;
  uint32_t finished_ = 0;  ///< numbers below this, and not pending, are over
};

/// The way of a packet whose records are all there. `timed_out`: it ended in silence.
TracedPacket tell_way(std::vector<TraceRecord> records, bool timed_out);

/// "IPv4 10.0.0.1 > 10.0.0.2 protocol 6, 60 bytes", or of a frame that is no IP packet its ethertype and addresses.
std::string summarize(const uint8_t* bytes, uint32_t shown, uint32_t length);

}  // namespace sluice
