#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "worker/node_snapshot.h"

namespace sluice {

/// The receive queues of a worker: which of them are worth a look, and how it waits when none is.
///
/// The kernel says which queues with a descriptor have frames, so that those of a hundred quiet pods cost nothing. One
/// that had frames is looked at without asking until it has none. Queues without a descriptor are always looked at.
class PollSet {
 public:
  PollSet();
  ~PollSet();
  PollSet(const PollSet&) = delete;
  PollSet& operator=(const PollSet&) = delete;

  /// Takes the queues. Not for the steady state.
  void watch(const std::vector<PollTarget>& targets);

  /// Calls `receive(const PollTarget&)`, which returns how many frames came, for queues that may have some. Returns the
  /// sum.
  template <typename Receive>
  uint32_t poll(uint64_t now_ns, Receive receive) {
    if (active_.empty() || ++turn_ % kAskEvery == 0) ask();
    uint32_t total = 0;
    for (const uint32_t index : blind_) total += receive(targets_[index]);
    for (size_t i = active_.size(); i-- > 0;) {
      const uint32_t count = receive(targets_[active_[i]]);
      if (count == 0) leave(i);
      total += count;
    }
    if (total > 0) {
      worked_ns_ = now_ns;
      interval_us_ = kShortestUs;
    }
    return total;
  }

  /// True when nothing has come for so long that sleeping is right.
  bool idle(uint64_t now_ns) const { return now_ns - worked_ns_ >= kPatienceNs; }

  /// Sleeps until a frame, wake(), or the interval's end. The caller is offline for RCU meanwhile.
  void sleep();
  /// Ends a sleep from another thread.
  void wake();

 private:
  static constexpr uint32_t kAskEvery = 4;  ///< polls, while some queue has frames
  static constexpr uint64_t kPatienceNs = 50'000;
  static constexpr uint32_t kShortestUs = 20;  ///< interval between looks at a queue without a descriptor
  static constexpr uint32_t kLongestUs = 500;
  static constexpr int kTimerMs = 50;  ///< longest sleep with descriptors: neighbour timers are due
  static constexpr int kEvents = 64;   ///< queues that one question finds

  void ask();
  bool wait_for(int descriptor);
  void activate(uint32_t index);
  void leave(size_t place);

  int epoll_ = -1;
  int event_ = -1;
  std::vector<PollTarget> targets_;
  std::vector<int> descriptors_;         ///< all that are waited for
  std::vector<uint32_t> by_descriptor_;  ///< targets
  std::vector<uint32_t> blind_;          ///< targets without a descriptor
  std::vector<uint32_t> active_;         ///< targets that had frames
  std::vector<bool> is_active_;          ///< by target
  uint32_t turn_ = 0;
  uint64_t worked_ns_ = 0;
  uint32_t interval_us_ = kShortestUs;
};

}  // namespace sluice
