#include "wasm/instance.h"

#include <sys/mman.h>
#include <wasmtime.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "core/clock.h"

namespace sluice {

namespace {

constexpr uint32_t kStartTicks = 1000;       // start function and init: 1 s
constexpr uint32_t kConfigureTicks = 10000;  // configure: 10 s
constexpr uint32_t kSegmentBases[2] = {abi::kSegmentABase, abi::kSegmentBBase};
static_assert(abi::kSegmentASize == abi::kSegmentBSize);

Error out_of_memory(const char* what) {
  return Error{"out-of-memory", "module", std::string(what) + " could not be mapped: " + std::strerror(errno)};
}

void append_utf8(std::string& text, uint32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xc0 | c >> 6);
    text += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    text += static_cast<char>(0xe0 | c >> 12);
    text += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    text += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    text += static_cast<char>(0xf0 | c >> 18);
    text += static_cast<char>(0x80 | (c >> 12 & 0x3f));
    text += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    text += static_cast<char>(0x80 | (c & 0x3f));
  }
}

/// RFC 2781; a surrogate without its other half becomes U+FFFD.
std::string utf16_to_utf8(const uint8_t* bytes, size_t units) {
  const auto unit = [&](size_t i) { return static_cast<uint32_t>(bytes[2 * i] | bytes[2 * i + 1] << 8); };
  std::string text;
  for (size_t i = 0; i < units; i++) {
    uint32_t c = unit(i);
    if (c >= 0xd800 && c < 0xe000) {
      const bool pair = c < 0xdc00 && i + 1 < units && unit(i + 1) >= 0xdc00 && unit(i + 1) < 0xe000;
      c = pair ? 0x10000 + ((c - 0xd800) << 10) + (unit(++i) - 0xdc00) : 0xfffd;
    }
    append_utf8(text, c);
  }
  return text;
}

/// Bytes from a module as text for people and JSON: what is not printable ASCII or UTF-8's upper half becomes '?'.
std::string printable(const char* bytes, size_t size) {
  std::string text(bytes, size);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

}  // namespace

Result<std::unique_ptr<WasmInstance>> WasmInstance::create(std::shared_ptr<const WasmModule> module, Kind kind,
                                                           const SegmentPair& segments, const Window* live,
                                                           WorkerPlace worker) {
  std::unique_ptr<WasmInstance> instance(new WasmInstance(std::move(module), kind));
  Result<Window> window = Window::create();
  if (!window) return window.error();
  instance->own_window_ = std::move(window.value());
  instance->own_window_->header().worker = worker.id;
  instance->own_window_->header().workers = worker.count;
  if (Status done = instance->instantiate(); !done) return done.error();
  if (Status done = instance->map_regions(segments); !done) return done.error();
  if (Status done = instance->find_exports(); !done) return done.error();
  if (Status done = instance->check_abi_version(); !done) return done.error();
  if (kind != Kind::Trial) {
    if (Status done = instance->run_init(); !done) return done.error();
  }
  if (live != nullptr) {
    if (Status mapped = instance->map_window(*live); !mapped) return mapped.error();
    instance->own_window_.reset();
  }
  return instance;
}

WasmInstance::~WasmInstance() {
  if (trap_ != nullptr) wasm_trap_delete(trap_);
  if (error_ != nullptr) wasmtime_error_delete(error_);
  if (store_ != nullptr) wasmtime_store_delete(store_);
}

Status WasmInstance::instantiate() {
  store_ = wasmtime_store_new(module_->engine()->get(), nullptr, nullptr);
  context_ = wasmtime_store_context(store_);
  wasmtime_store_epoch_deadline_callback(store_, on_deadline, this, nullptr);
  constexpr int64_t kMaxTableElements = 65536, kMaxTables = 8;
  wasmtime_store_limiter(store_, int64_t{abi::kMemoryPages} * 65536, kMaxTableElements, 1, kMaxTables, 1);
  std::vector<wasmtime_extern_t> imports;
  for (const HostFunction* function : module_->imports) imports.push_back(import(*function));
  WasmEngine::LongCall running(*module_->engine());
  begin_budget(kStartTicks);
  error_ = wasmtime_instance_new(context_, module_->compiled(), imports.data(), imports.size(), &instance_, &trap_);
  memory_ = LinearMemory::take_created();
  if (error_ != nullptr || trap_ != nullptr) return failed("module-start-failed", "instantiation failed");
  return {};
}

wasmtime_extern_t WasmInstance::import(const HostFunction& function) {
  const auto types = [](const char* bytes, wasm_valtype_vec_t* types) {
    constexpr char kI64 = 0x7e;
    std::vector<wasm_valtype_t*> made;
    for (; *bytes != '\0'; bytes++) made.push_back(wasm_valtype_new(*bytes == kI64 ? WASM_I64 : WASM_I32));
    wasm_valtype_vec_new(types, made.size(), made.data());
  };
  wasm_valtype_vec_t params, results;
  types(function.type.params, &params);
  types(function.type.results, &results);
  wasm_functype_t* type = wasm_functype_new(&params, &results);
  wasmtime_extern_t made{};
  made.kind = WASMTIME_EXTERN_FUNC;
  wasmtime_func_new_unchecked(context_, type, function.call, this, nullptr, &made.of.func);
  wasm_functype_delete(type);
  return made;
}

Status WasmInstance::map_regions(const SegmentPair& segments) {
  if (Status mapped = map_window(*own_window_); !mapped) return mapped;
  if (!memory_->map_private(abi::kCountersBase, abi::kCountersSize)) return out_of_memory("the counters");
  // Of this instance alone: what is read from a packet is for the stage that asked. Pages come with their first use.
  for (const auto& [base, size] : {std::pair{abi::kPayloadBase, abi::kPayloadSize}, {abi::kEmitBase, abi::kEmitSize}}) {
    if (!memory_->map_private(base, size)) return out_of_memory("the payload and emit regions");
  }
  const bool builder = kind_ == Kind::Builder;
  if (builder && !memory_->map_private(abi::kInputBase, abi::kInputSize)) return out_of_memory("the input region");
  for (size_t i = 0; i < segments.size(); i++) {
    segment_size_ = segments[i].size();
    if (segment_size_ > 0 && !memory_->map_shared(kSegmentBases[i], segments[i], builder, false)) {
      return out_of_memory("a config segment");
    }
  }
  return {};
}

Status WasmInstance::map_window(const Window& window) {
  if (memory_->map_shared(abi::kWindowBase, window.region(), true, true)) return {};
  return out_of_memory("the window");
}

bool WasmInstance::export_function(const char* name, wasmtime_func_t& out) {
  wasmtime_extern_t item;
  if (!wasmtime_instance_export_get(context_, &instance_, name, std::strlen(name), &item)) return false;
  const bool is_function = item.kind == WASMTIME_EXTERN_FUNC;
  if (is_function) out = item.of.func;
  wasmtime_extern_delete(&item);
  return is_function;
}

Status WasmInstance::find_exports() {
  // inspect_module() saw them with their types.
  if (!export_function("process", process_) || (module_->has_migrate && !export_function("migrate", migrate_))) {
    return Error{"module-exports", "module/exports", "an export is gone after instantiation"};
  }
  return {};
}

Status WasmInstance::check_abi_version() {
  wasmtime_func_t function;
  wasmtime_val_raw_t result{};
  if (!export_function(abi::ABI_EXPORT, function) || !call(function, &result, 1, kStartTicks)) {
    return failed("module-wrong-abi", "its ABI version cannot be read");
  }
  if (static_cast<uint32_t>(result.i32) == abi::kAbiVersion) return {};
  return Error{"module-wrong-abi", "module/exports/" + std::string(abi::ABI_EXPORT),
               "the module was built for ABI version " + std::to_string(result.i32) + ", this host has version " +
                   std::to_string(abi::kAbiVersion) + "; build it with the matching @sluice/sdk"};
}

Status WasmInstance::run_init() {
  wasmtime_func_t init;
  if (!module_->has_init || !export_function("init", init)) return {};
  WasmEngine::LongCall running(*module_->engine());
  wasmtime_val_raw_t none{};
  if (call(init, &none, 0, kStartTicks)) return {};
  return failed("module-init-failed", "init failed");
}

Status WasmInstance::configure(const std::string& text, int segment, uint32_t generation) {
  wasmtime_func_t function;
  if (!export_function("configure", function)) {
    return Error{"config-not-supported", "/config", "the module takes no configuration: it exports no 'configure'"};
  }
  if (text.size() > abi::kInputSize) {
    return Error{"config-too-large", "/config",
                 std::to_string(text.size()) + " bytes; at most " + std::to_string(abi::kInputSize) + " fit"};
  }
  const uint32_t spare = kSegmentBases[1 - segment];
  if (!memory_->map_private(spare, abi::kSegmentASize)) return out_of_memory("the builder's spare memory");
  std::memcpy(memory_->at(abi::kInputBase), text.data(), text.size());
  BurstHeader& header = own_window_->header();
  header.input_length = static_cast<uint32_t>(text.size());
  header.segment_base = kSegmentBases[segment];
  header.segment_size = static_cast<uint32_t>(segment_size_);
  header.spare_base = spare;
  header.spare_size = abi::kSegmentASize;
  header.generation = generation;
  header.error_length = 0;
  WasmEngine::LongCall running(*module_->engine());
  wasmtime_val_raw_t result{};
  if (!call(function, &result, 1, kConfigureTicks)) {
    Error error = failed("config-failed", "configure failed");
    error.path = "/config";
    return error;
  }
  const auto code = static_cast<uint32_t>(result.i32);
  if (code == static_cast<uint32_t>(abi::ConfigureResult::OK)) return {};
  const bool too_large = code == static_cast<uint32_t>(abi::ConfigureResult::TOO_LARGE);
  std::string why = error_text();
  if (why.empty())
    why = too_large ? "the tables do not fit into the config segment" : "the plugin refuses it and gives no reason";
  return Error{too_large ? "config-too-large" : "config-invalid", "/config", why};
}

bool WasmInstance::call2(const wasmtime_func_t& function, int32_t first, int32_t second, uint32_t budget_ticks) {
  wasmtime_val_raw_t values[2];
  values[0].i32 = first;
  values[1].i32 = second;
  return call(function, values, 2, budget_ticks);
}

bool WasmInstance::call(const wasmtime_func_t& function, wasmtime_val_raw_t* values, size_t count,
                        uint32_t budget_ticks) {
  module_->engine()->running();
  begin_budget(budget_ticks);
  error_ = wasmtime_func_call_unchecked(context_, &function, values, count, &trap_);
  return error_ == nullptr && trap_ == nullptr;
}

void WasmInstance::begin_budget(uint32_t ticks) {
  budget_ticks_ = ticks;
  overdue_since_ns_ = 0;
  wasmtime_context_set_epoch_deadline(context_, ticks);
}

wasmtime_error_t* WasmInstance::on_deadline(wasmtime_context_t*, void* self, uint64_t* more_ticks,
                                            wasmtime_update_deadline_kind_t* kind) {
  auto& instance = *static_cast<WasmInstance*>(self);
  const uint64_t used_ns = read_clock(CLOCK_THREAD_CPUTIME_ID);
  if (instance.overdue_since_ns_ == 0) instance.overdue_since_ns_ = used_ns;
  if (used_ns - instance.overdue_since_ns_ < nanoseconds_of(instance.budget_ticks_)) {
    instance.module_->engine()->running();
    *more_ticks = instance.budget_ticks_;
    *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
    return nullptr;
  }
  instance.refusal_code_ = "budget-exceeded";
  instance.refusal_ = "the call took longer than its time budget and was stopped";
  return wasmtime_error_new(instance.refusal_.c_str());
}

TrapInfo WasmInstance::take_trap() {
  TrapInfo info = describe_failure(trap_, error_);
  trap_ = nullptr;
  error_ = nullptr;
  if (refusal_code_ != nullptr) {
    info.code = std::exchange(refusal_code_, nullptr);
    info.message = std::exchange(refusal_, "");
  }
  info.version = module_->manifest.version;
  info.digest = module_->digest;
  return info;
}

Error WasmInstance::failed(const char* code, const std::string& what) {
  const bool trapped = trap_ != nullptr || error_ != nullptr;
  const TrapInfo info = trapped ? take_trap() : TrapInfo{};
  std::string message = what;
  if (!info.message.empty()) message += ": " + info.message;
  if (!info.frames.empty()) message += ", in " + to_text(info.frames.front());
  const std::string text = own_window_ && memory_ != nullptr ? error_text() : "";
  if (!text.empty()) message += " (" + text + ")";
  return Error{code, "module", message};
}

std::string WasmInstance::error_text() const {
  const BurstHeader& header = own_window_->header();
  return printable(header.error_text, std::min<size_t>(header.error_length, abi::kBurstErrorTextSize));
}

std::string WasmInstance::read_string(uint32_t pointer) const {
  // AssemblyScript: UTF-16 at the pointer, its length in bytes in the 4 bytes before. Only the private region is sure
  // to be readable.
  constexpr uint32_t kMaxBytes = 4096;
  if (memory_ == nullptr || pointer < 4 || pointer >= abi::kPrivateSize) return "";
  uint32_t size;
  std::memcpy(&size, memory_->at(pointer - 4), 4);
  size = std::min({size, kMaxBytes, abi::kPrivateSize - pointer});
  const std::string text = utf16_to_utf8(memory_->at(pointer), size / 2);
  return printable(text.data(), text.size());
}

wasm_trap_t* WasmInstance::refuse(const char* code, const std::string& message) {
  refusal_code_ = code;
  refusal_ = message;
  return wasmtime_trap_new(message.data(), message.size());
}

wasm_trap_t* WasmInstance::abort(uint32_t message, uint32_t file, int32_t line, int32_t column) {
  // During the start function the memory is known to this thread only.
  if (memory_ == nullptr) memory_ = LinearMemory::take_created();
  std::string text = read_string(message);
  if (text.empty()) text = "abort";
  const std::string name = read_string(file);
  if (!name.empty()) text += " at " + name + ":" + std::to_string(line) + ":" + std::to_string(column);
  return refuse("abort", text);
}

void WasmInstance::populate(int segment) {
  if (segment_size_ == 0) return;
#ifdef MADV_POPULATE_READ
  // Only an optimisation: kernels before 5.14 refuse it.
  madvise(memory_->at(kSegmentBases[segment]), segment_size_, MADV_POPULATE_READ);
#else
  (void)segment;
#endif
}

}  // namespace sluice
