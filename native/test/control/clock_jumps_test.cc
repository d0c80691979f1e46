// A running node whose clocks jump: a machine that was suspended or migrated, a wall clock that somebody sets.
#include <gtest/gtest.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "control/node.h"
#include "core/clock.h"
#include "port/inject_port.h"
#include "testing/eal.h"
#include "testing/started_node.h"

namespace {

std::atomic<int64_t> g_monotonic_ahead{0}, g_wall_ahead{0};  ///< ns

}  // namespace

extern "C" {
int __real_clock_gettime(clockid_t clock, timespec* time);

/// What Sluice's own code in this program calls for the kernel's (the linker's --wrap); libraries have the true one.
int __wrap_clock_gettime(clockid_t clock, timespec* time) {
  if (__real_clock_gettime(clock, time) != 0) return -1;
  const int64_t ahead = clock == CLOCK_MONOTONIC  ? g_monotonic_ahead.load()
                        : clock == CLOCK_REALTIME ? g_wall_ahead.load()
                                                  : 0;
  const int64_t now = int64_t{time->tv_sec} * 1'000'000'000 + time->tv_nsec + ahead;
  time->tv_sec = now / 1'000'000'000;
  time->tv_nsec = now % 1'000'000'000;
  return 0;
}
}

namespace sluice {
namespace {

using testing::from_hex;
using testing::to_hex;

constexpr int64_t kSecond = 1'000'000'000, kHour = 3600 * kSecond, kDay = 24 * kHour;

constexpr const char* kState = R"({
  "ports": [
    {"name": "a", "kind": "inject", "mac": "02:00:00:00:00:0a", "addresses": ["10.0.0.1/24"]},
    {"name": "b", "kind": "inject", "mac": "02:00:00:00:00:0b", "addresses": ["10.0.1.1/24"]}],
  "neighbours": [
    {"port": "a", "address": "10.0.0.2", "mac": "02:00:00:00:00:a2"},
    {"port": "b", "address": "10.0.1.2", "mac": "02:00:00:00:00:b2"}],
  "conntrack": {"maxFlows": 1024}})";

// UDP from 10.0.0.2 to a host behind "b", and back.
const char* const kThere =
    "02000000000a 0200000000a2 0800 4500001d00004000401125cd 0a000002 0a000102 1000 2000 0009 0000 aa";
const char* const kBack =
    "02000000000b 0200000000b2 0800 4500001d00004000401125cd 0a000102 0a000002 2000 1000 0009 0000 aa";
/// To 10.0.1.9, which no ARP request finds.
const char* const kNowhere =
    "02000000000a 0200000000a2 0800 4500001d00004000401125c6 0a000002 0a000109 1000 2000 0009 0000 aa";

struct Row {
  const char* what;
  int64_t monotonic, wall;  ///< by how much they jump
};

const Row kRows[] = {
    {"a minute passed unseen", 60 * kSecond, 60 * kSecond},
    {"an hour", kHour, kHour},
    {"the wall clock is put forward a year", 0, 365 * kDay},
    {"the wall clock is put back two years", 0, -730 * kDay},
    {"a month passed while the machine was suspended", 30 * kDay, 30 * kDay},
    {"the monotonic clock goes back by seconds", -20 * kSecond, 0},
    {"it goes back by an hour", -kHour, -kHour},
};

class ClockJumps : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::eal();
    g_monotonic_ahead = kDay * 60;  // so that it can go back, whenever the machine was started
    ASSERT_NO_FATAL_FAILURE(testing::start_node("clock-jumps", node_));
    const Status applied = node_->apply(parse_desired_state(kState).value());
    ASSERT_TRUE(applied.ok()) << applied.error().message;
  }
  void TearDown() override {
    node_.reset();
    g_monotonic_ahead = g_wall_ahead = 0;
  }

  static bool eventually(const std::function<bool()>& done, int seconds = 5) {
    for (int tries = 0; tries < seconds * 200; tries++) {
      if (done()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  void inject(const char* port, const char* frame) {
    ASSERT_TRUE(InjectPort::of(node_->ports().find(port))->inject({from_hex(frame), 0, 0}));
    for (const auto& worker : node_->workers()) worker->wake();
  }
  /// A packet to each side arrives.
  void expect_traffic(const char* what) {
    for (const auto& [from, to, frame] : {std::tuple{"a", "b", kThere}, std::tuple{"b", "a", kBack}}) {
      inject(from, frame);
      InjectPort* const port = InjectPort::of(node_->ports().find(to));
      EXPECT_TRUE(eventually([port] { return !port->collect(1).empty(); })) << what << ": from " << from;
    }
  }
  uint64_t unresolved() {
    uint64_t sum = 0;
    for (const auto& worker : node_->workers()) {
      sum += worker->context().counters.drops[static_cast<size_t>(abi::DropReason::NeighbourUnresolved)];
    }
    return sum;
  }
  static void jump(int64_t monotonic, int64_t wall) {
    g_monotonic_ahead += monotonic;
    g_wall_ahead += wall;
  }

  std::unique_ptr<Node> node_;
};

TEST_F(ClockJumps, TrafficGoesOnAndTimersDoTheirWork) {
  for (const Row& row : kRows) {
    expect_traffic(row.what);
    jump(row.monotonic, row.wall);
    expect_traffic(row.what);
    EXPECT_GE(node_->flows()->live(), 1U) << row.what;
    // Asked for three times, a second apart: the seconds are made to pass.
    const uint64_t before = unresolved();
    inject("a", kNowhere);
    EXPECT_TRUE(eventually([&] {
      jump(kSecond / 2, 0);
      return unresolved() > before;
    })) << row.what
        << ": the neighbour's timers";
    InjectPort::of(node_->ports().find("b"))->collect(100);  // the questions
  }
  jump(kDay, kDay);
  EXPECT_TRUE(eventually([this] { return node_->flows()->live() == 0; })) << "flows end";
  const FlowCounters counters = node_->flows()->counters();
  EXPECT_EQ(counters.created, counters.expired + counters.evicted + counters.abandoned);
}

TEST_F(ClockJumps, ADropIsShownWithTheTimeOfDayAsItIsNow) {
  inject("a", "02000000000a 02");
  jump(0, -365 * kDay);
  const auto shown = [this] {
    for (const DropTotal& total : node_->observation()->drops()) {
      if (total.reason == std::string("malformed-ethernet")) return total.last.wall_ns;
    }
    return uint64_t{0};
  };
  EXPECT_TRUE(eventually([&] {
    inject("a", "02000000000a 02");
    const auto off = static_cast<int64_t>(read_clock(CLOCK_REALTIME) - shown());
    return std::abs(off) < 10 * kSecond;
  }));
}

}  // namespace
}  // namespace sluice
