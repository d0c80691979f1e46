// Stages on prepared packets, without ports: what the host and the stage cost a packet.

#include <rte_cycles.h>
#include <rte_malloc.h>

#include <algorithm>

#include "bench_node.h"
#include "dnat.h"
#include "measure.h"
#include "wasm/sha256.h"

namespace sluice::bench {

namespace {

constexpr uint32_t kTargets = 10'000;
/// In work at once. A worker's buffers come out of its pool cache last in, first out, so a busy worker uses about this
/// many over and over.
constexpr uint32_t kPackets = 512;

/// Parsed 64-byte packets to targets picked at random, in bursts as a worker has them.
class Packets {
 public:
  Packets() : pools_(make_buffer_pools("packets", 8192, 16).value()), packets_(kPackets) {
    uint64_t random = 99;
    for (rte_mbuf*& packet : packets_) {
      random ^= random << 13, random ^= random >> 7, random ^= random << 17;
      const Frame frame =
          udp_frame({}, {}, 0xc0000201, 0x0a000000 + static_cast<uint32_t>(random % kTargets), 1000, 80);
      packet = rte_pktmbuf_alloc(pools_.packets);
      std::memcpy(rte_pktmbuf_append(packet, kFrameBytes), frame.data(), kFrameBytes);
      rte_pktmbuf_adj(packet, RTE_ETHER_HDR_LEN);
      PacketMeta& meta = *meta_of(packet);
      meta = {};
      meta.l2_length = RTE_ETHER_HDR_LEN;
      meta.family = 4;
      meta.protocol = IPPROTO_UDP;
      meta.l4_offset = sizeof(rte_ipv4_hdr);
      meta.payload_offset = sizeof(rte_ipv4_hdr) + sizeof(rte_udp_hdr);
      meta.out_port = kNoPort;
    }
  }
  ~Packets() {
    rte_pktmbuf_free_bulk(packets_.data(), kPackets);
    free_buffer_pools(pools_);
  }

  /// Cycles a packet of `work`, which is given one burst after the other: the median of runs that are short, so that
  /// most are over before the thread is taken off its core.
  template <typename Work>
  double cycles(uint16_t burst, Work&& work) {
    constexpr int kRuns = 15, kPasses = 16;
    std::vector<double> runs;
    for (int run = 0; run < kRuns; run++) {
      const uint64_t start = rte_rdtsc_precise();
      for (int pass = 0; pass < kPasses; pass++) {
        for (uint32_t first = 0; first < kPackets; first += burst) work(packets_.data() + first, burst);
      }
      runs.push_back(static_cast<double>(rte_rdtsc_precise() - start) / kPasses / kPackets);
    }
    return median(std::move(runs));
  }

 private:
  BufferPools pools_;
  std::vector<rte_mbuf*> packets_;
};

/// A pipeline with one stage, run on the calling thread.
class OneStage {
 public:
  OneStage(const Options& options, const std::string& module, const std::string& config) {
    WasmHostOptions host;
    host.perfmap = getenv("SLUICE_PERFMAP") != nullptr;
    host_ = std::move(WasmHost::create(std::move(host)).value());
    const std::string bytes = read_file(options.modules + "/" + module + ".wasm");
    PluginConfig plugin;
    plugin.name = module;
    plugin.digest = sha256_hex(bytes.data(), bytes.size());
    plugin.config = config;
    const auto added = host_->add_module(plugin.digest, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    if (!added) throw std::runtime_error(module + ": " + added.error().message);
    std::array<std::vector<std::string>, kHooks> hooks;
    hooks[static_cast<size_t>(abi::Hook::FORWARD)] = {module};
    auto pipeline = host_->prepare({plugin}, hooks, ports_);
    if (!pipeline) throw std::runtime_error(module + ": " + pipeline.error().message);
    pipeline_ = pipeline.value();
    host_->committed(pipeline_);
    context_.ports = &ports_;
  }

  void operator()(rte_mbuf** packets, uint16_t count) {
    const uint16_t before = count;
    pipeline_->run(context_, abi::Hook::FORWARD, packets, count, output_);
    if (count != before) throw std::runtime_error("the stage lost packets");
  }

 private:
  PortTable ports_;
  WorkerContext context_;
  ChainOutput output_;
  std::unique_ptr<WasmHost> host_;
  std::shared_ptr<Pipeline> pipeline_;
};

}  // namespace

std::vector<Figure> stage_empty(const Options& options) {
  Packets packets;
  OneStage empty(options, "empty", "");
  const auto cycles =
      interleave(options.rounds, {[&] { return packets.cycles(1, empty); }, [&] { return packets.cycles(32, empty); },
                                  [&] { return packets.cycles(256, empty); }});
  return {{"stage-empty-b1", "cycles/packet", cycles[0], {}},
          {"stage-empty-b32", "cycles/packet", cycles[1], {}},
          {"stage-empty-b256", "cycles/packet", cycles[2], {}}};
}

std::vector<Figure> stage_nat(const Options& options) {
  Packets packets;
  OneStage stage(options, "dnat", "{\"targets\": " + std::to_string(kTargets) + "}");
  const NativeDnat native(kTargets);
  std::vector<Figure> figures;
  for (const uint16_t burst : {32, 256}) {
    const auto cycles = interleave(
        options.rounds,
        {[&] { return packets.cycles(burst, stage); },
         [&] { return packets.cycles(burst, [&](rte_mbuf** each, uint16_t count) { native.process(each, count); }); }});
    figures.push_back(
        {"stage-nat-b" + std::to_string(burst), "cycles/packet", cycles[0], {{"same in C++", cycles[1]}}});
  }
  return figures;
}

}  // namespace sluice::bench
