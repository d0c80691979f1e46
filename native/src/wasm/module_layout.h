#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "wasm/host_functions.h"

namespace sluice {

constexpr size_t kMaxModuleBytes = 16 << 20;

/// What a module's sections say, as far as the host needs it before compiling.
struct ModuleLayout {
  std::string_view manifest;                 ///< the manifest section's text, in the module's bytes
  std::vector<const HostFunction*> imports;  ///< in the module's order
  bool has_init = false;
  bool has_configure = false;
  bool has_migrate = false;
};

/// Reads a module's sections and holds them against the ABI: imports, exports and their types, the memory, the data
/// segments' places. The bytes may be anything. What lies inside functions is left to Wasmtime's validation.
/// Error codes: module-invalid, module-too-large, module-imports, module-exports, module-memory, module-data-segment,
/// module-bulk-memory, module-no-manifest.
Result<ModuleLayout> inspect_module(const uint8_t* bytes, size_t size);

}  // namespace sluice
