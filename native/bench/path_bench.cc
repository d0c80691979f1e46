// The packet path of a node with real workers: from a port's receive() to its transmit(), the ports' own cost
// subtracted.

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

}  // namespace

std::vector<Figure> service_path(const Options& options, uint32_t flows) {
  BenchNode::Setup setup;
  setup.max_flows = flows + flows / 4 + 1024;
  setup.modules = options.modules;
  setup.cores = {options.core};
  const std::vector<StageUse> service = {
      {"nat", read_file(options.configs + "/nat.json"), {abi::Hook::PREROUTING, abi::Hook::POSTROUTING}},
      {"policy", read_file(options.configs + "/policy.json"), {abi::Hook::FORWARD}},
  };
  BenchNode plain(setup), served(setup);
  served.use(service);
  establish(plain, 0, flows, 0x0a810001);
  establish(served, 0, flows, kService);
  const auto run = [flows](BenchNode& node) { return node.clients().run(std::max<uint64_t>(kPackets, flows)); };
  const auto cycles = interleave(options.rounds, {[&] { return run(plain); }, [&] { return run(served); }});
  plain.check_drops();
  served.check_drops();
  const std::string name = flows >= 1'000'000 ? "1m" : std::to_string(flows / 1000) + "k";
  return {{"service-path-" + name, "cycles/packet", cycles[1], {{"forward alone", cycles[0]}}}};
}

std::vector<Figure> forward(const Options& options) {
  constexpr uint32_t kFlows = 10'000;
  BenchNode::Setup setup;
  setup.modules = options.modules;
  setup.cores = {options.core};
  BenchNode node(setup);
  establish(node, 0, kFlows, 0x0a810001);
  std::vector<Figure> figures;
  for (const uint16_t burst : {32, 256}) {
    node.clients().set_burst(burst);
    const auto cycles = interleave(options.rounds, {[&] { return node.clients().run(2 * kPackets); }});
    figures.push_back({"forward-b" + std::to_string(burst), "cycles/packet", cycles[0], {}});
  }
  node.check_drops();
  return figures;
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
