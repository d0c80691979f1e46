#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "generated/abi.h"

namespace sluice {

struct Histogram {
  std::string name;
  std::vector<uint64_t> bounds;  ///< ascending; a value belongs to the first that it is not above
};

/// What a module says about itself, in its custom section abi::MANIFEST_SECTION (JSON; docs/architecture.md, "Stages").
struct Manifest {
  std::string name;
  std::string version;
  std::vector<abi::Hook> hooks;
  uint16_t header_bytes = 0;           ///< header bytes it wants in the window
  bool writes = false;                 ///< may change header bytes or move the head
  bool settles = false;                ///< may settle flows
  uint16_t flow_size = 0;              ///< bytes of its flow slot; 0: none
  uint8_t flow_schema = 0;             ///< 1 to 255 where there is a flow slot
  std::vector<uint8_t> migrates_from;  ///< schema versions that its `migrate` takes
  std::vector<std::string> counters;
  std::vector<std::string> gauges;
  std::vector<Histogram> histograms;
  std::vector<std::string> trace_values;  ///< names for the import `trace`, by index
  std::vector<std::string> drop_reasons;  ///< number abi::PLUGIN_REASON_BASE + index
  uint32_t segment_bytes = 0;
  std::string failure;        ///< FailClosed, FailOpen or Reload: the author's default
  std::string config_schema;  ///< JSON text; empty: none

  bool has_hook(abi::Hook hook) const;
};

constexpr size_t kHooks = 5;
const char* hook_name(abi::Hook hook);  ///< "forward"
std::optional<abi::Hook> hook_named(std::string_view name);

/// Reads and checks the section's text. Errors have code manifest-invalid, or module-wrong-abi for another ABI version,
/// and a path such as "manifest/flowState/size".
Result<Manifest> parse_manifest(std::string_view json);

}  // namespace sluice
