#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conntrack/flow_table.h"
#include "control/desired_state.h"
#include "wasm/flow_slots.h"

namespace sluice {

struct FlowQuery {
  uint32_t max = 0;
  uint32_t first = 0;  ///< number to begin with
  std::optional<IpAddress> address;
  std::optional<uint16_t> port;
  std::optional<uint8_t> protocol;
};

/// A flow for an operator, as native/index.d.ts has it.
struct FlowRow {
  struct Side {
    std::string source, destination;
    uint16_t source_port, destination_port;
  };
  uint32_t number;
  uint8_t protocol;
  Side original, reply;
  std::string state;
  uint64_t idle_ms, expires_in_ms;
  std::vector<std::pair<std::string, std::string>> slots;  ///< by plugin, hex
};

/// Up to `max` flows in the order of their numbers. `now_ns`: CLOCK_MONOTONIC.
std::vector<FlowRow> list_flows(FlowTable& flows, const SlotRegistry& slots, const FlowQuery& query, uint64_t now_ns);

}  // namespace sluice
