#include "wasm/metrics.h"

namespace sluice {

namespace {
uint64_t load(const uint64_t* cell) {
  return __atomic_load_n(cell, __ATOMIC_RELAXED);
}
}  // namespace

void MetricTotals::add_lasting(const Manifest& manifest, const uint64_t* cells) {
  for (const std::string& name : manifest.counters) counters[name] += load(cells++);
  cells += manifest.gauges.size();
  for (const Histogram& histogram : manifest.histograms) {
    HistogramTotals& total = histograms[histogram.name];
    if (total.bounds != histogram.bounds) total = {};
    total.bounds = histogram.bounds;
    total.counts.resize(histogram.bounds.size() + 1);
    for (uint64_t& count : total.counts) count += load(cells++);
    total.sum += load(cells++);
  }
}

void MetricTotals::add_gauges(const Manifest& manifest, const uint64_t* cells) {
  cells += manifest.counters.size();
  for (const std::string& name : manifest.gauges) gauges[name] += static_cast<int64_t>(load(cells++));
}

size_t metric_cells(const Manifest& manifest) {
  size_t cells = manifest.counters.size() + manifest.gauges.size();
  for (const Histogram& histogram : manifest.histograms) cells += histogram.bounds.size() + 2;
  return cells;
}

}  // namespace sluice
