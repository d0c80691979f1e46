// The flow table: memory a flow with two plugins' state in it, and how fast flows begin.

#include <unistd.h>

#include <fstream>

#include "bench_node.h"
#include "core/clock.h"
#include "measure.h"

namespace sluice::bench {

namespace {

constexpr uint32_t kFlows = 4'000'000;
constexpr uint32_t kPart = 100'000;

uint64_t resident_bytes() {
  uint64_t size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

Frame nth(uint32_t i) {
  return udp_frame(BenchNode::port_mac(0), BenchNode::peer_mac(0), 0x0a000001 + (i >> 4), 0x0a810001,
                   static_cast<uint16_t>(1024 + (i & 15)), 80);
}

/// What a node with so many flows came to, begun by packets: parsed, tracked, routed, confirmed.
struct Begun {
  uint64_t resident_bytes;
  double seconds;
};

Begun begin_flows(const Options& options, uint32_t flows) {
  BenchNode::Setup setup;
  setup.max_flows = flows;
  setup.modules = options.modules;
  setup.cores = {options.core};
  BenchNode node(setup);
  double seconds = 0;
  for (uint32_t first = 0; first < flows; first += kPart) {
    std::vector<Frame> frames;
    frames.reserve(kPart);
    for (uint32_t i = 0; i < kPart; i++) frames.push_back(nth(first + i));
    node.clients().load(std::move(frames));
    const uint64_t start = read_clock(CLOCK_MONOTONIC);
    node.clients().run(kPart);
    seconds += static_cast<double>(read_clock(CLOCK_MONOTONIC) - start) * 1e-9;
  }
  if (node.flows().live() != flows) throw std::runtime_error("not every packet began a flow");
  return {resident_bytes(), seconds};
}

}  // namespace

/// A node's own memory is no flow's: what counts is what the flows beyond the first ones add.
std::vector<Figure> flow_insertion(const Options& options) {
  const uint64_t with_few = begin_flows(options, kPart).resident_bytes;
  const Begun all = begin_flows(options, kFlows);
  const double bytes = static_cast<double>(all.resident_bytes - with_few) / (kFlows - kPart);
  return {{"flows-memory", "bytes/flow", bytes, {}}, {"flows-insertion", "flows/s", kFlows / all.seconds, {}}};
}

}  // namespace sluice::bench
