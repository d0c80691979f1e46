#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "wasm/manifest.h"

namespace sluice {

struct HistogramTotals {
  std::vector<uint64_t> bounds;
  std::vector<uint64_t> counts;  ///< one for each bound, one for what is above the last
  uint64_t sum = 0;
};

/// A plugin's own metrics by name, added up over instances.
struct MetricTotals {
  std::map<std::string, uint64_t> counters;
  std::map<std::string, int64_t> gauges;
  std::map<std::string, HistogramTotals> histograms;

  /// Adds what outlives an instance: counters and histograms. `cells` are laid out as the manifest says (abi.json,
  /// COUNTERS), and may be written to meanwhile. A histogram whose bounds are others than before starts anew.
  void add_lasting(const Manifest& manifest, const uint64_t* cells);
  void add_gauges(const Manifest& manifest, const uint64_t* cells);
};

/// Cells that a manifest's metrics take.
size_t metric_cells(const Manifest& manifest);

}  // namespace sluice
