#pragma once

#include <cstdint>
#include <vector>

#include "worker/node_snapshot.h"

namespace sluice {

/// How a worker waits when there is nothing to do. With a descriptor on every queue it sleeps until a frame comes;
/// queues without one are looked at in growing intervals.
class Idle {
 public:
  Idle();
  ~Idle();
  Idle(const Idle&) = delete;
  Idle& operator=(const Idle&) = delete;

  /// Takes the queues to wait for. Not for the steady state.
  void watch(const std::vector<PollTarget>& targets);

  /// True when so many polls in a row were empty that sleeping is right.
  bool due() const { return empty_polls_ >= kPatience; }
  void worked() { empty_polls_ = 0; }
  void nothing() { empty_polls_++; }

  /// Sleeps until a frame, wake(), or the interval's end. The caller is offline for RCU meanwhile.
  void sleep();
  /// Ends a sleep from another thread.
  void wake();

 private:
  static constexpr uint32_t kPatience = 256;   ///< empty polls, tens of microseconds
  static constexpr uint32_t kShortestUs = 20;  ///< interval between looks at a queue without a descriptor
  static constexpr uint32_t kLongestUs = 500;
  static constexpr int kTimerMs = 50;  ///< longest sleep with descriptors: neighbour timers are due

  int epoll_ = -1;
  int event_ = -1;
  std::vector<int> watched_;
  bool blind_ = false;  ///< some queue has no descriptor
  uint32_t empty_polls_ = 0;
  uint32_t interval_us_ = kShortestUs;
};

}  // namespace sluice
