#pragma once

#include <wasm.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace sluice {

constexpr uint32_t kMaxBudgetUs = 500'000;  ///< longest time budget of one call on the packet path

/// The process's Wasmtime engine and the clock of its time budgets: a thread that ticks the epoch each millisecond
/// while modules run, and sleeps when none has run for a while.
class WasmEngine {
 public:
  explicit WasmEngine(bool perfmap);
  ~WasmEngine();
  WasmEngine(const WasmEngine&) = delete;
  WasmEngine& operator=(const WasmEngine&) = delete;

  wasm_engine_t* get() const { return engine_; }

  /// To be called before each call into a module; its deadline is at most kMaxBudgetUs away.
  void running() {
    if (activity_.load(std::memory_order_relaxed) != kActive) wake();
  }

  /// Keeps the epoch ticking over calls on the control path, which may take longer.
  class LongCall {
   public:
    explicit LongCall(WasmEngine& engine) : engine_(engine) {
      engine_.long_calls_++;
      engine_.running();
    }
    ~LongCall() { engine_.long_calls_--; }
    LongCall(const LongCall&) = delete;
    LongCall& operator=(const LongCall&) = delete;

   private:
    WasmEngine& engine_;
  };

  /// Settings that compiled code depends on, as text for cache keys.
  static std::string settings();

 private:
  static constexpr uint32_t kActive = 2, kQuiet = 1, kAsleep = 0;

  void wake();
  void tick();

  wasm_engine_t* engine_;
  std::atomic<uint32_t> activity_{kAsleep};
  std::atomic<uint32_t> long_calls_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread ticker_;
};

/// The time between so many epoch ticks and one less, see ticks_of().
inline uint64_t nanoseconds_of(uint32_t ticks) {
  return (ticks - uint64_t{1}) * 1'000'000;
}

/// `budget_us` as epoch ticks. The first tick may come at once, so one more is given.
inline uint32_t ticks_of(uint32_t budget_us) {
  return (budget_us + 999) / 1000 + 1;
}

}  // namespace sluice
