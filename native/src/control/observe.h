#pragma once

#include <string>

#include "observe/observation.h"

namespace sluice {

// Observation's calls with options and results in JSON, as native/index.d.ts has them.

Result<uint32_t> start_trace(Observation& observation, const std::string& options);
Result<std::string> read_trace(Observation& observation, uint32_t id);
Result<uint32_t> start_capture(Observation& observation, const std::string& options);
std::string drops(Observation& observation);
Result<std::string> flows(Observation& observation, const std::string& query);
Result<std::string> profile(Observation& observation, const std::string& options);

}  // namespace sluice
