#include "wasm/module.h"

#include <optional>

#include "wasm/module_layout.h"
#include "wasm/sha256.h"
#include "wasm/trap.h"

namespace sluice {

namespace {

Error compile_error(wasmtime_error_t* failure) {
  std::string message = take_message(failure);
  constexpr size_t kShown = 400;
  if (message.size() > kShown) message = message.substr(0, kShown) + "...";
  if (message.find("bulk memory") != std::string::npos) {
    return Error{"module-bulk-memory", "module/code",
                 "uses a bulk memory instruction (" + message +
                     "); compile with bulk memory disabled (asc --disable bulk-memory)"};
  }
  return Error{"module-invalid", "module/code", message};
}

/// The compiled module from the cache, or null.
wasmtime_module_t* from_cache(WasmEngine& engine, const ModuleCache& cache, const std::string& key,
                              std::vector<std::string>& messages) {
  Result<std::vector<uint8_t>> code = cache.load(key);
  if (!code) {
    messages.push_back(code.error().path + ": " + code.error().message);
    return nullptr;
  }
  if (code.value().empty()) return nullptr;
  wasmtime_module_t* module = nullptr;
  wasmtime_error_t* error =
      wasmtime_module_deserialize(engine.get(), code.value().data(), code.value().size(), &module);
  if (error == nullptr) return module;
  messages.push_back("cached module " + key + " is of no use: " + take_message(error) +
                     "; the module is compiled instead");
  cache.remove(key);
  return nullptr;
}

void into_cache(const wasmtime_module_t* module, const ModuleCache& cache, const std::string& key,
                std::vector<std::string>& messages) {
  wasm_byte_vec_t code;
  if (wasmtime_error_t* error = wasmtime_module_serialize(module, &code); error != nullptr) {
    messages.push_back("module could not be serialized: " + take_message(error));
    return;
  }
  const Status stored = cache.store(key, code.data, code.size);
  wasm_byte_vec_delete(&code);
  if (!stored) messages.push_back("module cache " + stored.error().path + ": " + stored.error().message);
}

std::optional<Error> check_functions(const Manifest& manifest, const ModuleLayout& layout) {
  if (!manifest.migrates_from.empty() && !layout.has_migrate) {
    return Error{"manifest-invalid", "manifest/migratesFrom",
                 "names schema versions, but the module exports no 'migrate'"};
  }
  if (manifest.segment_bytes > 0 && !layout.has_configure) {
    return Error{"manifest-invalid", "manifest/segmentBytes",
                 "asks for a config segment, but the module exports no 'configure'"};
  }
  return std::nullopt;
}

}  // namespace

Result<std::shared_ptr<const WasmModule>> WasmModule::load(std::shared_ptr<WasmEngine> engine, const ModuleCache& cache,
                                                           const std::string& digest, const uint8_t* bytes, size_t size,
                                                           std::vector<std::string>& messages) {
  Result<ModuleLayout> layout = inspect_module(bytes, size);
  if (!layout) return layout.error();
  const std::string found = sha256_hex(bytes, size);
  if (found != digest) {
    return Error{"module-digest", "module", "has the digest " + found + ", not " + digest + " as announced"};
  }
  Result<Manifest> manifest = parse_manifest(layout.value().manifest);
  if (!manifest) return manifest.error();
  if (const auto error = check_functions(manifest.value(), layout.value())) return *error;

  const std::string key = ModuleCache::key(digest);
  wasmtime_module_t* compiled = cache.enabled() ? from_cache(*engine, cache, key, messages) : nullptr;
  if (compiled == nullptr) {
    wasmtime_error_t* error = wasmtime_module_new(engine->get(), bytes, size, &compiled);
    if (error != nullptr) return compile_error(error);
    if (cache.enabled()) into_cache(compiled, cache, key, messages);
  }
  std::shared_ptr<WasmModule> module(new WasmModule(std::move(engine), compiled));
  module->digest = digest;
  module->manifest = std::move(manifest.value());
  module->has_init = layout.value().has_init;
  module->has_configure = layout.value().has_configure;
  module->has_migrate = layout.value().has_migrate;
  module->imports = layout.value().imports;
  return std::shared_ptr<const WasmModule>(module);
}

}  // namespace sluice
