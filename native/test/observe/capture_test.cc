// Captures at each point of the pipeline, drops with their last packets, and pages of flows, in whole nodes.
#include <map>
#include <set>

#include "control/observe.h"
#include "node.h"

namespace sluice {
namespace {

using namespace testing;  // NOLINT: packets read as a table

class Capturing : public WatchedNode {
 protected:
  uint32_t start(const CaptureRequest& request) {
    const auto id = observation().start_capture(request);
    EXPECT_TRUE(id.ok()) << id.error().message;
    return id ? id.value() : 0;
  }

  std::vector<CapturedFrame> read(uint32_t id, size_t count) {
    std::vector<CapturedFrame> all;
    eventually([&] {
      auto read = observation().read_capture(id, 100);
      EXPECT_TRUE(read.ok());
      EXPECT_EQ(read.value().lost, 0u);
      for (auto& frame : read.value().frames) all.push_back(std::move(frame));
      return all.size() >= count;
    });
    return all;
  }
};

struct Row {
  const char* point;
  Bytes injected;
  const char* port;  ///< the frame is told to be of
  Bytes seen;
  const char* reason;
  const char* stage;
};

TEST_F(Capturing, AtEachPoint) {
  const Bytes packet = udp_to("10.0.1.2");
  Bytes routed = packet, marked = packet;
  put16(routed, 8, static_cast<uint16_t>(63 << 8 | IPPROTO_UDP));
  put16(routed, 10, static_cast<uint16_t>((packet[10] << 8 | packet[11]) + 0x100));  // RFC 1624
  marked = routed;
  marked[1] = 0xb8;
  const Bytes refused = frame(udp_to("10.0.1.2", 2002));
  Bytes refused_then = refused;
  std::copy(routed.begin() + 8, routed.begin() + 10, refused_then.begin() + 22);
  put16(refused_then, 24, static_cast<uint16_t>((refused[24] << 8 | refused[25]) + 0x100));
  refused_then[15] = 0xb8;
  const Bytes ping = frame(icmp("10.0.0.2", "10.0.0.1", Bytes{8, 0, 0, 0, 0, 1, 0, 1}));
  const Row rows[] = {
      {"rx", frame(packet), "a", frame(packet), "", ""},
      {"prerouting", frame(packet), "a", frame(packet), "", ""},
      {"forward", frame(packet), "a", frame(routed), "", ""},
      {"stage:marker", frame(packet), "a", frame(marked), "", ""},
      {"postrouting", frame(packet), "a", frame(marked), "", ""},
      {"tx", frame(packet), "b", ethernet("02:00:00:00:00:b2", "02:00:00:00:00:0b", marked), "", ""},
      {"input", ping, "a", ping, "", ""},
      {"drop", refused, "a", refused_then, "policy", "gate"},
      {"drop", Bytes{1, 2, 3, 4, 5}, "a", Bytes{1, 2, 3, 4, 5}, "malformed-ethernet", ""},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(std::string(row.point) + " " + row.reason);
    const uint32_t id = start({"", {row.point}, {}, 2000});
    inject("a", row.injected);
    const auto frames = read(id, 1);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(frames[0].point, row.point);
    EXPECT_EQ(frames[0].port, row.port);
    EXPECT_EQ(frames[0].reason, row.reason);
    EXPECT_EQ(frames[0].stage, row.stage);
    EXPECT_EQ(frames[0].length, row.seen.size());
    EXPECT_EQ(testing::to_hex(frames[0].bytes.data(), frames[0].bytes.size()),
              testing::to_hex(row.seen.data(), row.seen.size()));
    ASSERT_TRUE(observation().stop(id).ok());
  }
}

TEST_F(Capturing, OfPacketsOfTheNodesOwnHasAMadeLinkHeader) {
  const uint32_t id = start({"icmp", {"output"}, {}, 2000});
  inject("a", frame(udp_to("10.0.1.2", 2000, {1})));
  const auto frames = read(id, 1);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].port, "");
  EXPECT_EQ(Bytes(frames[0].bytes.begin(), frames[0].bytes.begin() + 15),
            (Bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0x45}));
}

TEST_F(Capturing, ByFilterPortAndLength) {
  const uint32_t two_points = start({"udp port 2004", {"rx", "tx"}, {}, 30});
  const uint32_t other_port = start({"", {"rx"}, {"b"}, 2000});
  inject("a", frame(udp_to("10.0.1.2", 2000)));
  inject("a", frame(udp_to("10.0.1.2", 2004)));
  const auto frames = read(two_points, 2);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].bytes.size(), 30u);
  EXPECT_EQ(frames[0].length, 50u);
  EXPECT_EQ((std::set<std::string>{frames[0].point, frames[1].point}), (std::set<std::string>{"rx", "tx"}));
  ASSERT_EQ(collect("b", 2).size(), 2u);
  EXPECT_EQ(observation().read_capture(other_port, 10).value().frames.size(), 0u);
  inject("b", frame(udp_to("10.0.1.2")));
  EXPECT_EQ(read(other_port, 1).size(), 1u);
}

TEST_F(Capturing, CountsWhatDidNotFit) {
  const uint32_t id = start({"", {"rx"}, {}, 65535});
  constexpr uint32_t kFrames = 3000;  // of 1460 bytes, more than two rings hold
  for (uint32_t i = 0; i < kFrames; i += 100) {
    for (int j = 0; j < 100; j++) inject("a", frame(udp_to("10.0.1.2", 2000, {}, 1400)));
    ASSERT_EQ(collect("b", 100).size(), 100u);
  }
  uint64_t frames = 0, lost = 0;
  for (int i = 0; i < 2; i++) {
    const auto read = observation().read_capture(id, kFrames);
    frames += read.value().frames.size();
    lost += read.value().lost;
  }
  EXPECT_EQ(frames + lost, kFrames);
  EXPECT_GT(lost, 0u);
  EXPECT_EQ(observation().read_capture(id, 1).value().lost, 0u) << "told once";
}

TEST_F(Capturing, WrongOptionsAreRefusedWithWhatIsWrong) {
  const auto refused = [&](const std::string& options) {
    const auto id = start_capture(observation(), options);
    return id ? "started" : id.error().code + " " + id.error().path + " " + id.error().message;
  };
  const auto begins = [&](const std::string& options, const std::string& expected) {
    EXPECT_EQ(refused(options).substr(0, expected.size()), expected);
  };
  begins(R"({"filter": "", "points": ["rx"], "ports": []})", "invalid-options /snapLength must be a whole number");
  begins(R"({"points": ["rx"], "snapLength": -1})", "invalid-options /snapLength must be a whole number of 0 or more");
  begins(R"({"points": ["rx"], "snapLength": 0})", "invalid-options /snapLength must be from 1 to 65535");
  begins(R"({"points": [], "snapLength": 10})", "invalid-options /points must name at least one point");
  begins(R"({"points": ["rx", 5], "snapLength": 10})", "invalid-options /points/1 must be a string");
  begins(R"({"points": ["rx", "rx"], "snapLength": 10})", "invalid-options /points/1 is there twice");
  begins(R"({"points": ["nowhere"], "snapLength": 10})",
         "unknown-point /points/0 \"nowhere\" is no point; there are rx");
  begins(R"({"points": ["stage:x"], "snapLength": 10})",
         "unknown-stage /points/0 no stage is called \"x\"; there are: gate, marker");
  begins(R"({"points": ["rx"], "ports": ["z"], "snapLength": 10})",
         "unknown-port /ports/0 no port is called \"z\"; there are: a, b, vx");
  begins(R"({"points": ["rx"], "filter": "tcp and and", "snapLength": 10})", "invalid-filter /filter");
  begins("null", "invalid-options  must be an object");
  for (size_t i = 0; i < kMaxCaptures; i++) begins(R"({"points": ["rx"], "snapLength": 10})", "started");
  begins(R"({"points": ["rx"], "snapLength": 10})", "too-many-observations");
}

using Drops = WatchedNode;

TEST_F(Drops, AreToldByReasonAndStageWithTheLastPacket) {
  inject("a", Bytes{1, 2, 3, 4, 5});
  ASSERT_TRUE(eventually([&] { return drops() == 1; }));
  inject("a", frame(udp_to("10.0.1.2", 2001)));
  inject("a", frame(udp_to("10.0.1.2", 2002)));
  ASSERT_TRUE(eventually([&] { return drops() == 3; }));
  inject("a", frame(udp_to("10.0.1.2", 2001)));
  ASSERT_TRUE(eventually([&] { return drops() == 4; }));
  inject("b", frame(udp_to("192.0.2.1")));  // to another station
  ASSERT_TRUE(eventually([&] { return drops() == 5; }));
  std::map<std::string, DropTotal> found;
  for (const DropTotal& total : observation().drops()) found[total.stage + " " + total.reason] = total;
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(found["gate not-today"].packets, 2u);
  EXPECT_EQ(found["gate policy"].packets, 1u);
  EXPECT_EQ(found[" malformed-ethernet"].packets, 1u);
  EXPECT_EQ(found[" not-for-us"].packets, 1u);
  EXPECT_STREQ(found[" not-for-us"].last.in_port, "b");
  const LastDrop& last = found["gate not-today"].last;
  EXPECT_STREQ(last.in_port, "a");
  EXPECT_EQ(last.length, 36u);
  EXPECT_EQ(summarize(last.bytes, last.shown, last.length), "IPv4 10.0.0.2 > 10.0.1.2 protocol 17, 36 bytes");
  EXPECT_EQ(testing::to_hex(found[" malformed-ethernet"].last.bytes, found[" malformed-ethernet"].last.shown),
            "0102030405");
}

TEST_F(Drops, OutliveTheStage) {
  inject("a", frame(udp_to("10.0.1.2", 2001)));
  ASSERT_TRUE(eventually([&] { return drops() == 1; }));
  ASSERT_TRUE(apply("[]", "{}").ok());
  const auto totals = observation().drops();
  ASSERT_EQ(totals.size(), 1u);
  EXPECT_EQ(totals[0].stage + " " + totals[0].reason, "gate not-today");
}

class Flows : public WatchedNode {
 protected:
  std::vector<uint32_t> numbers(const FlowQuery& query) {
    std::vector<uint32_t> all;
    for (const FlowRow& row : observation().flows(query)) all.push_back(row.number);
    return all;
  }
};

TEST_F(Flows, AreListedPageByPage) {
  for (const uint16_t port : {2000, 2004, 2005, 2009, 2010}) {
    inject("a", frame(udp_to("10.0.1.2", port)));
    ASSERT_EQ(collect("b", 1).size(), 1u);
  }
  FlowQuery query;
  query.max = 2;
  std::vector<uint32_t> all;
  for (std::vector<uint32_t> page = numbers(query); !page.empty(); page = numbers(query)) {
    EXPECT_LE(page.size(), 2u);
    all.insert(all.end(), page.begin(), page.end());
    query.first = page.back() + 1;
  }
  EXPECT_EQ(all, (std::vector<uint32_t>{0, 1, 2, 3, 4}));
}

TEST_F(Flows, AreShownWithTheirStateAndSlots) {
  inject("a", frame(udp_to("10.0.1.2", 2004)));
  ASSERT_EQ(collect("b", 1).size(), 1u);
  FlowQuery query;
  query.max = 10;
  auto rows = observation().flows(query);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].protocol, IPPROTO_UDP);
  EXPECT_EQ(rows[0].original.source + " " + std::to_string(rows[0].original.source_port), "10.0.0.2 1000");
  EXPECT_EQ(rows[0].reply.source + " " + std::to_string(rows[0].reply.source_port), "10.0.1.2 2004");
  EXPECT_EQ(rows[0].state, "new");
  EXPECT_LE(rows[0].idle_ms, 2000u);
  EXPECT_GE(rows[0].expires_in_ms, 28'000u);
  using Slots = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(rows[0].slots, (Slots{{"gate", "07d4000000000000"}}));
  inject("b", ethernet("02:00:00:00:00:0b", "02:00:00:00:00:b2",
                       ip("10.0.1.2", "10.0.0.2", IPPROTO_UDP,
                          udp_datagram("10.0.1.2", "10.0.0.2", filler(8), 2004, 1000))));
  ASSERT_EQ(collect("a", 1).size(), 1u);
  EXPECT_EQ(observation().flows(query)[0].state, "established");
}

TEST_F(Flows, AreFilteredOnEitherSide) {
  inject("a", frame(udp_to("10.0.1.2", 2000)));
  inject("a", frame(udp_to("10.3.0.9", 2004)));
  inject("a", frame(icmp("10.0.0.2", "10.0.1.2", Bytes{8, 0, 0, 0, 0, 1, 0, 1})));
  ASSERT_EQ(collect("b", 3).size(), 3u);
  const auto count = [&](const std::string& query) {
    const auto listed = sluice::flows(observation(), query);
    return listed ? nlohmann::json::parse(listed.value()).size() : SIZE_MAX;
  };
  EXPECT_EQ(count(R"({"max": 10})"), 3u);
  EXPECT_EQ(count(R"({"max": 10, "address": "10.0.1.2"})"), 2u);
  EXPECT_EQ(count(R"({"max": 10, "address": "10.0.0.2", "port": 2004})"), 1u);
  EXPECT_EQ(count(R"({"max": 10, "protocol": 1})"), 1u);
  EXPECT_EQ(count(R"({"max": 10, "address": "fd00::1"})"), 0u);
  EXPECT_EQ(count(R"({"max": 10, "after": 2})"), 0u);
  const auto refused = sluice::flows(observation(), R"({"max": 10, "port": 65536})");
  EXPECT_EQ(refused.error().code + " " + refused.error().path, "invalid-options /port");
}

}  // namespace
}  // namespace sluice
