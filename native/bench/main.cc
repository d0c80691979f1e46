// Benchmarks of the packet path. Prints one JSON object a line: {"name", "unit", "value", "reference"?, "ratio"?}.

#include <getopt.h>

#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "core/eal.h"
#include "measure.h"

namespace sluice::bench {

namespace {

struct Named {
  const char* name;
  Benchmark run;
};

const Named kBenchmarks[] = {
    {"stage-empty", stage_empty},
    {"stage-nat", stage_nat},
    {"service-path-10k", [](const Options& options) { return service_path(options, 10'000); }},
    {"service-path-1m", [](const Options& options) { return service_path(options, 1'000'000); }},
    {"latency", latency},
    {"forward-devices", forward_devices},
    {"tsc", timestamp_counter},
    {"scale-2", two_workers},
    {"hot-swap", hot_swap},
    {"flows", flow_insertion},
};

int usage(FILE* to) {
  std::fprintf(
      to,
      "sluice_bench --modules DIR --configs DIR [--frames DIR] [--core N] [--rounds N] [--memory MiB] NAME...\nNames:");
  for (const Named& each : kBenchmarks) std::fprintf(to, " %s", each.name);
  std::fprintf(to, "\n");
  return to == stdout ? 0 : 2;
}

void print(const Figure& figure) {
  nlohmann::json line = {{"name", figure.name}, {"unit", figure.unit}, {"value", figure.value}};
  if (figure.reference) {
    line["reference"] = {{"name", figure.reference->first}, {"value", figure.reference->second}};
    if (figure.reference->second != 0) line["ratio"] = figure.value / figure.reference->second;
  }
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

const Named* find(const char* name) {
  for (const Named& each : kBenchmarks) {
    if (std::strcmp(each.name, name) == 0) return &each;
  }
  return nullptr;
}

int main(int argc, char** argv) {
  Options options;
  EalOptions eal;
  eal.name = "bench";
  eal.memory_mb = 2048;
  const option known[] = {{"modules", 1, nullptr, 'm'}, {"configs", 1, nullptr, 'c'}, {"core", 1, nullptr, 'k'},
                          {"frames", 1, nullptr, 'f'},  {"rounds", 1, nullptr, 'r'},  {"memory", 1, nullptr, 'M'},
                          {"help", 0, nullptr, 'h'},    {nullptr, 0, nullptr, 0}};
  for (int option; (option = getopt_long(argc, argv, "", known, nullptr)) != -1;) {
    if (option == 'm') options.modules = optarg;
    if (option == 'c') options.configs = optarg;
    if (option == 'f') options.frames = optarg;
    if (option == 'k') options.core = std::atoi(optarg);
    if (option == 'r') options.rounds = std::atoi(optarg);
    if (option == 'M') eal.memory_mb = static_cast<uint32_t>(std::atoi(optarg));
    if (option == 'h') return usage(stdout);
    if (option == '?') return usage(stderr);
  }
  for (int i = optind; i < argc; i++) {
    if (find(argv[i]) == nullptr) return usage(stderr);
  }
  if (optind == argc || options.rounds < 1) return usage(stderr);
  const auto started = start_eal(eal);
  if (!started) throw std::runtime_error(started.error().message);
  std::fprintf(stderr, "%s\n", started.value().message.c_str());
  for (int i = optind; i < argc; i++) {
    for (const Figure& figure : find(argv[i])->run(options)) print(figure);
  }
  return 0;
}

}  // namespace

}  // namespace sluice::bench

int main(int argc, char** argv) {
  try {
    return sluice::bench::main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sluice_bench: %s\n", error.what());
    return 1;
  }
}
