#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/eal.h"
#include "core/error.h"
#include "observe/observation.h"

namespace sluice {

struct StartOptions {
  EalOptions eal;
  uint16_t workers = 1;
  std::vector<int> worker_cores;  ///< empty: not pinned
  std::string state_dir;
  std::string cache_dir;
  uint32_t buffers = 16384;
  uint32_t jumbos = 512;
  bool busy_poll = false;
  bool keep_taps = false;  ///< TAPs in other namespaces stay when it stops, for the next start
};

/// A node's dataplane: workers, ports, routes, flows, stages. Every call may come from any thread; they are taken one
/// at a time. Texts are JSON as native/index.d.ts describes them.
class Dataplane {
 public:
  /// Starts DPDK and the workers; once a process.
  static Result<std::unique_ptr<Dataplane>> start(const StartOptions& options);
  ~Dataplane();

  /// The line that says what memory is used, and whether it is hugepages.
  const EalInfo& memory() const;

  /// Checks and compiles a module (or finds it in the cache). Returns its manifest.
  Result<std::string> add_module(const std::string& digest, const std::vector<uint8_t>& wasm);
  /// Makes the node what `state` says, or changes nothing. States and configurations as read_state() takes them.
  Result<std::string> apply(const std::string& state, std::vector<std::string> configs);
  /// Runs a plugin as `state` has it on copies of live bursts.
  Result<std::string> shadow(const std::string& state, std::vector<std::string> configs, const std::string& plugin,
                             const std::string& limits);
  std::string status();
  /// Frames into and out of a port of kind inject.
  Result<uint32_t> inject(const std::string& port, const std::vector<std::vector<uint8_t>>& frames);
  Result<std::vector<std::vector<uint8_t>>> collect(const std::string& port, uint32_t most);

  // Observation: options and results as Observation's calls in control/observe.h have them.
  Result<uint32_t> start_trace(const std::string& options);
  Result<std::string> read_trace(uint32_t id);
  Result<uint32_t> start_capture(const std::string& options);
  Result<CaptureRead> read_capture(uint32_t id, uint32_t max);
  Status stop_observing(uint32_t id);
  Result<std::string> drops();
  Result<std::string> flows(const std::string& query);
  /// Takes as long as its options say.
  Result<std::string> profile(const std::string& options);

  /// Runs a stage on given packets in a packet thread, without ports.
  Result<std::string> run_stage(const std::string& request);
  void stop();

 private:
  class Impl;
  explicit Dataplane(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
