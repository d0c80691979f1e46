#include "wasm/host_functions.h"

#include <algorithm>
#include <optional>
#include <string>

#include "core/tracer.h"
#include "wasm/instance.h"
#include "wasm/stage_call.h"

namespace sluice {

namespace {

using Values = wasmtime_val_raw_t*;

const char* name_of(abi::Import function) {
  return abi::kImports[static_cast<size_t>(function)].name;
}

/// A call of an import, with what it may be wrong about. Once refused, it stays so.
class Calling {
 public:
  Calling(void* env, abi::Import function)
      : instance_(*static_cast<WasmInstance*>(env)), function_(function), call_(instance_.call()) {
    if (call_ == nullptr) refuse("is of use only while process runs");
  }

  StageCall& call() { return *call_; }
  WasmInstance& instance() { return instance_; }
  wasm_trap_t* trap() const { return trap_; }
  bool refused() const { return trap_ != nullptr; }

  uint16_t slot(wasmtime_val_raw_t value) {
    const auto address = static_cast<uint32_t>(value.i32);
    const uint32_t from_first = address - Window::address(0);
    const uint32_t index = from_first / abi::kSlotStride;
    const bool is_slot = index < abi::kMaxSlots && from_first % abi::kSlotStride == 0;
    if (!refused() && !(is_slot && call_->requests().in_list(static_cast<uint16_t>(index)))) {
      refuse("slot " + std::to_string(address) + " is not in the list of this call");
    }
    return static_cast<uint16_t>(index);
  }

  /// A value that must not be above `most`; negative ones are.
  uint32_t number(const char* what, wasmtime_val_raw_t value, uint32_t most) {
    const auto number = static_cast<uint32_t>(value.i32);
    if (!refused() && number > most) {
      refuse(std::string(what) + " " + std::to_string(value.i32) + " is not from 0 to " + std::to_string(most));
    }
    return number;
  }

 private:
  void refuse(const std::string& message) {
    trap_ = instance_.refuse("import-misused", std::string(name_of(function_)) + ": " + message);
  }

  WasmInstance& instance_;
  const abi::Import function_;
  StageCall* call_;
  wasm_trap_t* trap_ = nullptr;
};

uint32_t copy_out(const rte_mbuf* packet, uint32_t offset, uint8_t* to, uint32_t length) {
  if (offset >= packet->pkt_len) return 0;
  length = std::min(length, packet->pkt_len - offset);
  uint32_t left = length;
  for (; left > 0; packet = packet->next) {
    if (offset >= packet->data_len) {
      offset -= packet->data_len;
      continue;
    }
    const uint32_t part = std::min(left, packet->data_len - offset);
    std::memcpy(to, rte_pktmbuf_mtod_offset(packet, const uint8_t*, offset), part);
    to += part;
    left -= part;
    offset = 0;
  }
  return length;
}

wasm_trap_t* read_payload(void* env, wasmtime_caller_t*, Values values, size_t) {
  Calling calling(env, abi::Import::ReadPayload);
  const uint16_t slot = calling.slot(values[0]);
  const auto offset = static_cast<uint32_t>(values[1].i32);
  const uint32_t length = calling.number("length", values[2], abi::kPayloadSize);
  if (calling.refused()) return calling.trap();
  const rte_mbuf* packet = calling.call().worker.packets[slot];
  values[0].i32 = static_cast<int32_t>(copy_out(packet, offset, calling.instance().memory(abi::kPayloadBase), length));
  return nullptr;
}

wasm_trap_t* emit(void* env, wasmtime_caller_t*, Values values, size_t) {
  Calling calling(env, abi::Import::Emit);
  const uint32_t length = calling.number("length", values[0], abi::kEmitSize);
  const uint32_t table = calling.number("table", values[1], UINT16_MAX);
  if (calling.refused()) return calling.trap();
  StageCall& call = calling.call();
  values[0].i32 =
      call.requests().emit(call.ctx, calling.instance().memory(abi::kEmitBase), length, static_cast<uint16_t>(table));
  return nullptr;
}

wasm_trap_t* mirror(void* env, wasmtime_caller_t*, Values values, size_t) {
  Calling calling(env, abi::Import::Mirror);
  const uint16_t slot = calling.slot(values[0]);
  const auto port = static_cast<uint32_t>(values[1].i32);
  const uint32_t length = calling.number("length", values[2], INT32_MAX);
  if (calling.refused()) return calling.trap();
  StageCall& call = calling.call();
  values[0].i32 = call.requests().mirror(call.ctx, slot, call.worker.packets[slot], port, length);
  return nullptr;
}

wasm_trap_t* trace(void* env, wasmtime_caller_t*, Values values, size_t) {
  Calling calling(env, abi::Import::Trace);
  const uint16_t slot = calling.slot(values[0]);
  if (calling.refused()) return calling.trap();
  StageCall& call = calling.call();
  const auto names = static_cast<uint32_t>(call.stage.plugin->manifest().trace_values.size());
  if (names == 0) return calling.instance().refuse("import-misused", "trace: the manifest names no traceValues");
  const uint32_t name = calling.number("name", values[1], names - 1);
  if (calling.refused()) return calling.trap();
  const rte_mbuf* packet = call.worker.packets[slot];
  const bool traced = has_flag(*meta_of(call.worker.packets[slot]), abi::Flag::TRACED);
  if (traced && call.ctx.tracer != nullptr && !call.dry) {
    call.ctx.tracer->trace_value(packet, call.stage, static_cast<uint16_t>(name), values[2].i64);
  }
  return nullptr;
}

wasm_trap_t* abort(void* env, wasmtime_caller_t*, Values values, size_t) {
  return static_cast<WasmInstance*>(env)->abort(static_cast<uint32_t>(values[0].i32),
                                                static_cast<uint32_t>(values[1].i32), values[2].i32, values[3].i32);
}

const abi::ImportType& type_of(abi::Import function) {
  return abi::kImports[static_cast<size_t>(function)];
}

const HostFunction kHostFunctions[] = {
    {"env", {"abort", "\x7f\x7f\x7f\x7f", ""}, abort},
    {abi::IMPORT_MODULE, type_of(abi::Import::ReadPayload), read_payload},
    {abi::IMPORT_MODULE, type_of(abi::Import::Emit), emit},
    {abi::IMPORT_MODULE, type_of(abi::Import::Mirror), mirror},
    {abi::IMPORT_MODULE, type_of(abi::Import::Trace), trace},
};
static_assert(std::size(kHostFunctions) == std::size(abi::kImports) + 1);

}  // namespace

const HostFunction* find_host_function(std::string_view module, std::string_view name) {
  const auto* const found = std::find_if(std::begin(kHostFunctions), std::end(kHostFunctions), [&](const auto& known) {
    return module == known.module && name == known.type.name;
  });
  return found == std::end(kHostFunctions) ? nullptr : found;
}

const char* host_function_names() {
  static const std::string names = [] {
    std::string text;
    for (const HostFunction& known : kHostFunctions) {
      text += (text.empty() ? "" : ", ") + std::string(known.module) + "." + known.type.name;
    }
    return text;
  }();
  return names.c_str();
}

}  // namespace sluice
