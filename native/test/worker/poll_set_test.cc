#include "worker/poll_set.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <thread>

namespace sluice {
namespace {

/// A port whose frames are the bytes of a pipe; without a descriptor it has to be looked at.
class PipePort : public Port {
 public:
  explicit PipePort(bool tells = true) : tells_(tells) {
    if (pipe2(ends_, O_NONBLOCK | O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  }
  ~PipePort() override {
    ::close(ends_[0]);
    hang_up();
  }
  void arrive(const char* frames) { ASSERT_GT(write(ends_[1], frames, strlen(frames)), 0); }
  void hang_up() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }

  uint16_t receive(uint16_t, rte_mbuf**, uint16_t count) override {
    looks++;
    char frames[256];
    const ssize_t got = read(ends_[0], frames, std::min<size_t>(count, sizeof frames));
    return got > 0 ? static_cast<uint16_t>(got) : 0;
  }
  uint16_t transmit(uint16_t, rte_mbuf**, uint16_t) override { return 0; }
  int wait_descriptor(uint16_t) const override { return tells_ ? ends_[0] : -1; }
  PortCounters counters() const override { return {}; }

  int looks = 0;

 private:
  int ends_[2];
  bool tells_;
};

class PollSetTest : public ::testing::Test {
 protected:
  void watch(const std::vector<Port*>& ports) {
    std::vector<PollTarget> targets;
    for (Port* port : ports) targets.push_back({port, 0});
    set.watch(targets);
  }
  uint32_t poll() {
    now_ns += 1000;
    return set.poll(now_ns, [](const PollTarget& target) { return target.port->receive(0, nullptr, 4); });
  }
  /// Until nothing comes; returns how many frames came.
  uint32_t drain() {
    uint32_t sum = 0;
    while (const uint32_t count = poll()) sum += count;
    return sum;
  }

  PollSet set;
  uint64_t now_ns = 1'000'000;
  PipePort a, b, blind{false};
};

TEST_F(PollSetTest, FindsTheFramesOfEveryQueue) {
  watch({&a, &b, &blind});
  a.arrive("123");
  b.arrive("1234567");
  blind.arrive("12");
  EXPECT_EQ(drain(), 12u);
}

TEST_F(PollSetTest, LeavesQuietQueuesAlone) {
  watch({&a, &b});
  drain();
  const int looks = b.looks;
  for (int i = 0; i < 100; i++) {
    a.arrive("1");
    EXPECT_EQ(drain(), 1u);
  }
  EXPECT_EQ(b.looks, looks);
}

TEST_F(PollSetTest, LooksAtQueuesWithoutADescriptorEachTime) {
  watch({&a, &blind});
  for (int i = 0; i < 10; i++) poll();
  EXPECT_EQ(blind.looks, 10);
}

TEST_F(PollSetTest, ABusyQueueKeepsNoOtherFromBeingFound) {
  watch({&a, &b});
  drain();
  b.arrive("1");
  for (int polls = 0; polls < 16 && b.looks < 2; polls++) {
    a.arrive("1");
    poll();
  }
  EXPECT_GE(b.looks, 2);
}

TEST_F(PollSetTest, QueuesComeAndGo) {
  watch({&a});
  drain();
  watch({&b});
  a.arrive("1");
  b.arrive("1");
  EXPECT_EQ(drain(), 1u);
  EXPECT_EQ(a.looks, 1);
}

TEST_F(PollSetTest, ADescriptorsNumberMayBeAnotherPortsNow) {
  auto old = std::make_unique<PipePort>();
  const int number = old->wait_descriptor(0);
  watch({old.get()});
  drain();
  old = std::make_unique<PipePort>();  // both lie open for a moment
  auto next = std::make_unique<PipePort>();
  ASSERT_EQ(next->wait_descriptor(0), number);
  watch({next.get()});
  drain();
  next->arrive("1");
  EXPECT_EQ(drain(), 1u);
}

TEST_F(PollSetTest, IsIdleAWhileAfterTheLastFrame) {
  watch({&a});
  a.arrive("1");
  drain();
  EXPECT_FALSE(set.idle(now_ns));
  EXPECT_TRUE(set.idle(now_ns + 1'000'000));
}

TEST_F(PollSetTest, SleepsUntilAFrameComes) {
  watch({&a});
  drain();
  std::thread sender([&] { a.arrive("1"); });
  while (poll() == 0) set.sleep();
  sender.join();
}

TEST_F(PollSetTest, SleepsUntilItIsWoken) {
  watch({&a});
  drain();
  set.wake();
  set.sleep();
  set.sleep();  // at most until the timers are due
  EXPECT_EQ(poll(), 0u);
}

TEST_F(PollSetTest, ADeviceThatIsGoneIsNotWaitedFor) {
  watch({&a});
  drain();
  a.hang_up();
  const auto started = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; i++) {
    set.sleep();
    poll();
  }
  EXPECT_GT(std::chrono::steady_clock::now() - started, std::chrono::milliseconds(60))
      << "two of three sleeps are whole";
}

}  // namespace
}  // namespace sluice
