#include <atomic>
#include <set>
#include <thread>

#include "node.h"
#include "observe/profiler.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: stages read as a table

class Profiling : public WatchedNode {
 protected:
  /// A stage that spends its time in "hot", on each packet.
  void run_busy_stage() {
    StageText stage;
    stage.extra = R"((func $hot (param $n i32) (result i32) (local $sum i32)
      (loop $again
        (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (local.get $n)))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum)))";
    stage.process = for_each_slot(store32(abi::kSlotMark, "(call $hot (i32.const 200000))"));
    const Status applied = apply(R"([{"name": "busy", "budgetUs": 400000, "digest": ")" + add(stage) + R"("}])",
                                 R"({"forward": ["busy"]})");
    ASSERT_TRUE(applied.ok()) << applied.error().message;
  }

  /// Keeps the workers busy until the end.
  class Traffic {
   public:
    explicit Traffic(Profiling& test)
        : thread_([this, &test] {
            while (!stopping_) {
              test.inject("a", frame(udp_to("10.0.1.2")));
              test.forget("b");
              std::this_thread::sleep_for(std::chrono::microseconds(200));
            }
          }) {}
    ~Traffic() {
      stopping_ = true;
      thread_.join();
    }

   private:
    std::atomic<bool> stopping_{false};
    std::thread thread_;
  };
};

TEST_F(Profiling, FindsTheHotFunctionOfABusyStage) {
  run_busy_stage();
  const Traffic traffic(*this);
  const auto result = observation().profile({"busy", 500, 1000});
  ASSERT_TRUE(result.ok()) << result.error().message;
  const ProfileResult& profile = result.value();
  EXPECT_GT(profile.samples, 100u);
  EXPECT_GT(profile.in_plugin, profile.samples / 10);
  EXPECT_EQ(profile.digest.size(), 64u);
  ASSERT_FALSE(profile.places.empty());
  uint64_t hot = 0, located = 0, sum = 0;
  for (const auto& [place, samples] : profile.places) {
    sum += samples;
    if (place.function != "hot") continue;
    hot += samples;
    if (place.offset < 0) continue;  // what the engine put in, such as the check of the time budget
    located += samples;
    EXPECT_GT(place.offset, 0);
    EXPECT_LT(place.offset, 1000);
  }
  EXPECT_EQ(sum, profile.in_plugin);
  EXPECT_GT(hot, profile.in_plugin * 9 / 10);
  // The loop is so short that most samples are in the engine's check of the budget; a fifth of them are not.
  EXPECT_GT(located, hot / 20);
}

TEST_F(Profiling, IdleWorkersHaveNoSamplesInAPluginAndGoOn) {
  run_busy_stage();
  const auto profile = observation().profile({"busy", 200, 1000});
  ASSERT_TRUE(profile.ok());
  EXPECT_EQ(profile.value().in_plugin, 0u);
  inject("a", frame(udp_to("10.0.1.2")));
  EXPECT_EQ(collect("b", 1).size(), 1u);
}

TEST_F(Profiling, NoTimerIsLeft) {
  ASSERT_TRUE(observation().profile({"marker", 50, 1000}).ok());
  FILE* timers = std::fopen("/proc/self/timers", "r");
  if (timers == nullptr) GTEST_SKIP() << "this kernel does not tell a process's timers";
  EXPECT_EQ(std::fgetc(timers), EOF);
  std::fclose(timers);
}

TEST_F(Profiling, ASecondOneAtOnceIsRefused) {
  std::string codes[2];
  const auto profile = [&](std::string& code) {
    const auto taken = observation().profile({"marker", 500, 100});
    code = taken ? "taken" : taken.error().code;
  };
  std::thread other([&] { profile(codes[0]); });
  profile(codes[1]);
  other.join();
  EXPECT_EQ((std::multiset<std::string>{codes[0], codes[1]}), (std::multiset<std::string>{"taken", "profile-running"}));
}

TEST_F(Profiling, EndsWithTheNode) {
  const std::shared_ptr<Observation> kept = node_->observation();
  std::thread profiling([&] { EXPECT_TRUE(kept->profile({"marker", 60'000, 100}).ok()); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  node_.reset();
  profiling.join();
  EXPECT_EQ(kept->profile({"marker", 10, 100}).error().code, "stopped");
}

TEST_F(Profiling, WrongOptionsAreRefused) {
  const auto refused = [&](const ProfileRequest& request) {
    const auto profile = observation().profile(request);
    return profile ? "taken" : profile.error().code + " " + profile.error().path + " " + profile.error().message;
  };
  EXPECT_EQ(refused({"nobody", 10, 100}),
            "unknown-stage /plugin no stage is called \"nobody\"; there are: gate, marker");
  EXPECT_EQ(refused({"marker", 0, 100}), "invalid-options /durationMs must be from 1 to 60000");
  EXPECT_EQ(refused({"marker", 10, 5001}), "invalid-options /hertz must be from 1 to 5000");
}

}  // namespace
}  // namespace sluice
