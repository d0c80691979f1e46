#include "changes.h"

#include <chrono>
#include <thread>

#include "failed.h"
#include "places.h"
#include "wasm/versions.h"

namespace sluice::races {
namespace {

using namespace testing;  // NOLINT: stages read as a table
using Json = nlohmann::json;

/// A port as it lies in memory.
std::string in_memory(uint16_t port) {
  return i32(static_cast<uint16_t>(port >> 8 | port << 8));
}

/// The L4 header's 16 bits at an offset, of the packet in $slot: to be read, or set to `value`.
std::string l4_word(uint32_t offset, const std::string& value = "") {
  const std::string access = value.empty() ? "i32.load16_u" : "i32.store16";
  return "(" + access + " offset=" + std::to_string(abi::kSlotHeadOffset + offset) + " (i32.add (local.get $slot) " +
         load16(abi::kSlotL4Offset) + ") " + value + ")";
}

constexpr uint32_t kSourcePort = 0, kDestinationPort = 2;

StageText trapping(const std::string& version) {
  StageText stage;
  stage.manifest = {{"version", version}};
  stage.process =
      for_each_slot("(if (i32.eq " + l4_word(kDestinationPort) + in_memory(kTrapPort) + ") (then unreachable))");
  return stage;
}

/// Gives flows to kMovedPort the source port that its configuration says (2 bytes of text), and takes it from answers;
/// now and then flows that have another one get this one. Settles what it can.
StageText moving(const std::string& version) {
  const auto flags = [](std::initializer_list<abi::Flag> set) {
    uint32_t bits = 0;
    for (const abi::Flag flag : set) bits |= static_cast<uint32_t>(flag);
    return set_flag(bits);
  };
  const auto is = [](const std::string& value, uint32_t other) { return "(i32.eq " + value + i32(other) + ")"; };
  const std::string hook = "(local.get $hook)", direction = load8(abi::kSlotCtDirection);
  const auto both = [](const std::string& one, const std::string& other) { return "(i32.and " + one + other + ")"; };
  const std::string leaves =
      both(both(is(hook, 2), is(direction, 0)), "(i32.eq " + l4_word(kDestinationPort) + in_memory(kMovedPort) + ")");
  const std::string returns =
      both(both(is(hook, 0), is(direction, 1)), "(i32.eq " + l4_word(kSourcePort) + in_memory(kMovedPort) + ")");
  const std::string given = "(i32.load16_u " + burst(abi::kBurstSegmentBase) + ")";
  const std::string rarely = "(i32.eqz (i32.and " + burst(abi::kBurstRandom) + "(i32.const 7)))";
  StageText stage;
  stage.manifest = {{"settles", true}, {"writes", true}, {"segmentBytes", 8192}, {"version", version}};
  stage.process = for_each_slot(flags({abi::Flag::SETTLED}) + "(if " + leaves + "(then " + l4_word(kSourcePort, given) +
                                flags({abi::Flag::WRITTEN}) + "(if " + rarely + "(then " +
                                flags({abi::Flag::REPLY_CHANGED}) + "))))" + "(if " + returns + "(then " +
                                l4_word(kDestinationPort, in_memory(kOwnPort)) + flags({abi::Flag::WRITTEN}) + "))");
  stage.extra = "(func (export \"configure\") (result i32) (i32.store " + burst(abi::kBurstSegmentBase) +
                "(i32.load16_u (i32.const 33554432))) (i32.const 0))";
  return stage;
}

std::string add(Dataplane& dataplane, const StageText& stage) {
  const std::vector<uint8_t> module = stage.build();
  const std::string digest = digest_of(module);
  value_of("add_module", dataplane.add_module(digest, module));
  return digest;
}

Json port(const std::string& name, const std::string& mac, const std::vector<std::string>& addresses) {
  return {{"name", name}, {"kind", "inject"}, {"mac", mac}, {"addresses", addresses}};
}

Json ports(uint32_t round) {
  Json all = Json::array({port("a", "02:00:00:00:00:0a", {"10.0.0.1/24", "fd00::1/64"}),
                          port("b", "02:00:00:00:00:0b", {"10.0.1.1/24", "fd00:1::1/64"})});
  if (round % 3 != 0) {
    Json tunnel = {{"name", "tunnel"}, {"kind", "vxlan"}, {"vni", 42}, {"local", "10.0.1.1"}, {"mtu", 1400}};
    all.push_back(tunnel);
  }
  if (round % 2 == 0) {
    Json passing = port("passing", "02:00:00:00:00:0c", {"10.0.2.1/24"});
    passing["mtu"] = round % 4 == 0 ? 1500 : 1400;
    all.push_back(passing);
  }
  return all;
}

Json route(const std::string& prefix, const Json& hops) {
  return {{"prefix", prefix}, {"nextHops", hops}};
}

Json routes(uint32_t round) {
  Json hops = Json::array({{{"port", "b"}, {"gateway", "10.0.1.2"}, {"weight", 1 + round % 4}}});
  if (round % 2 == 0) hops.push_back({{"port", "passing"}, {"gateway", "10.0.2.2"}});
  Json all = Json::array({route("10.3.0.0/16", hops)});
  if (round % 3 != 0) all.push_back(route("10.4.0.0/16", Json::array({{{"port", "tunnel"}, {"remote", "10.0.1.2"}}})));
  for (uint32_t i = 0; i < round % 16; i++) {
    const std::string prefix = "10." + std::to_string(100 + i) + ".0.0/" + std::to_string(16 + i % 8);
    all.push_back(route(prefix, Json::array({{{"port", "a"}, {"gateway", "10.0.0.2"}}})));
  }
  return all;
}

Json neighbours(uint32_t round) {
  const auto neighbour = [](const char* port, const char* address, const char* mac) {
    return Json{{"port", port}, {"address", address}, {"mac", mac}};
  };
  Json all =
      Json::array({neighbour("a", "10.0.0.2", "02:00:00:00:00:a2"), neighbour("a", "fd00::2", "02:00:00:00:00:a2"),
                   neighbour("b", "10.0.1.2", round % 2 == 0 ? "02:00:00:00:00:b2" : "02:00:00:00:00:b3"),
                   neighbour("b", "fd00:1::2", "02:00:00:00:00:b2")});
  if (round % 5 == 0) all.push_back(neighbour("b", "10.0.1.77", "02:00:00:00:00:77"));
  if (round % 2 == 0) all.push_back(neighbour("passing", "10.0.2.2", "02:00:00:00:00:c2"));
  return all;
}

}  // namespace

Changes::Changes(Dataplane& dataplane)
    : dataplane_(dataplane),
      marking_{add(dataplane, configured("1.0.0")), add(dataplane, configured("2.0.0"))},
      stamping_{add(dataplane, migrating(1, {2}, 1)), add(dataplane, migrating(2, {1}, 2))},
      moving_{add(dataplane, moving("1.0.0")), add(dataplane, moving("2.0.0"))},
      trapping_{add(dataplane, trapping("1.0.0")), add(dataplane, trapping("2.0.0"))} {}

Json Changes::plugins(uint32_t round) const {
  Json all = Json::array({{{"name", "marking"}, {"digest", marking_.at(round / 3)}, {"config", 0}},
                          {{"name", "stamping"}, {"digest", stamping_.at(round / 5)}},
                          {{"name", "moving"}, {"digest", moving_.at(round / 4)}, {"config", 1}},
                          {{"name", "trapping"}, {"digest", trapping_.at(round / 2)}, {"failure", "Reload"}}});
  if (round % 2 == 0) all[3]["scope"] = Json::array({"a"});
  return all;
}

Json Changes::state(uint32_t round) const {
  // Every fourth one's flows are settled at all hooks, and take the shortcut.
  const Json forward = round % 4 == 3 ? Json::array() : Json::array({"marking", "stamping", "trapping"});
  return {{"ports", ports(round)},
          {"routes", routes(round)},
          {"neighbours", neighbours(round)},
          {"plugins", plugins(round)},
          {"pipeline", {{"prerouting", {"moving"}}, {"forward", forward}, {"postrouting", {"moving"}}}},
          {"conntrack", {{"maxFlows", 1024}, {"timeouts", {{"udp", 1 + round % 3}}}}}};
}

void Changes::make(uint32_t round) {
  const std::string next = state(round).dump();
  // Of "marking" and of "moving".
  const std::vector<std::string> configs = {"c" + std::to_string(1000 + round), "0" + std::to_string(round % 10)};
  if (round % 10 == 9) {
    value_of("shadow", dataplane_.shadow(next, configs, "marking", R"({"packets": 2000, "timeoutMs": 300})"));
  }
  value_of("apply", dataplane_.apply(next, configs));
}

void Changes::unmake() {
  value_of("apply", dataplane_.apply(R"({"conntrack": {"maxFlows": 1024}})", {}));
}

void check_all_buffers_are_back(Dataplane& dataplane) {
  Json buffers;
  for (int tries = 0; tries < 100; tries++) {
    buffers = Json::parse(dataplane.status())["buffers"];
    if (buffers["packets"] == buffers["packetsFree"]) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  fail("buffers are lost: " + buffers.dump());
}

}  // namespace sluice::races
