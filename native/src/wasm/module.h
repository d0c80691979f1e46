#pragma once

#include <wasmtime/module.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "wasm/engine.h"
#include "wasm/host_functions.h"
#include "wasm/manifest.h"
#include "wasm/module_cache.h"

namespace sluice {

/// A checked and compiled module. Immutable; shared by its instances.
class WasmModule {
 public:
  /// Checks the bytes against `digest` (sha-256, hex) and the ABI, and compiles them or takes them from the cache.
  /// Trouble with the cache is added to `messages` and is no error.
  static Result<std::shared_ptr<const WasmModule>> load(std::shared_ptr<WasmEngine> engine, const ModuleCache& cache,
                                                        const std::string& digest, const uint8_t* bytes, size_t size,
                                                        std::vector<std::string>& messages);
  ~WasmModule() { wasmtime_module_delete(compiled_); }
  WasmModule(const WasmModule&) = delete;
  WasmModule& operator=(const WasmModule&) = delete;

  const wasmtime_module_t* compiled() const { return compiled_; }
  const std::shared_ptr<WasmEngine>& engine() const { return engine_; }

  std::string digest;
  Manifest manifest;
  bool has_init = false, has_configure = false, has_migrate = false;
  std::vector<const HostFunction*> imports;  ///< in the module's order

 private:
  WasmModule(std::shared_ptr<WasmEngine> engine, wasmtime_module_t* compiled)
      : engine_(std::move(engine)), compiled_(compiled) {}

  std::shared_ptr<WasmEngine> engine_;
  wasmtime_module_t* compiled_;
};

}  // namespace sluice
