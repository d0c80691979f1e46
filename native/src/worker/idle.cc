#include "worker/idle.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace sluice {

namespace {
void add(int epoll, int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}
}  // namespace

Idle::Idle() : epoll_(epoll_create1(EPOLL_CLOEXEC)), event_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  add(epoll_, event_);
}

Idle::~Idle() {
  close(event_);
  close(epoll_);
}

void Idle::watch(const std::vector<PollTarget>& targets) {
  for (const int descriptor : watched_) epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
  watched_.clear();
  blind_ = false;
  for (const PollTarget& target : targets) {
    const int descriptor = target.port->wait_descriptor(target.queue);
    if (descriptor < 0) {
      blind_ = true;
      continue;
    }
    add(epoll_, descriptor);
    watched_.push_back(descriptor);
  }
}

void Idle::sleep() {
  // The interval starts over only after a burst of work: a sleep follows each kPatience empty polls until then.
  interval_us_ = empty_polls_ > kPatience ? std::min(interval_us_ * 2, kLongestUs) : kShortestUs;
  const timespec limit =
      blind_ ? timespec{0, static_cast<long>(interval_us_) * 1000} : timespec{0, kTimerMs * 1000000L};
  epoll_event event;
  if (epoll_pwait2(epoll_, &event, 1, &limit, nullptr) <= 0) return;
  if (event.data.fd == event_) {
    uint64_t count;
    if (read(event_, &count, sizeof count) < 0) return;  // EAGAIN: another sleep took it
  } else if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, event.data.fd, nullptr);  // its device is gone: waiting on it would not wait
  }
}

void Idle::wake() {
  const uint64_t one = 1;
  if (write(event_, &one, sizeof one) < 0) return;  // EAGAIN: it is set already
}

}  // namespace sluice
