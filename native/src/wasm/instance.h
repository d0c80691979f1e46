#pragma once

#include <wasmtime/extern.h>
#include <wasmtime/func.h>
#include <wasmtime/instance.h>
#include <wasmtime/store.h>
#include <wasmtime/val.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/error.h"
#include "wasm/module.h"
#include "wasm/trap.h"
#include "wasm/window.h"

namespace sluice {

/// The two config segments of a plugin; empty regions when it has none.
using SegmentPair = std::array<SharedRegion, 2>;

struct StageCall;

/// Which worker an instance belongs to, and how many there are.
struct WorkerPlace {
  uint16_t id, count;
};

/// An instance of a module with its memory. Used by one thread at a time.
class WasmInstance {
 public:
  enum class Kind { Worker, Builder, Trial };

  /// Instantiates (the start function runs), maps the regions, checks the ABI version and runs `init` (not for a
  /// Trial). `live` is mapped as the window in the end; `init` gets a window of its own, since the live one may be in
  /// use. A Builder may write the segments and has an input region and, where the segment would be that it does not
  /// build, memory of its own; its window is its own, so is a Trial's.
  static Result<std::unique_ptr<WasmInstance>> create(std::shared_ptr<const WasmModule> module, Kind kind,
                                                      const SegmentPair& segments, const Window* live,
                                                      WorkerPlace worker);
  ~WasmInstance();
  WasmInstance(const WasmInstance&) = delete;
  WasmInstance& operator=(const WasmInstance&) = delete;

  /// One burst; `call` answers its imports. False when the call trapped or overran `budget_ticks`: see take_trap(). The
  /// instance is not to be called again then.
  bool process(uint32_t hook, uint32_t count, uint32_t budget_ticks, StageCall& call) {
    call_ = &call;
    const bool done = call2(process_, static_cast<int32_t>(hook), static_cast<int32_t>(count), budget_ticks);
    call_ = nullptr;
    return done;
  }
  bool migrate(uint8_t from, uint32_t count, uint32_t budget_ticks) {
    return call2(migrate_, from, static_cast<int32_t>(count), budget_ticks);
  }

  /// Builds the configuration into segment 0 or 1 (builders only). Error path: /config, below it the text's own.
  Status configure(const std::string& text, int segment, uint32_t generation);

  TrapInfo take_trap();

  // For host functions.

  /// The call of `process` in work; null in all others.
  StageCall* call() { return call_; }
  uint8_t* memory(uint32_t address) { return memory_->at(address); }
  /// A trap with a code and message of the host's own.
  wasm_trap_t* refuse(const char* code, const std::string& message);
  /// AssemblyScript's abort: pointers to its strings, or 0.
  wasm_trap_t* abort(uint32_t message, uint32_t file, int32_t line, int32_t column);

  /// The metrics' cells, u64[MAX_COUNTERS]; read at any time.
  const uint64_t* cells() const { return reinterpret_cast<const uint64_t*>(memory_->at(abi::kCountersBase)); }
  void clear_cells() { std::memset(memory_->at(abi::kCountersBase), 0, abi::kCountersSize); }
  /// Puts another window in place of the one mapped now.
  Status map_window(const Window& window);
  /// Enters a segment's pages into the page table, so that the first bursts meet no page faults.
  void populate(int segment);

 private:
  WasmInstance(std::shared_ptr<const WasmModule> module, Kind kind) : module_(std::move(module)), kind_(kind) {}

  Status instantiate();
  Status map_regions(const SegmentPair& segments);
  Status find_exports();
  Status check_abi_version();
  Status run_init();
  bool export_function(const char* name, wasmtime_func_t& out);
  /// A call may take so much wall-clock time; when that has passed, as much CPU time again. A thread that was not
  /// scheduled for a while, or a halted machine, does not cost a plugin its life so, and a runaway one ends all the
  /// same.
  void begin_budget(uint32_t ticks);
  static wasmtime_error_t* on_deadline(wasmtime_context_t*, void* self, uint64_t* more_ticks,
                                       wasmtime_update_deadline_kind_t* kind);
  bool call2(const wasmtime_func_t& function, int32_t first, int32_t second, uint32_t budget_ticks);
  bool call(const wasmtime_func_t& function, wasmtime_val_raw_t* values, size_t count, uint32_t budget_ticks);
  Error failed(const char* code, const std::string& what);
  std::string error_text() const;
  std::string read_string(uint32_t pointer) const;
  wasmtime_extern_t import(const HostFunction& function);

  std::shared_ptr<const WasmModule> module_;
  const Kind kind_;
  std::optional<Window> own_window_;
  wasmtime_store_t* store_ = nullptr;
  wasmtime_context_t* context_ = nullptr;
  LinearMemory* memory_ = nullptr;  ///< owned by the store
  wasmtime_instance_t instance_{};
  wasmtime_func_t process_{}, migrate_{};
  size_t segment_size_ = 0;
  StageCall* call_ = nullptr;
  uint32_t budget_ticks_ = 0;           ///< of the call in work
  uint64_t overdue_since_ns_ = 0;       ///< the thread's CPU time when its deadline passed first; 0: it did not yet
  const char* refusal_code_ = nullptr;  ///< why the host ended a call, until take_trap()
  std::string refusal_;
  wasm_trap_t* trap_ = nullptr;
  wasmtime_error_t* error_ = nullptr;
};

}  // namespace sluice
