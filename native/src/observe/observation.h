#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/drop_log.h"
#include "observe/code_map.h"
#include "observe/flow_listing.h"
#include "observe/trace_reader.h"
#include "observe/watcher.h"

namespace sluice {

/// A running node as observers see it. All of it outlives Observation::close().
struct ObservedNode {
  struct Worker {
    std::function<void(Tracer*)> watch;
    pid_t thread;
    const DropLog* drops;
  };
  std::vector<Worker> workers;
  /// Returns when every worker has passed a quiescent state.
  std::function<void()> synchronize;
  FlowTable* flows = nullptr;
  std::function<SlotRegistry()> slots;
  /// The module that runs as the plugin; null: there is no such plugin.
  std::function<std::shared_ptr<const WasmModule>(const std::string& plugin)> module;
};

struct CaptureRequest {
  std::string filter;
  std::vector<std::string> points, ports;
  uint32_t snap_length = 0;
};

struct CapturedFrame {
  uint64_t wall_ns;
  std::string point, port, reason, stage;
  uint32_t length;
  std::vector<uint8_t> bytes;
};

struct CaptureRead {
  std::vector<CapturedFrame> frames;
  uint64_t lost = 0;
};

struct DropTotal {
  std::string stage, reason;
  uint64_t packets = 0;
  uint16_t worker = 0;  ///< of `last`
  LastDrop last;
};

struct ProfileRequest {
  std::string plugin;
  uint32_t duration_ms = 0, hertz = 0;
};

struct ProfileResult {
  uint64_t samples = 0, in_plugin = 0;
  std::string digest;
  std::vector<std::pair<CodeMap::Place, uint64_t>> places;  ///< the most samples first
};

/// What operators watch on a node. Calls come from any thread and are short, but for profile(). Error paths are those
/// of the options: "/filter", "/points/0".
class Observation {
 public:
  explicit Observation(ObservedNode node) : node_(std::move(node)) {}
  ~Observation() { close(); }
  Observation(const Observation&) = delete;
  Observation& operator=(const Observation&) = delete;

  /// Names that there are from now on.
  void set_names(std::set<std::string> ports, std::set<std::string> stages);

  Result<uint32_t> start_trace(const std::string& filter, uint32_t packets);
  Result<TraceRead> read_trace(uint32_t id);
  Result<uint32_t> start_capture(const CaptureRequest& request);
  Result<CaptureRead> read_capture(uint32_t id, uint32_t max);
  /// Ends a trace or a capture.
  Status stop(uint32_t id);

  /// Over all workers and since their start, by stage and reason.
  std::vector<DropTotal> drops();
  std::vector<FlowRow> flows(const FlowQuery& query);
  /// Takes as long as the request says, or until close().
  Result<ProfileResult> profile(const ProfileRequest& request);

  /// Ends all. Workers are watched no more, and the node is not looked at again.
  void close();

 private:
  struct RunningCapture {
    std::shared_ptr<Capture> capture;
    uint64_t lost = 0;  ///< told already
  };

  Result<CapturePoint> read_point(const std::string& text, const std::string& path) const;
  void publish();

  ObservedNode node_;
  std::atomic<bool> closing_{false};
  std::mutex profiling_;  ///< held for a profile's time; taken before mutex_
  std::mutex mutex_;      ///< all below
  bool closed_ = false;
  std::set<std::string> ports_, stages_;
  uint32_t next_id_ = 1;
  uint8_t generation_ = 0;  ///< of the next trace
  std::map<uint32_t, TraceReader> traces_;
  std::map<uint32_t, RunningCapture> captures_;
  std::vector<std::unique_ptr<Watcher>> watchers_;  ///< that workers use now, by worker
};

}  // namespace sluice
