#pragma once

#include <ctime>

#include <cstdint>

namespace sluice {

constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;
inline uint32_t seconds_of(uint64_t nanoseconds) {
  return static_cast<uint32_t>(nanoseconds / kNanosecondsPerSecond);
}

inline uint64_t read_clock(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * kNanosecondsPerSecond + static_cast<uint64_t>(time.tv_nsec);
}

/// Monotonic and wall time with one clock reading a burst; wall time is read anew every second.
class Clock {
 public:
  uint64_t now() {
    const uint64_t now = read_clock(CLOCK_MONOTONIC);
    if (now >= next_) {
      wall_offset_ = read_clock(CLOCK_REALTIME) - now;
      next_ = now + kNanosecondsPerSecond;
    }
    return now;
  }
  /// Unix time for a value that now() gave.
  uint64_t wall(uint64_t now) const { return now + wall_offset_; }

 private:
  uint64_t wall_offset_ = 0;
  uint64_t next_ = 0;
};

}  // namespace sluice
