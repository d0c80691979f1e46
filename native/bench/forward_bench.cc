// Forwarding between DPDK devices that replay frames: what is compared with other programs over the same devices.

#include <pthread.h>
#include <rte_cycles.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "bench_node.h"
#include "measure.h"

namespace sluice::bench {

namespace {

constexpr auto kWarmUp = std::chrono::milliseconds(300), kMeasured = std::chrono::milliseconds(500);

/// CPU time of a thread of this process, ns.
uint64_t cpu_time(pid_t thread) {
  uint64_t on_cpu = 0;
  std::ifstream("/proc/self/task/" + std::to_string(thread) + "/schedstat") >> on_cpu;
  return on_cpu;
}

}  // namespace

/// Both devices replay: one the requests of 10,000 flows, the other their answers, so that all flows are established.
std::vector<Figure> forward_devices(const Options& options) {
  BenchNode::Setup setup;
  setup.modules = options.modules;
  setup.cores = {options.core};
  setup.buffers = 65536;
  for (const char* name : {"requests", "answers"}) {
    setup.devices.push_back("net_pcap" + std::to_string(setup.devices.size()) + ",rx_pcap=" + options.frames + "/" +
                            name + ".pcap,infinite_rx=1");
  }
  BenchNode node(setup);
  std::this_thread::sleep_for(kWarmUp);
  const WorkerCounters& counters = node.worker().context().counters;
  const uint64_t packets = counters.transmitted.load(), time = cpu_time(node.worker().thread());
  std::this_thread::sleep_for(kMeasured);
  const auto sent = static_cast<double>(counters.transmitted.load() - packets);
  const auto spent = static_cast<double>(cpu_time(node.worker().thread()) - time);
  node.check_drops();
  if (sent == 0) throw std::runtime_error("nothing was forwarded");
  return {{"forward-devices", "ns/packet", spent / sent, {}}};
}

std::vector<Figure> timestamp_counter(const Options&) {
  return {{"tsc", "Hz", static_cast<double>(rte_get_tsc_hz()), {}}};
}

}  // namespace sluice::bench
