#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sluice::bench {

/// One line of the result.
struct Figure {
  std::string name, unit;
  double value;
  std::optional<std::pair<std::string, double>> reference;  ///< what it is compared with, and its value
};

double median(std::vector<double> values);

/// Runs contenders in turn, `rounds` times each, so that what else the machine does meets all of them alike. Each call
/// returns a figure; the medians come back in the same order. One round more is run first and not counted.
std::vector<double> interleave(int rounds, const std::vector<std::function<double()>>& contenders);

/// What the benchmarks run with.
struct Options {
  std::string modules;  ///< folder of compiled stages: empty.wasm, dnat.wasm, policy.wasm, nat.wasm
  std::string configs;  ///< folder of their configurations: policy.json, nat.json
  std::string frames;   ///< folder of what devices replay: requests.pcap, answers.pcap
  int core = -1;        ///< CPU of the measured worker
  int rounds = 15;
};

using Benchmark = std::function<std::vector<Figure>(const Options&)>;

std::vector<Figure> stage_empty(const Options& options);
std::vector<Figure> stage_nat(const Options& options);
std::vector<Figure> service_path(const Options& options, uint32_t flows);
std::vector<Figure> latency(const Options& options);
std::vector<Figure> forward_devices(const Options& options);
std::vector<Figure> timestamp_counter(const Options& options);
std::vector<Figure> flow_insertion(const Options& options);
std::vector<Figure> two_workers(const Options& options);
std::vector<Figure> hot_swap(const Options& options);

}  // namespace sluice::bench
