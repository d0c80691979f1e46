#include "observe/profiler.h"

#include <signal.h>
#include <time.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

namespace sluice {

namespace {

/// A thread's samples. The handler writes, on that thread; the profiler reads when the handler is done.
struct Buffer {
  explicit Buffer(size_t most) : addresses(most) {}
  std::vector<uint64_t> addresses;
  size_t count = 0;
};

/// What the handler finds by its signal's number; for the process's whole life, as signals may come late.
struct Place {
  std::atomic<Buffer*> buffer{nullptr};
  std::atomic<bool> busy{false};
};
std::array<Place, Profiler::kMaxThreads> places;
std::atomic<bool> sampling{false};

int signal_number() {
  // Not SIGPROF, which belongs to V8's profiler; the last real-time signals are the least in use.
  return SIGRTMAX - 3;
}

uint64_t program_counter(const void* context) {
#if defined(__x86_64__)
  return static_cast<uint64_t>(static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return static_cast<const ucontext_t*>(context)->uc_mcontext.pc;
#else
#error "where this machine's program counter is in a ucontext_t"
#endif
}

void on_signal(int, siginfo_t* info, void* context) {
  const auto index = static_cast<size_t>(info->si_value.sival_int);
  if (info->si_code != SI_TIMER || index >= places.size()) return;
  Place& place = places[index];
  // `busy` is stored before `buffer` is loaded, and stop() stores `buffer` before it loads `busy`, all in one order
  // (seq_cst): either this sees no buffer, or stop() waits for it.
  place.busy.store(true);
  if (Buffer* buffer = place.buffer.load(); buffer != nullptr && buffer->count < buffer->addresses.size()) {
    buffer->addresses[buffer->count++] = program_counter(context);
  }
  place.busy.store(false);
}

Status install_handler() {
  struct sigaction present {};
  sigaction(signal_number(), nullptr, &present);
  if ((present.sa_flags & SA_SIGINFO) != 0 && present.sa_sigaction == on_signal) return {};
  if (present.sa_handler != SIG_DFL) {
    return Error{"profile-unavailable", "", "the signal that profiles use is in use by another part of the process"};
  }
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigfillset(&action.sa_mask);
  if (sigaction(signal_number(), &action, nullptr) == 0) return {};
  return Error{"profile-unavailable", "", std::string("no signal handler: ") + std::strerror(errno)};
}

/// A thread's timer and buffer, from its start to its end.
class Sampler {
 public:
  Sampler(size_t index, size_t most) : place_(places[index]), index_(index), buffer_(most) {}
  ~Sampler() { stop(); }
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  Status start(pid_t thread, uint32_t hertz) {
    place_.buffer.store(&buffer_);
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signal_number();
    event.sigev_value.sival_int = static_cast<int>(index_);
    event._sigev_un._tid = thread;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) {
      return Error{"profile-unavailable", "", std::string("no timer for a worker: ") + std::strerror(errno)};
    }
    armed_ = true;
    constexpr long kSecond = 1'000'000'000;
    const long period = kSecond / hertz;
    const itimerspec interval{{period / kSecond, period % kSecond}, {period / kSecond, period % kSecond}};
    timer_settime(timer_, 0, &interval, nullptr);
    return {};
  }

  void stop() {
    if (armed_) timer_delete(timer_);
    armed_ = false;
    place_.buffer.store(nullptr);
    while (place_.busy.load()) std::this_thread::yield();
  }

  void take(std::vector<uint64_t>& samples) const {
    samples.insert(samples.end(), buffer_.addresses.begin(),
                   buffer_.addresses.begin() + static_cast<std::ptrdiff_t>(buffer_.count));
  }

 private:
  Place& place_;
  const size_t index_;
  Buffer buffer_;
  timer_t timer_{};
  bool armed_ = false;
};

}  // namespace

Result<std::vector<uint64_t>> Profiler::sample(const std::vector<pid_t>& threads, uint32_t hertz, uint32_t duration_ms,
                                               const std::atomic<bool>& stop) {
  if (sampling.exchange(true)) {
    return Error{"profile-running", "", "a profile is being taken already; wait for its end"};
  }
  struct Release {
    ~Release() { sampling.store(false); }
  } release;
  if (Status ready = install_handler(); !ready) return ready.error();
  const size_t most = size_t{hertz} * duration_ms / 1000 + hertz / 10 + 16;
  std::vector<std::unique_ptr<Sampler>> samplers;
  for (size_t i = 0; i < std::min(threads.size(), kMaxThreads); i++) {
    samplers.push_back(std::make_unique<Sampler>(i, most));
    if (Status started = samplers.back()->start(threads[i], hertz); !started) return started.error();
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(duration_ms);
  constexpr auto kSlice = std::chrono::milliseconds(20);
  while (!stop && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_until(std::min(end, std::chrono::steady_clock::now() + kSlice));
  }
  std::vector<uint64_t> samples;
  for (const auto& sampler : samplers) {
    sampler->stop();
    sampler->take(samples);
  }
  return samples;
}

}  // namespace sluice
