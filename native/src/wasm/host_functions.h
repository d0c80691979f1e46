#pragma once

#include <wasmtime/func.h>

#include <string_view>

#include "generated/abi.h"

namespace sluice {

/// A function that a module may import. `env` of `call` is the WasmInstance that calls it.
struct HostFunction {
  const char* module;
  abi::ImportType type;
  wasmtime_func_unchecked_callback_t call;
};

/// Null: there is none of this name.
const HostFunction* find_host_function(std::string_view module, std::string_view name);

/// "env.abort, sluice.emit, ...", for people.
const char* host_function_names();

}  // namespace sluice
