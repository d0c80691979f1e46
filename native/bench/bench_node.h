#pragma once

#include <rte_rcu_qsbr.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "conntrack/flow_table.h"
#include "generator_port.h"
#include "l3/neighbours.h"
#include "wasm/host.h"
#include "worker/worker.h"

namespace sluice::bench {

struct StageUse {
  std::string name;    ///< module NAME.wasm
  std::string config;  ///< JSON text; empty: none
  std::vector<abi::Hook> hooks;
};

/// A node with real workers, flow table, routing and stages whose ports are generators: worker w has its clients behind
/// port 2w and its servers behind port 2w + 1. Clients have the addresses 10.(2w).0.0/15 and on, servers 10.128.0.0/9.
class BenchNode {
 public:
  struct Setup {
    uint16_t workers = 1;
    uint32_t max_flows = 65536;
    std::vector<int> cores;  ///< of the workers; empty: unpinned
    std::string modules;     ///< folder
    uint32_t buffers = 16384;
    std::vector<std::string> devices;  ///< DPDK devargs of the ports, by number, in place of generators
  };
  explicit BenchNode(const Setup& setup);
  ~BenchNode();
  BenchNode(const BenchNode&) = delete;
  BenchNode& operator=(const BenchNode&) = delete;

  /// Publishes a pipeline of these stages, as a running node does. Throws what the host refuses.
  void use(const std::vector<StageUse>& stages);

  /// Of a node without devices.
  GeneratorPort& clients(uint16_t worker = 0) { return static_cast<GeneratorPort&>(*ports_[2 * worker]); }
  GeneratorPort& servers(uint16_t worker = 0) { return static_cast<GeneratorPort&>(*ports_[2 * worker + 1]); }
  Worker& worker(uint16_t id = 0) { return *workers_[id]; }
  FlowTable& flows() { return *flows_; }
  /// Throws when packets were dropped: a figure would be of no use.
  void check_drops() const;

  static rte_ether_addr port_mac(uint16_t port) { return {{0x02, 0, 0, 0, 0x0a, static_cast<uint8_t>(port)}}; }
  static rte_ether_addr peer_mac(uint16_t port) { return {{0x02, 0, 0, 0, 0x0b, static_cast<uint8_t>(port)}}; }

 private:
  std::unique_ptr<Port> make_port(uint16_t id, const Setup& setup);
  DesiredState state(uint16_t workers) const;
  const std::string& digest_of(const std::string& module);
  void publish(std::shared_ptr<Pipeline> pipeline);

  const std::string modules_;
  BufferPools pools_;
  std::unique_ptr<rte_rcu_qsbr, void (*)(rte_rcu_qsbr*)> rcu_;
  std::unique_ptr<FlowTable> flows_;
  std::unique_ptr<Neighbours> neighbours_;
  std::unique_ptr<WasmHost> wasm_;
  WorkerShared shared_;
  std::vector<uint64_t> spent_;  ///< by worker: cycles that its ports spent
  std::vector<std::unique_ptr<Port>> ports_;
  std::shared_ptr<const RoutingSnapshot> routing_;
  std::unique_ptr<NodeSnapshot> snapshot_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::map<std::string, std::string> digests_;
  uint64_t generation_ = 0;
};

/// Bytes of a file. Throws when there is none.
std::string read_file(const std::string& path);

}  // namespace sluice::bench
