#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "control/desired_state.h"
#include "port/port.h"

namespace sluice {

/// Closes ports on a thread of its own: the kernel takes some 10 ms for each TAP that goes, which no transaction should
/// wait for. No worker may use a port that is handed over.
class PortCloser {
 public:
  PortCloser();
  /// Closes what was handed over.
  ~PortCloser();

  void close(const PortConfig& config, std::shared_ptr<Port> port);
  /// Waits until no port is left for which `matches` is true: its device can be opened then.
  void wait(const std::function<bool(const PortConfig&)>& matches);

 private:
  struct Closing {
    PortConfig config;
    std::shared_ptr<Port> port;
  };

  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Closing> closing_;  ///< the first one is in work
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice
