#pragma once

#include <string>

#include "control/node.h"
#include "core/error.h"

namespace sluice {

/// Runs one data row of a stage's tests in a packet thread: `request` is {"wasm": hex, "row": Row}, the result a
/// RowResult, as sdk/src/testing/rows.ts describes them. The stage gets instances, flow slots and counters of its own;
/// nothing that runs is touched.
///
/// {"bench": [{"wasm": hex, "row": Row}, ...]} times stages against each other instead, each on its row's packets: a
/// multiple of 256, for one hook. The result is {"tscHz": n, "cycles": [{"burst": 32, "stages": [cycles a packet, in
/// the order of the stages]}, {"burst": 256, ...}]}, or {"trap": ...} when a stage failed.
Result<std::string> run_stage(Node& node, const std::string& request);

}  // namespace sluice
