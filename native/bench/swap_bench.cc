// Swaps under full load: packets lost, and the longest time that its own work or waiting kept the worker from its
// next poll; beside it, the longest one in as long a time without swaps.

#include <atomic>
#include <chrono>
#include <thread>

#include "bench_node.h"
#include "measure.h"

namespace sluice::bench {

std::vector<Figure> hot_swap(const Options& options) {
  constexpr int kSwaps = 100;
  BenchNode::Setup setup;
  setup.modules = options.modules;
  setup.cores = {options.core};
  BenchNode node(setup);
  std::vector<Frame> frames;
  for (uint32_t i = 0; i < 10'000; i++) {
    frames.push_back(udp_frame(BenchNode::port_mac(0), BenchNode::peer_mac(0), 0x0a000001 + i, 0x0a810001, 1000, 80));
  }
  const std::vector<StageUse> versions[] = {{{"empty", "", {abi::Hook::FORWARD}}},
                                            {{"dnat", "{\"targets\": 100}", {abi::Hook::FORWARD}}}};
  node.use(versions[0]);
  node.clients().load(frames);
  node.clients().watch_gaps(true);
  uint64_t sent = 0;
  std::atomic<bool> stop{false};
  std::thread load([&] {
    while (!stop) {
      node.clients().run(1'000'000);
      sent += 1'000'000;
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  node.clients().take_longest_gap();
  const auto begun = std::chrono::steady_clock::now();
  for (int swap = 1; swap <= kSwaps; swap++) node.use(versions[swap % 2]);
  const auto longest = static_cast<double>(node.clients().take_longest_gap());
  std::this_thread::sleep_for(std::chrono::steady_clock::now() - begun);
  const auto quiet = static_cast<double>(node.clients().take_longest_gap());
  stop = true;
  load.join();
  return {{"hot-swap",
           "packets lost",
           static_cast<double>(sent - node.servers().sunk()),
           {{"packets sent", static_cast<double>(sent)}}},
          {"hot-swap-stall", "us", longest / 1000, {{"longest without a swap", quiet / 1000}}}};
}

}  // namespace sluice::bench
