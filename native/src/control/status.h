#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "control/port_set.h"
#include "wasm/host.h"
#include "worker/worker.h"

namespace sluice {

// What native/index.d.ts shows of a running node, as JSON.

/// By name: {bounds, counts, sum}.
nlohmann::json histograms_json(const MetricTotals& totals);
nlohmann::json manifest_json(const Manifest& manifest);
nlohmann::json workers_json(const std::vector<std::unique_ptr<Worker>>& workers);
nlohmann::json ports_json(const PortSet& ports);
nlohmann::json stages_json(const std::vector<PluginStatus>& plugins);
/// Drops of all workers by reason name, those that are not zero.
nlohmann::json drops_json(const std::vector<std::unique_ptr<Worker>>& workers);
nlohmann::json buffers_json(const BufferPools& pools);
nlohmann::json shadow_json(const ShadowReport& report, const std::string& plugin);

}  // namespace sluice
