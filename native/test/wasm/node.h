#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "testing/eal.h"
#include "wasm/host.h"
#include "wasm/modules.h"

namespace sluice::testing {

/// A host whose first worker is the test's thread, a flow area, two ports and what is needed to run bursts.
class Node {
 public:
  static constexpr uint32_t kFlows = 64, kStride = 128;

  explicit Node(const std::string& cache_dir = "", uint16_t workers = 1);

  /// Adds a module; the test fails when it is refused.
  std::string add(const StageText& stage) { return add(stage.build()); }
  std::string add(const std::vector<uint8_t>& module);
  /// The error code of a refused module, with its path: "module-memory module/memory".
  std::string refusal(const std::vector<uint8_t>& module);

  static PluginConfig plugin(const std::string& name, const std::string& digest, const std::string& config = "");
  /// All plugins at one hook, in this order.
  Result<std::shared_ptr<Pipeline>> prepare(const std::vector<PluginConfig>& plugins,
                                            abi::Hook hook = abi::Hook::FORWARD, bool for_shadow = false);
  /// Prepares and publishes; the test fails when it is refused.
  void run(const std::vector<PluginConfig>& plugins, abi::Hook hook = abi::Hook::FORWARD);
  void publish(std::shared_ptr<Pipeline> pipeline);

  /// A UDP packet over IPv4, 10.0.0.1:1000 > 10.0.0.2:2000, with `payload` bytes, parsed.
  rte_mbuf* udp(uint16_t payload = 16, PortId in_port = 1);
  /// A burst through the hook; what is left is in `passed`.
  void burst(std::vector<rte_mbuf*> packets, abi::Hook hook = abi::Hook::FORWARD);
  /// One packet through the hook: its bytes afterwards in hex, or "dropped <reason>", "redirected ...", "reinput ...",
  /// "reply ...".
  std::string outcome(rte_mbuf* packet, abi::Hook hook = abi::Hook::FORWARD);
  void free_all();

  PluginStatus status(const std::string& plugin);
  uint64_t counter(const std::string& plugin, const std::string& name);
  uint64_t drops(const std::string& plugin, const std::string& reason);

  std::mutex bursting;  ///< held for a burst: the host's own thread waits for its end like a node's
  std::function<void()> on_synchronize = [this] { std::lock_guard lock(bursting); };
  TestContext context;
  std::vector<uint8_t> flow_area;
  FlowSlots slots;
  std::unique_ptr<WasmHost> host;
  std::shared_ptr<Pipeline> pipeline;
  ChainOutput output;
  std::vector<rte_mbuf*> passed;
};

}  // namespace sluice::testing
