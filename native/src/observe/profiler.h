#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"

namespace sluice {

/// Samples threads' program counters by a signal from a timer of each. Works without perf, in any container.
///
/// The timers run on wall time: those of a thread's CPU time only go off at the kernel's tick (250 a second here). What
/// an idle thread does in its sleep is sampled like all else, and is in no plugin; the signal ends a system call of the
/// thread early (EINTR), which workers take for a look at their queues. The handler stores one number.
class Profiler {
 public:
  static constexpr uint32_t kMaxHertz = 5000;
  static constexpr uint32_t kMaxDurationMs = 60'000;
  static constexpr size_t kMaxThreads = 64;

  /// One at a time in a process: refused with "profile-running" while another samples. Waits for `duration_ms`, or
  /// until `stop` is set. Timers are gone afterwards; the handler stays, since a signal may still be on its way.
  static Result<std::vector<uint64_t>> sample(const std::vector<pid_t>& threads, uint32_t hertz, uint32_t duration_ms,
                                              const std::atomic<bool>& stop);
};

}  // namespace sluice
