// What status shows of stages, as native/index.d.ts has it.
#include "control/status.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

using Json = nlohmann::json;

PluginStatus plugin() {
  PluginStatus status;
  status.name = "guard";
  status.version = "1.2.0";
  status.hooks = {abi::Hook::PREROUTING};
  status.state = "running";
  status.totals.counters = {{"seen", 7}};
  status.totals.gauges = {{"level", -2}};
  status.totals.histograms = {{"length", {{64, 1500}, {1, 2, 3}, 9000}}};
  status.totals.emitted = 4;
  status.totals.mirrored = 5;
  status.workers.resize(2);
  status.workers[1].packets = 8;
  status.workers[1].calls = 2;
  status.workers[1].cycles = 900;
  return status;
}

TEST(Status, OfAStageThatNeverFailed) {
  const Json stage = stages_json({plugin()}).at(0);
  EXPECT_EQ(stage["state"], "active");
  EXPECT_EQ(stage["counters"], Json({{"seen", 7}}));
  EXPECT_EQ(stage["gauges"], Json({{"level", -2}}));
  EXPECT_EQ(stage["histograms"], Json({{"length", {{"bounds", {64, 1500}}, {"counts", {1, 2, 3}}, {"sum", 9000}}}}));
  EXPECT_EQ(stage["emitted"], 4);
  EXPECT_EQ(stage["mirrored"], 5);
  const Json idle = {{"packets", 0}, {"bursts", 0}, {"cycles", 0}},
             busy = {{"packets", 8}, {"bursts", 2}, {"cycles", 900}};
  EXPECT_EQ(stage["workers"], Json::array({idle, busy}));
  EXPECT_EQ(stage["lastFailure"], "");
  EXPECT_EQ(stage["lastTrap"], nullptr);
}

TEST(Status, OfAStageThatTrapped) {
  PluginStatus failed = plugin();
  failed.state = "reloading";
  TrapInfo trap;
  trap.code = "unreachable";
  trap.message = "an unreachable instruction was reached";
  trap.frames = {{"inner", 300}, {"process", 412}};
  trap.version = "1.1.0";
  trap.digest = "ab";
  trap.hook = "prerouting";
  trap.worker = 1;
  trap.wall_ns = 1'700'000'000'123'456'789;
  trap.packet_index = 3;
  trap.packet_hex = "45";
  trap.packet_summary = "IPv4 10.0.0.1 > 10.0.0.2 protocol 17, 28 bytes";
  failed.last_trap = trap;
  const Json stage = stages_json({failed}).at(0);
  EXPECT_EQ(stage["state"], "backing-off");
  EXPECT_EQ(stage["lastFailure"],
            "unreachable: an unreachable instruction was reached at packet 3, IPv4 10.0.0.1 > 10.0.0.2 protocol 17, 28 "
            "bytes");
  EXPECT_EQ(stage["lastTrap"],
            Json({{"code", "unreachable"},
                  {"message", "an unreachable instruction was reached"},
                  {"version", "1.1.0"},
                  {"digest", "ab"},
                  {"hook", "prerouting"},
                  {"worker", 1},
                  {"at", 1'700'000'000'123},
                  {"packetHex", "45"},
                  {"packetSummary", "IPv4 10.0.0.1 > 10.0.0.2 protocol 17, 28 bytes"},
                  {"frames", {{{"function", "inner"}, {"offset", 300}}, {{"function", "process"}, {"offset", 412}}}}}));
}

}  // namespace
}  // namespace sluice
