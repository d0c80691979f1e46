#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "wasm/pipeline.h"

namespace sluice {

struct ShadowLimits {
  uint64_t packets = 10000;      ///< done after so many per plugin
  uint64_t max_differences = 0;  ///< more than this stops the run
  uint32_t timeout_ms = 10000;   ///< done after this, however few packets came
};

struct ShadowPluginReport {
  std::string plugin;
  uint64_t packets = 0, differences = 0, traps = 0;
  std::string first_difference;  ///< what differed, and the packet's first bytes in hex; or the trap
};

struct ShadowReport {
  enum class State { Running, Passed, Failed, TimedOut, Stopped };
  State state = State::Running;
  std::vector<ShadowPluginReport> plugins;
};

/// A new version of a stage beside the active one. Workers write to their own part; the control thread reads.
struct ShadowStage {
  struct alignas(64) Worker {
    std::atomic<uint64_t> packets{}, differences{}, traps{};
    std::atomic<bool> has_first{false};  ///< `first` is complete
    std::string first;                   ///< written once, before has_first
  };

  std::shared_ptr<const Stage> candidate;
  std::vector<Worker> workers;
  const uint16_t header_bytes;       ///< of the larger of both chains' views
  std::atomic<bool> stopped{false};  ///< a limit was reached: workers leave it alone

  ShadowStage(std::shared_ptr<const Stage> stage, uint16_t count, uint16_t bytes)
      : candidate(std::move(stage)), workers(count), header_bytes(bytes) {}
};

}  // namespace sluice
