#pragma once

#include <string>

#include "control/node.h"
#include "core/error.h"

namespace sluice {

/// Runs one data row of a stage's tests in a packet thread: `request` is {"wasm": hex, "row": Row}, the result a
/// RowResult, as sdk/src/testing/rows.ts describes them. The stage gets instances, flow slots and counters of its own;
/// nothing that runs is touched.
Result<std::string> run_stage(Node& node, const std::string& request);

}  // namespace sluice
