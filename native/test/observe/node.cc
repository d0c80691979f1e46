#include "node.h"

#include "testing/started_node.h"

namespace sluice::testing {

namespace {

constexpr const char* kPorts = R"({
  "ports": [
    {"name": "a", "kind": "inject", "mac": "02:00:00:00:00:0a", "addresses": ["10.0.0.1/24"]},
    {"name": "b", "kind": "inject", "mac": "02:00:00:00:00:0b", "addresses": ["10.0.1.1/24"]},
    {"name": "vx", "kind": "vxlan", "vni": 100, "local": "10.0.1.1", "mtu": 1400}],
  "routes": [
    {"prefix": "10.3.0.0/16", "nextHops": [{"port": "b", "gateway": "10.0.1.2"}]},
    {"prefix": "10.4.0.0/16", "nextHops": [{"port": "vx", "remote": "10.0.1.9"}]}],
  "neighbours": [
    {"port": "a", "address": "10.0.0.2", "mac": "02:00:00:00:00:a2"},
    {"port": "b", "address": "10.0.1.2", "mac": "02:00:00:00:00:b2"},
    {"port": "b", "address": "10.0.1.9", "mac": "02:00:00:00:00:b9"}],
  "conntrack": {"maxFlows": 1024})";

/// The UDP destination port of the packet in $slot, as it lies in memory.
std::string destination_port() {
  return "(i32.load16_u offset=" + std::to_string(abi::kSlotHeadOffset + 2) + " (i32.add (local.get $slot) " +
         load16(abi::kSlotL4Offset) + "))";
}

/// `code` for packets to this port.
std::string at_port(uint16_t port, const std::string& code) {
  return "(if (i32.eq " + destination_port() + i32(static_cast<uint16_t>(port >> 8 | port << 8)) + ") (then " + code +
         "))";
}

std::string verdict(abi::Verdict verdict) {
  return store8(abi::kSlotVerdict, i32(static_cast<uint32_t>(verdict)));
}

std::string drop(uint32_t reason) {
  return verdict(abi::Verdict::DROP) + store16(abi::kSlotReason, i32(reason));
}

StageText marker() {
  StageText stage;
  stage.imports = R"((import "sluice" "trace" (func $trace (param i32 i32 i64))))";
  stage.manifest = {{"writes", true}, {"traceValues", {"unused", "port"}}};
  const auto mark = [](int dscp) {
    return "(i32.store8 offset=" + std::to_string(abi::kSlotHeadOffset + 1) + " (local.get $slot) (i32.const " +
           std::to_string(dscp) + "))";
  };
  // The IPv4 checksum stays as it was, so what is parsed again is not marked.
  stage.process =
      for_each_slot(mark(0xb8) + at_port(2007, mark(0)) + at_port(2008, mark(0)) + set_flag(1) +
                    "(call $trace (local.get $slot) (i32.const 1) (i64.extend_i32_u " + destination_port() + "))");
  return stage;
}

StageText gate() {
  StageText stage;
  stage.manifest = {{"dropReasons", {"not-today"}}, {"flowState", {{"size", 8}, {"schema", 1}}}};
  stage.process = for_each_slot(
      at_port(2001, drop(abi::PLUGIN_REASON_BASE)) +
      at_port(2002, drop(static_cast<uint32_t>(abi::DropReason::Policy))) + at_port(2003, "(unreachable)") +
      at_port(2006, verdict(abi::Verdict::REDIRECT) + store16(abi::kSlotOutPort, i32(1))) +
      at_port(2007, verdict(abi::Verdict::REINPUT)) + at_port(2008, verdict(abi::Verdict::REPLY)) +
      store16(abi::kSlotFlowState, destination_port()) + set_flag(2));
  return stage;
}

}  // namespace

void WatchedNode::SetUp() {
  static int number = 0;
  ASSERT_NO_FATAL_FAILURE(start_node("observed" + std::to_string(number++), node_));
  const std::string plugins = R"([{"name": "marker", "digest": ")" + add(marker()) +
                              R"("}, {"name": "gate", "failure": "Reload", "digest": ")" + add(gate()) + R"("}])";
  const Status applied = apply(plugins, R"({"forward": ["marker", "gate"]})");
  ASSERT_TRUE(applied.ok()) << applied.error().path << " " << applied.error().message;
}

std::string WatchedNode::add(const StageText& stage) {
  const std::vector<uint8_t> module = stage.build();
  const auto added = node_->wasm().add_module(digest_of(module), module.data(), module.size());
  EXPECT_TRUE(added.ok()) << added.error().message;
  return digest_of(module);
}

Status WatchedNode::apply(const std::string& plugins, const std::string& pipeline) {
  const auto state =
      parse_desired_state(std::string(kPorts) + R"(, "plugins": )" + plugins + R"(, "pipeline": )" + pipeline + "}");
  return state ? node_->apply(state.value()) : Status(state.error());
}

void WatchedNode::inject(const std::string& port, const Bytes& frame, uint16_t flags, uint16_t gso_size) {
  ASSERT_TRUE(InjectPort::of(node_->ports().find(port))->inject({frame, flags, gso_size}));
  for (const auto& worker : node_->workers()) worker->wake();
}

bool WatchedNode::eventually(const std::function<bool()>& done) {
  for (int tries = 0; tries < 400; tries++) {
    if (done()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

std::vector<Bytes> WatchedNode::collect(const std::string& port, size_t count) {
  std::vector<Bytes> frames;
  eventually([&] {
    for (auto& frame : InjectPort::of(node_->ports().find(port))->collect()) frames.push_back(std::move(frame.bytes));
    return frames.size() >= count;
  });
  return frames;
}

uint64_t WatchedNode::drops() {
  uint64_t sum = 0;
  for (const auto& worker : node_->workers()) {
    for (const auto& count : worker->context().counters.drops) sum += count.load();
  }
  return sum;
}

}  // namespace sluice::testing
