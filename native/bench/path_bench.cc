// The packet path of a node with real workers: from a port's receive() to its transmit(), the ports' own cost
// subtracted.

#include <rte_cycles.h>

#include <algorithm>
#include <thread>

#include "bench_node.h"
#include "measure.h"

namespace sluice::bench {

namespace {

constexpr uint32_t kService = 0xac10000a;  ///< 172.16.0.10, as in nat.json
constexpr uint64_t kPackets = 256 * 1024;

/// A client and source port for each flow, in an order that no prefetcher knows.
std::vector<Frame> requests(uint16_t worker, uint32_t flows, uint32_t destination) {
  std::vector<uint32_t> order(flows);
  for (uint32_t i = 0; i < flows; i++) order[i] = i;
  uint64_t random = 42;
  for (uint32_t i = flows - 1; i > 0; i--) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    std::swap(order[i], order[random % (i + 1)]);
  }
  const auto in = static_cast<uint16_t>(2 * worker);
  std::vector<Frame> frames;
  frames.reserve(flows);
  for (const uint32_t i : order) {
    const uint32_t client = 0x0a000000u + (uint32_t{in} << 21) + 1 + (i >> 4);
    frames.push_back(udp_frame(BenchNode::port_mac(in), BenchNode::peer_mac(in), client, destination,
                               static_cast<uint16_t>(1024 + (i & 15)), 80));
  }
  return frames;
}

/// Sends each flow's first request and its answer, so that all are established.
void establish(BenchNode& node, uint16_t worker, uint32_t flows, uint32_t destination) {
  GeneratorPort& clients = node.clients(worker);
  GeneratorPort& servers = node.servers(worker);
  clients.load(requests(worker, flows, destination));
  servers.keep(flows);
  const uint64_t answered = clients.sunk();
  clients.run(flows);
  std::vector<Frame> answers;
  for (const Frame& request : servers.take_kept()) answers.push_back(answer_to(request, servers.mac));
  if (answers.size() != flows) throw std::runtime_error("not every request came to a server");
  servers.load(std::move(answers));
  servers.run(flows);
  if (clients.sunk() - answered != flows) throw std::runtime_error("not every answer came back");
}

/// A node that only forwards, and one with a service and a policy, each with its flows established.
struct Contenders {
  Contenders(const Options& options, uint32_t flows) : plain(setup(options, flows)), served(setup(options, flows)) {
    served.use({
        {"nat", read_file(options.configs + "/nat.json"), {abi::Hook::PREROUTING, abi::Hook::POSTROUTING}},
        {"policy", read_file(options.configs + "/policy.json"), {abi::Hook::FORWARD}},
    });
    establish(plain, 0, flows, 0x0a810001);
    establish(served, 0, flows, kService);
  }
  void check_drops() const {
    plain.check_drops();
    served.check_drops();
  }

  BenchNode plain, served;

 private:
  static BenchNode::Setup setup(const Options& options, uint32_t flows) {
    BenchNode::Setup setup;
    setup.max_flows = flows + flows / 4 + 1024;
    setup.modules = options.modules;
    setup.cores = {options.core};
    return setup;
  }
};

/// At one rate for both nodes: p50 and p99 of each round, ns.
class Delays {
 public:
  explicit Delays(uint64_t pace) : pace_(pace) {}

  void run(BenchNode& node, std::vector<double> (&percentiles)[2]) const {
    constexpr uint64_t kPaced = 100'000;
    node.clients().pace(pace_);
    node.clients().run(kPaced);
    node.clients().pace(0);
    std::vector<uint32_t> delays = node.servers().take_delays();
    std::sort(delays.begin(), delays.end());
    const double to_ns = 1e9 / static_cast<double>(rte_get_tsc_hz());
    percentiles[0].push_back(delays.at(delays.size() / 2) * to_ns);
    percentiles[1].push_back(delays.at(delays.size() * 99 / 100) * to_ns);
  }

 private:
  const uint64_t pace_;
};

/// Cycles from packet to packet at the highest rate, the ports' own included.
uint64_t cycles_at_full_rate(BenchNode& node) {
  const uint64_t start = rte_rdtsc();
  node.clients().run(kPackets);
  return (rte_rdtsc() - start) / kPackets;
}

}  // namespace

std::vector<Figure> service_path(const Options& options, uint32_t flows) {
  Contenders nodes(options, flows);
  const auto run = [flows](BenchNode& node) { return node.clients().run(std::max<uint64_t>(kPackets, flows)); };
  const auto cycles = interleave(options.rounds, {[&] { return run(nodes.plain); }, [&] { return run(nodes.served); }});
  nodes.check_drops();
  const std::string name = flows >= 1'000'000 ? "1m" : std::to_string(flows / 1000) + "k";
  return {{"service-path-" + name, "cycles/packet", cycles[1], {{"forward alone", cycles[0]}}}};
}

/// At a tenth of the rate that the node with the service reaches.
std::vector<Figure> latency(const Options& options) {
  Contenders nodes(options, 10'000);
  const Delays delays(10 * cycles_at_full_rate(nodes.served));
  std::vector<double> plain[2], served[2];
  for (int round = 0; round < options.rounds; round++) {
    delays.run(nodes.plain, plain);
    delays.run(nodes.served, served);
  }
  nodes.check_drops();
  return {{"latency-p50", "ns", median(served[0]), {{"forwarding only", median(plain[0])}}},
          {"latency-p99", "ns", median(served[1]), {{"forwarding only", median(plain[1])}}}};
}

std::vector<Figure> two_workers(const Options& options) {
  constexpr uint32_t kFlows = 10'000;
  BenchNode::Setup setup;
  setup.modules = options.modules;
  setup.workers = 2;
  setup.cores = {0, 1};
  BenchNode node(setup);
  for (const uint16_t worker : {uint16_t{0}, uint16_t{1}}) {
    establish(node, worker, kFlows, worker == 0 ? 0x0a810001 : 0x0a830001);
  }
  // Packets a cycle of the one, and of both at once.
  const auto one = [&] { return 1 / node.clients(0).run(4 * kPackets); };
  const auto both = [&] {
    double second = 0;
    std::thread other([&] { second = 1 / node.clients(1).run(4 * kPackets); });
    const double first = 1 / node.clients(0).run(4 * kPackets);
    other.join();
    return first + second;
  };
  const auto rates = interleave(options.rounds, {both, one});
  return {{"scale-2", "packets/kilocycle", 1000 * rates[0], {{"one worker", 1000 * rates[1]}}}};
}

}  // namespace sluice::bench
