#include "observe/observation.h"

#include <rte_cycles.h>

#include <algorithm>
#include <optional>

#include "core/clock.h"
#include "observe/profiler.h"
#include "wasm/manifest.h"

namespace sluice {

namespace {

std::string list(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

Error unknown_id(uint32_t id) {
  return {"no-such-observation", "",
          "nothing with number " + std::to_string(id) + " is running; it may have been stopped"};
}

Error stopped() {
  return {"stopped", "", "the dataplane was stopped"};
}

Error too_many(const char* what, size_t most) {
  return {"too-many-observations", "",
          std::to_string(most) + " " + what + " are running, which is all that can; stop one first"};
}

}  // namespace

void Observation::set_names(std::set<std::string> ports, std::set<std::string> stages) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ports_ = std::move(ports);
  stages_ = std::move(stages);
}

/// Gives each worker a new watcher, or none, and drops the old ones when no worker can use them any more.
void Observation::publish() {
  Watcher::Watched watched;
  for (const auto& [id, reader] : traces_) watched.traces[reader.trace()->place()] = reader.trace();
  size_t place = 0;
  for (const auto& [id, running] : captures_) watched.captures[place++] = running.capture;
  std::vector<std::unique_ptr<Watcher>> next;
  for (uint16_t id = 0; id < node_.workers.size() && !watched.empty(); id++) {
    next.push_back(std::make_unique<Watcher>(id, watched));
  }
  for (size_t id = 0; id < node_.workers.size(); id++) node_.workers[id].watch(next.empty() ? nullptr : next[id].get());
  node_.synchronize();
  watchers_ = std::move(next);
}

Result<uint32_t> Observation::start_trace(const std::string& text, uint32_t packets) {
  if (packets == 0 || packets > kMaxTracedPackets) {
    return Error{"invalid-options", "/packets", "must be from 1 to " + std::to_string(kMaxTracedPackets)};
  }
  auto filter = PacketFilter::compile(text);
  if (!filter) return filter.error();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) return stopped();
  std::array<bool, kMaxTraces> taken{};
  for (const auto& [id, reader] : traces_) taken[reader.trace()->place()] = true;
  const auto free = std::find(taken.begin(), taken.end(), false);
  if (free == taken.end()) return too_many("traces", kMaxTraces);
  generation_ = static_cast<uint8_t>((generation_ + 1) % Trace::kGenerations);
  const uint32_t id = next_id_++;
  traces_.emplace(
      id, std::make_shared<Trace>(std::move(filter.value()), packets, static_cast<uint8_t>(free - taken.begin()),
                                  generation_, static_cast<uint16_t>(node_.workers.size())));
  publish();
  return id;
}

Result<TraceRead> Observation::read_trace(uint32_t id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = traces_.find(id);
  if (found == traces_.end()) return unknown_id(id);
  return found->second.read(rte_rdtsc());
}

Result<CapturePoint> Observation::read_point(const std::string& text, const std::string& path) const {
  using Kind = CapturePoint::Kind;
  constexpr const char* kStage = "stage:";
  if (text == "rx") return CapturePoint{Kind::Rx, {}, "", text};
  if (text == "tx") return CapturePoint{Kind::Tx, {}, "", text};
  if (text == "drop") return CapturePoint{Kind::Drop, {}, "", text};
  if (const auto hook = hook_named(text)) return CapturePoint{Kind::Hook, *hook, "", text};
  if (text.rfind(kStage, 0) != 0) {
    return Error{"unknown-point", path,
                 "\"" + text +
                     "\" is no point; there are rx, tx, drop, the hooks (prerouting, forward, postrouting, "
                     "input, output) and stage:NAME"};
  }
  const std::string stage = text.substr(std::string(kStage).size());
  if (stages_.count(stage) == 0) {
    return Error{"unknown-stage", path, "no stage is called \"" + stage + "\"; there are: " + list(stages_)};
  }
  return CapturePoint{Kind::Stage, {}, stage, text};
}

Result<uint32_t> Observation::start_capture(const CaptureRequest& request) {
  if (request.snap_length == 0 || request.snap_length > kMaxSnapLength) {
    return Error{"invalid-options", "/snapLength", "must be from 1 to " + std::to_string(kMaxSnapLength)};
  }
  auto filter = PacketFilter::compile(request.filter);
  if (!filter) return filter.error();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) return stopped();
  auto capture = std::make_shared<Capture>();
  capture->filter = std::move(filter.value());
  if (request.points.empty()) return Error{"invalid-options", "/points", "must name at least one point"};
  for (size_t i = 0; i < request.points.size(); i++) {
    const std::string path = "/points/" + std::to_string(i);
    auto point = read_point(request.points[i], path);
    if (!point) return point.error();
    for (const CapturePoint& other : capture->points) {
      if (other.name == point.value().name) return Error{"invalid-options", path, "is there twice"};
    }
    capture->points.push_back(std::move(point.value()));
  }
  for (size_t i = 0; i < request.ports.size(); i++) {
    if (ports_.count(request.ports[i]) != 0) continue;
    return Error{"unknown-port", "/ports/" + std::to_string(i),
                 "no port is called \"" + request.ports[i] + "\"; there are: " + list(ports_)};
  }
  if (captures_.size() == kMaxCaptures) return too_many("captures", kMaxCaptures);
  capture->ports = request.ports;
  capture->snap_length = request.snap_length;
  for (size_t i = 0; i < node_.workers.size(); i++) {
    capture->rings.push_back(std::make_unique<ByteRing>(Capture::kRingBytes));
  }
  const uint32_t id = next_id_++;
  captures_[id] = {std::move(capture), 0};
  publish();
  return id;
}

Result<CaptureRead> Observation::read_capture(uint32_t id, uint32_t max) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = captures_.find(id);
  if (found == captures_.end()) return unknown_id(id);
  RunningCapture& running = found->second;
  CaptureRead result;
  // The oldest frame of all workers' first ones, again and again.
  while (result.frames.size() < max) {
    ByteRing* oldest = nullptr;
    const uint8_t* bytes = nullptr;
    CaptureRecord record{};
    for (const auto& ring : running.capture->rings) {
      uint32_t size;
      const uint8_t* front = ring->front(size);
      if (front == nullptr) continue;
      CaptureRecord candidate;
      std::memcpy(&candidate, front, sizeof candidate);
      if (oldest != nullptr && candidate.wall_ns >= record.wall_ns) continue;
      oldest = ring.get();
      bytes = front + sizeof record;
      record = candidate;
    }
    if (oldest == nullptr) break;
    result.frames.push_back({record.wall_ns, running.capture->points[record.point].name, record.port, record.reason,
                             record.stage, record.length, std::vector<uint8_t>(bytes, bytes + record.captured)});
    oldest->pop();
  }
  uint64_t lost = 0;
  for (const auto& ring : running.capture->rings) lost += ring->lost();
  result.lost = lost - std::exchange(running.lost, lost);
  return result;
}

Status Observation::stop(uint32_t id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) return stopped();
  if (traces_.erase(id) + captures_.erase(id) == 0) return unknown_id(id);
  publish();
  return {};
}

std::vector<DropTotal> Observation::drops() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::map<std::pair<std::string, std::string>, DropTotal> totals;
  if (closed_) return {};
  for (uint16_t id = 0; id < node_.workers.size(); id++) {
    node_.workers[id].drops->for_each([&](const DropLog::View& view) {
      DropTotal& total = totals[{view.stage, view.reason}];
      total.stage = view.stage;
      total.reason = view.reason;
      if (total.packets == 0 || view.last.wall_ns >= total.last.wall_ns) {
        total.worker = id;
        total.last = view.last;
      }
      total.packets += view.packets;
    });
  }
  std::vector<DropTotal> all;
  for (auto& [key, total] : totals) all.push_back(std::move(total));
  return all;
}

std::vector<FlowRow> Observation::flows(const FlowQuery& query) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_ || node_.flows == nullptr) return {};
  return list_flows(*node_.flows, node_.slots(), query, read_clock(CLOCK_MONOTONIC));
}

Result<ProfileResult> Observation::profile(const ProfileRequest& request) {
  if (request.hertz == 0 || request.hertz > Profiler::kMaxHertz) {
    return Error{"invalid-options", "/hertz", "must be from 1 to " + std::to_string(Profiler::kMaxHertz)};
  }
  if (request.duration_ms == 0 || request.duration_ms > Profiler::kMaxDurationMs) {
    return Error{"invalid-options", "/durationMs", "must be from 1 to " + std::to_string(Profiler::kMaxDurationMs)};
  }
  const std::unique_lock<std::mutex> profiling(profiling_, std::try_to_lock);
  if (!profiling.owns_lock()) {
    if (closing_) return stopped();
    return Error{"profile-running", "", "a profile is being taken already; wait for its end"};
  }
  std::vector<pid_t> threads;
  std::shared_ptr<const WasmModule> module;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return stopped();
    module = node_.module(request.plugin);
    if (module == nullptr && stages_.count(request.plugin) > 0) {
      return Error{
          "at-no-hook", "/plugin",
          "\"" + request.plugin + "\" is loaded, and at no hook: no packet comes to it until a pipeline lists it"};
    }
    if (module == nullptr) {
      return Error{"unknown-stage", "/plugin",
                   "no stage is called \"" + request.plugin + "\"; there are: " + list(stages_)};
    }
    for (const auto& worker : node_.workers) threads.push_back(worker.thread);
  }
  const auto map = CodeMap::of(module);
  if (!map) return map.error();
  const auto samples = Profiler::sample(threads, request.hertz, request.duration_ms, closing_);
  if (!samples) return samples.error();
  ProfileResult result;
  result.samples = samples.value().size();
  result.digest = module->digest;
  std::map<std::pair<std::string, int64_t>, uint64_t> counts;
  for (const uint64_t address : samples.value()) {
    if (!map.value().contains(address)) continue;
    result.in_plugin++;
    const CodeMap::Place place = map.value().find(address);
    counts[{place.function, place.offset}]++;
  }
  for (const auto& [place, count] : counts) result.places.push_back({{place.first, place.second}, count});
  std::stable_sort(result.places.begin(), result.places.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return result;
}

void Observation::close() {
  closing_ = true;
  const std::lock_guard<std::mutex> profiling(profiling_);  // its workers are sampled no more
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) return;
  traces_.clear();
  captures_.clear();
  publish();
  closed_ = true;
}

}  // namespace sluice
