#include "wasm/host_functions.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/tracer.h"
#include "wasm/instance.h"
#include "wasm/stage_call.h"

namespace sluice {

namespace {

using Values = wasmtime_val_raw_t*;

/// A call of an import. What is wrong with it makes a trap; the first one counts.
class Calling {
 public:
  Calling(void* env, abi::Import function)
      : instance_(*static_cast<WasmInstance*>(env)),
        name_(abi::kImports[static_cast<size_t>(function)].name),
        call_(instance_.call()) {
    if (call_ == nullptr) refuse(" is of use only while process runs");
  }

  StageCall& call() { return *call_; }
  WasmInstance& instance() { return instance_; }
  wasm_trap_t* trap() const { return trap_; }
  bool refused() const { return trap_ != nullptr; }
  void refuse(const std::string& why) {
    if (trap_ == nullptr) trap_ = instance_.refuse("import-misused", std::string(name_) + why);
  }

  uint16_t slot(wasmtime_val_raw_t value) {
    const uint32_t from_first = static_cast<uint32_t>(value.i32) - Window::address(0);
    const uint32_t index = from_first / abi::kSlotStride;
    const bool is_slot = index < abi::kMaxSlots && from_first % abi::kSlotStride == 0;
    if (!refused() && !(is_slot && call_->requests().in_list(static_cast<uint16_t>(index)))) {
      refuse(" of a slot that is not in the list");
    }
    return static_cast<uint16_t>(index);
  }

 private:
  WasmInstance& instance_;
  const char* const name_;
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
  const auto offset = static_cast<uint32_t>(values[1].i32), length = static_cast<uint32_t>(values[2].i32);
  if (length > abi::kPayloadSize) {
    calling.refuse(" of " + std::to_string(length) + " bytes, at most " + std::to_string(abi::kPayloadSize) + " fit");
  }
  if (calling.refused()) return calling.trap();
  uint8_t* const to = calling.instance().memory(abi::kPayloadBase);
  values[0].i32 = static_cast<int32_t>(copy_out(calling.call().worker.packets[slot], offset, to, length));
  return nullptr;
}

wasm_trap_t* emit(void* env, wasmtime_caller_t*, Values values, size_t) {
  Calling calling(env, abi::Import::Emit);
  const auto length = static_cast<uint32_t>(values[0].i32), table = static_cast<uint32_t>(values[1].i32);
  if (table > UINT16_MAX) calling.refuse(" into table " + std::to_string(table) + ", the largest is 65535");
  if (calling.refused()) return calling.trap();
  StageCall& call = calling.call();
  const uint8_t* bytes = calling.instance().memory(abi::kEmitBase);
  values[0].i32 =
      length <= abi::kEmitSize && call.requests().emit(call.ctx, bytes, length, static_cast<uint16_t>(table));
  return nullptr;
}

wasm_trap_t* mirror(void* env, wasmtime_caller_t*, Values values, size_t) {
  Calling calling(env, abi::Import::Mirror);
  const uint16_t slot = calling.slot(values[0]);
  if (calling.refused()) return calling.trap();
  StageCall& call = calling.call();
  const auto port = static_cast<uint32_t>(values[1].i32), length = static_cast<uint32_t>(values[2].i32);
  values[0].i32 = call.requests().mirror(call.ctx, slot, call.worker.packets[slot], port, length);
  return nullptr;
}

wasm_trap_t* trace(void* env, wasmtime_caller_t*, Values values, size_t) {
  Calling calling(env, abi::Import::Trace);
  const uint16_t slot = calling.slot(values[0]);
  const auto name = static_cast<uint32_t>(values[1].i32);
  if (calling.refused()) return calling.trap();
  StageCall& call = calling.call();
  const size_t names = call.stage.plugin->manifest().trace_values.size();
  if (name >= names) {
    calling.refuse(" of value " + std::to_string(name) + ", the manifest has " + std::to_string(names));
    return calling.trap();
  }
  rte_mbuf* const packet = call.worker.packets[slot];
  const bool traced = has_flag(*meta_of(packet), abi::Flag::TRACED);
  if (traced && call.ctx.tracer != nullptr && !call.dry) {
    call.ctx.tracer->trace_value(packet, call.stage, static_cast<uint16_t>(name), values[2].i64);
  }
  return nullptr;
}

wasm_trap_t* source_taken(void* env, wasmtime_caller_t*, Values values, size_t) {
  Calling calling(env, abi::Import::SourceTaken);
  const uint16_t slot = calling.slot(values[0]);
  const auto port = static_cast<uint32_t>(values[3].i32);
  if (port > UINT16_MAX) calling.refuse(" with port " + std::to_string(port) + ", the largest is 65535");
  if (calling.refused()) return calling.trap();
  const ChainWorker& worker = calling.call().worker;
  const SourceEnd source{static_cast<uint64_t>(values[1].i64), static_cast<uint64_t>(values[2].i64),
                         static_cast<uint16_t>(port)};
  values[0].i32 =
      worker.reply_tuples != nullptr && worker.reply_tuples->source_taken(worker.packets[slot], source) ? 1 : 0;
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
    {abi::IMPORT_MODULE, type_of(abi::Import::SourceTaken), source_taken},
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
