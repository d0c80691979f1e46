#include "wasm/node.h"

#include <netinet/in.h>

#include <algorithm>

#include "core/clock.h"

namespace sluice::testing {

Node::Node(const std::string& cache_dir, uint16_t workers) : flow_area(size_t{kFlows} * kStride) {
  slots = {flow_area.data() + sizeof(SlotMarks) + 4, kStride, flow_area.data(), kStride, kFlows, 64};
  WasmHostOptions options;
  options.cache_dir = cache_dir;
  options.workers = workers;
  options.flow_slots = slots;
  options.synchronize = [this] { on_synchronize(); };
  auto made = WasmHost::create(options);
  if (!made) throw std::runtime_error(made.error().message);
  host = std::move(made.value());
  context.add_port(1, "02:00:00:00:00:01").name = "one";
  context.add_port(2, "02:00:00:00:00:02").name = "two";
}

std::string Node::add(const std::vector<uint8_t>& module) {
  const std::string digest = digest_of(module);
  const auto added = host->add_module(digest, module.data(), module.size());
  EXPECT_TRUE(added.ok()) << added.error().code << " " << added.error().path << ": " << added.error().message;
  return digest;
}

std::string Node::refusal(const std::vector<uint8_t>& module) {
  const auto added = host->add_module(digest_of(module), module.data(), module.size());
  return added.ok() ? "accepted" : added.error().code + " " + added.error().path;
}

PluginConfig Node::plugin(const std::string& name, const std::string& digest, const std::string& config) {
  PluginConfig plugin;
  plugin.name = name;
  plugin.digest = digest;
  plugin.config = config;
  return plugin;
}

Result<std::shared_ptr<Pipeline>> Node::prepare(const std::vector<PluginConfig>& plugins, abi::Hook hook,
                                                bool for_shadow) {
  std::array<std::vector<std::string>, kHooks> hooks;
  for (const PluginConfig& plugin : plugins) hooks[static_cast<size_t>(hook)].push_back(plugin.name);
  return host->prepare(plugins, hooks, context.ports, for_shadow);
}

void Node::run(const std::vector<PluginConfig>& plugins, abi::Hook hook) {
  auto prepared = prepare(plugins, hook);
  ASSERT_TRUE(prepared.ok()) << prepared.error().code << " " << prepared.error().path << ": "
                             << prepared.error().message;
  publish(prepared.value());
}

void Node::publish(std::shared_ptr<Pipeline> next) {
  pipeline = std::move(next);
  host->committed(pipeline);
}

rte_mbuf* Node::udp(uint16_t payload, PortId in_port) {
  std::vector<uint8_t> bytes = from_hex("4500 0000 0000 0000 4011 0000 0a000001 0a000002 03e8 07d0 0000 0000");
  const auto length = static_cast<uint16_t>(bytes.size() + payload);
  bytes.resize(length, 0xab);
  bytes[2] = static_cast<uint8_t>(length >> 8);
  bytes[3] = static_cast<uint8_t>(length);
  rte_mbuf* packet = context.packet(bytes, in_port);
  PacketMeta& meta = *meta_of(packet);
  meta.out_port = kNoPort;
  meta.family = 4;
  meta.protocol = IPPROTO_UDP;
  meta.l4_offset = 20;
  meta.payload_offset = 28;
  return packet;
}

void Node::burst(std::vector<rte_mbuf*> packets, abi::Hook hook) {
  context.worker.now_ns = read_clock(CLOCK_MONOTONIC);
  context.worker.wall_ns = read_clock(CLOCK_REALTIME);
  auto count = static_cast<uint16_t>(packets.size());
  {
    std::lock_guard lock(bursting);
    pipeline->run(context.worker, hook, packets.data(), count, output);
  }
  passed.assign(packets.begin(), packets.begin() + count);
}

std::string Node::outcome(rte_mbuf* packet, abi::Hook hook) {
  std::array<uint64_t, abi::kDropReasonCount> before;
  for (size_t i = 0; i < before.size(); i++) before[i] = context.worker.counters.drops[i];
  burst({packet}, hook);
  std::string result = "lost";
  for (size_t i = 0; i < before.size(); i++) {
    if (context.worker.counters.drops[i] != before[i]) result = std::string("dropped ") + abi::kDropReasonNames[i];
  }
  if (!passed.empty()) result = to_hex(passed[0]);
  if (output.redirected_count > 0) result = "redirected " + std::to_string(meta_of(output.redirected[0])->out_port);
  if (output.reinput_count > 0) result = "reinput " + to_hex(output.reinput[0]);
  if (output.reply_count > 0) result = "reply " + to_hex(output.replies[0]);
  free_all();
  return result;
}

void Node::free_all() {
  rte_pktmbuf_free_bulk(passed.data(), static_cast<unsigned>(passed.size()));
  rte_pktmbuf_free_bulk(output.redirected, output.redirected_count);
  rte_pktmbuf_free_bulk(output.reinput, output.reinput_count);
  rte_pktmbuf_free_bulk(output.replies, output.reply_count);
  passed.clear();
  output.redirected_count = output.reinput_count = output.reply_count = 0;
}

PluginStatus Node::status(const std::string& name) {
  for (PluginStatus& status : host->status()) {
    if (status.name == name) return status;
  }
  ADD_FAILURE() << "no plugin " << name;
  return {};
}

uint64_t Node::counter(const std::string& plugin, const std::string& name) {
  for (const auto& [key, value] : status(plugin).totals.counters) {
    if (key == name) return value;
  }
  return 0;
}

uint64_t Node::drops(const std::string& plugin, const std::string& reason) {
  for (const auto& [key, value] : status(plugin).totals.drops) {
    if (key == reason) return value;
  }
  return 0;
}

}  // namespace sluice::testing
