#pragma once

#include <rte_spinlock.h>

namespace sluice {

class FlowLock {
 public:
  explicit FlowLock(rte_spinlock_t& lock) : lock_(lock) { rte_spinlock_lock(&lock_); }
  ~FlowLock() { rte_spinlock_unlock(&lock_); }
  FlowLock(const FlowLock&) = delete;
  FlowLock& operator=(const FlowLock&) = delete;

 private:
  rte_spinlock_t& lock_;
};

constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;
inline uint32_t seconds_of(uint64_t nanoseconds) {
  return static_cast<uint32_t>(nanoseconds / kNanosecondsPerSecond);
}

}  // namespace sluice
