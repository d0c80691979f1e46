#include "worker/poll_set.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

namespace sluice {

PollSet::PollSet() : epoll_(epoll_create1(EPOLL_CLOEXEC)), event_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  wait_for(event_);
}

PollSet::~PollSet() {
  close(event_);
  close(epoll_);
}

/// Also true for a descriptor that is waited for already.
bool PollSet::wait_for(int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) == 0 || errno == EEXIST;
}

void PollSet::watch(const std::vector<PollTarget>& targets) {
  // Those of closed ports have left by themselves, and others may have their numbers: each is added, whatever was
  // before.
  std::set<int> gone(descriptors_.begin(), descriptors_.end());
  targets_ = targets;
  descriptors_.clear();
  blind_.clear();
  active_.clear();
  active_.reserve(targets.size());
  is_active_.assign(targets.size(), false);
  for (uint32_t i = 0; i < targets.size(); i++) {
    const int descriptor = targets[i].port->wait_descriptor(targets[i].queue);
    if (descriptor < 0 || !wait_for(descriptor)) {
      blind_.push_back(i);
      continue;
    }
    gone.erase(descriptor);
    descriptors_.push_back(descriptor);
    if (by_descriptor_.size() <= static_cast<size_t>(descriptor)) by_descriptor_.resize(descriptor + 1);
    by_descriptor_[descriptor] = i;
    activate(i);
  }
  for (const int descriptor : gone) epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
}

/// Asks the kernel which queues have frames.
void PollSet::ask() {
  if (blind_.size() == targets_.size()) return;
  epoll_event events[kEvents];
  const int count = epoll_wait(epoll_, events, kEvents, 0);
  for (int i = 0; i < count; i++) {
    if (events[i].data.fd != event_) activate(by_descriptor_[events[i].data.fd]);
  }
}

void PollSet::activate(uint32_t index) {
  if (is_active_[index]) return;
  is_active_[index] = true;
  active_.push_back(index);
}

void PollSet::leave(size_t place) {
  is_active_[active_[place]] = false;
  active_[place] = active_.back();
  active_.pop_back();
}

void PollSet::sleep() {
  const timespec limit =
      blind_.empty() ? timespec{0, kTimerMs * 1000000L} : timespec{0, static_cast<long>(interval_us_) * 1000};
  interval_us_ = std::min(interval_us_ * 2, kLongestUs);
  epoll_event event;
  if (epoll_pwait2(epoll_, &event, 1, &limit, nullptr) <= 0) return;
  if (event.data.fd == event_) {
    uint64_t count;
    if (read(event_, &count, sizeof count) < 0) return;  // EAGAIN: another sleep took it
    return;
  }
  // Its device is gone: waiting on it would not wait. The port notices when it is looked at.
  if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) epoll_ctl(epoll_, EPOLL_CTL_DEL, event.data.fd, nullptr);
  activate(by_descriptor_[event.data.fd]);
}

void PollSet::wake() {
  const uint64_t one = 1;
  if (write(event_, &one, sizeof one) < 0) return;  // EAGAIN: it is set already
}

}  // namespace sluice
