#include "control/port_closer.h"

#include <algorithm>
#include <utility>

namespace sluice {

PortCloser::PortCloser() : thread_([this] { run(); }) {}

PortCloser::~PortCloser() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void PortCloser::close(const PortConfig& config, std::shared_ptr<Port> port) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_.push_back({config, std::move(port)});
  }
  changed_.notify_all();
}

void PortCloser::wait(const std::function<bool(const PortConfig&)>& matches) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] {
    return std::none_of(closing_.begin(), closing_.end(), [&](const Closing& each) { return matches(each.config); });
  });
}

void PortCloser::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !closing_.empty(); });
    if (closing_.empty()) return;
    const std::shared_ptr<Port> port = closing_.front().port;
    lock.unlock();
    port->close(false);
    lock.lock();
    closing_.pop_front();
    changed_.notify_all();
  }
}

}  // namespace sluice
