#include "wasm/engine.h"

#include <pthread.h>
#include <wasmtime.h>

#include <chrono>

#include "wasm/linear_memory.h"

namespace sluice {

namespace {

constexpr uint64_t kReservation = uint64_t{4} << 30;  // all that a 32-bit address and no bounds check can reach
constexpr uint64_t kGuard = 32 << 20;                 // what a load's constant offset adds to it, as Wasmtime assumes
constexpr size_t kMaxStack = 256 << 10;

wasm_config_t* make_config(bool perfmap) {
  wasm_config_t* config = wasm_config_new();
  // Bulk memory runs in the host, which dies when it meets a hole in the memory (docs/abi.md, "The module").
  wasmtime_config_wasm_bulk_memory_set(config, false);
  wasmtime_config_wasm_simd_set(config, true);
  // The same module must do the same in Node, in a browser and here.
  wasmtime_config_wasm_relaxed_simd_set(config, false);
  wasmtime_config_wasm_memory64_set(config, false);
  wasmtime_config_wasm_multi_memory_set(config, false);
  wasmtime_config_wasm_tail_call_set(config, false);
  wasmtime_config_memory_reservation_set(config, kReservation);
  wasmtime_config_memory_guard_size_set(config, kGuard);
  wasmtime_config_memory_may_move_set(config, false);
  wasmtime_config_memory_init_cow_set(config, false);
  wasmtime_config_signals_based_traps_set(config, true);
  wasmtime_config_epoch_interruption_set(config, true);
  wasmtime_config_max_wasm_stack_set(config, kMaxStack);
  wasmtime_config_parallel_compilation_set(config, true);
  wasmtime_config_cranelift_opt_level_set(config, WASMTIME_OPT_LEVEL_SPEED);
  if (perfmap) wasmtime_config_profiler_set(config, WASMTIME_PROFILING_STRATEGY_PERFMAP);
  wasmtime_memory_creator_t creator{nullptr, LinearMemory::create, nullptr};
  wasmtime_config_host_memory_creator_set(config, &creator);
  return config;
}

}  // namespace

WasmEngine::WasmEngine(bool perfmap) : engine_(wasm_engine_new_with_config(make_config(perfmap))) {
  ticker_ = std::thread([this] { tick(); });
  pthread_setname_np(ticker_.native_handle(), "sluice-epoch");
}

WasmEngine::~WasmEngine() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  ticker_.join();
  wasm_engine_delete(engine_);
}

std::string WasmEngine::settings() {
  return "wasmtime-" WASMTIME_VERSION ";settings-1";
}

void WasmEngine::wake() {
  if (activity_.exchange(kActive, std::memory_order_relaxed) != kAsleep) return;
  std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void WasmEngine::tick() {
  using namespace std::chrono_literals;
  constexpr int kPatience =
      2 * kMaxBudgetUs / 1000;  // ticks without a call before it sleeps: no deadline is pending then
  int quiet = 0;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait_for(lock, 1ms, [this] { return stopping_; });
    wasmtime_engine_increment_epoch(engine_);
    const bool active = activity_.load(std::memory_order_relaxed) == kActive || long_calls_ > 0;
    quiet = active ? 0 : quiet + 1;
    if (active) activity_.store(kQuiet, std::memory_order_relaxed);
    if (quiet < kPatience) continue;
    uint32_t expected = kQuiet;
    if (!activity_.compare_exchange_strong(expected, kAsleep) && expected == kActive) continue;
    changed_.wait(lock, [this] { return stopping_ || activity_.load(std::memory_order_relaxed) == kActive; });
    quiet = 0;
  }
}

}  // namespace sluice
