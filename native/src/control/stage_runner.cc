#include "control/stage_runner.h"

#include <rte_cycles.h>

#include <algorithm>
#include <array>
#include <utility>

#include "control/burst_timer.h"
#include "control/json_reader.h"
#include "control/json_text.h"
#include "control/row_outputs.h"
#include "control/row_packets.h"
#include "control/status.h"
#include "core/reply_tuples.h"
#include "parse/parse.h"
#include "wasm/sha256.h"

namespace sluice {

namespace {

using Json = nlohmann::json;

constexpr uint64_t kRowStartNs = 1'000'000'000;
constexpr const char* kVerdicts[] = {"pass", "drop", "redirect", "reinput", "reply"};

FailureStrategy strategy_of(const std::string& name) {
  if (name == "FailOpen") return FailureStrategy::FailOpen;
  return name == "Reload" ? FailureStrategy::Reload : FailureStrategy::FailClosed;
}

/// One row with all that it needs: a Wasm host with flow slots of its own, ports, packets.
class RowRun : public ReplyTuples {
 public:
  RowRun(Node& node, const Json& row, uint32_t budget_us = PluginConfig{}.budget_us)
      : node_(node),
        row_(row),
        budget_us_(budget_us),
        reader_(row_, "/row", error_),
        row_packets_(node.pools().packets, error_) {}

  Result<std::string> run(const std::vector<uint8_t>& wasm) {
    if (Status status = prepare(wasm); !status) return status.error();
    node_.workers().front()->run([this](WorkerContext& ctx) { as_row(ctx, [&] { run_on(ctx); }); });
    return json_text(result());
  }

  /// The stage with its packets in buffers, ready to run.
  Status prepare(const std::vector<uint8_t>& wasm) {
    if (Status status = load(wasm); !status) return status;
    const std::string hook = reader_.text("hook");
    reader_.each("packets", [&](const Json& packet, const std::string& path) { row_packets_.add(packet, path, hook); });
    if (error_) return *error_;
    return {};
  }

  /// Cycles a packet, of `bursts` bursts of `size` packets.
  double cycles_a_packet(uint16_t size, uint32_t bursts) {
    if (!timer_) {
      std::vector<rte_mbuf*> mbufs;
      for (const RowPacket& packet : packets_) mbufs.push_back(packet.mbuf);
      timer_.emplace(*pipeline_, packets_.front().hook, std::move(mbufs), kRowStartNs);
    }
    uint64_t cycles = 0;
    node_.workers().front()->run(
        [&](WorkerContext& ctx) { as_row(ctx, [&] { cycles = timer_->cycles(ctx, size, bursts); }); });
    return static_cast<double>(cycles) / bursts / size;
  }

  /// What is wrong with the packets as those of a benchmark.
  Status check_packets() const {
    if (packets_.empty() || packets_.size() % kMaxBurst != 0) {
      return Error{"invalid-row", "/row/packets", "must be a multiple of " + std::to_string(kMaxBurst)};
    }
    for (size_t i = 0; i < packets_.size(); i++) {
      if (!packets_[i].refused && packets_[i].hook == packets_[0].hook) continue;
      return Error{"invalid-row", "/row/packets/" + std::to_string(i), "must be whole, and for the hook of the first"};
    }
    return {};
  }

  bool source_taken(const rte_mbuf* packet, const SourceEnd& source) const override {
    const std::vector<SourceEnd>& taken = packets_[RowOutputs::number_of(packet)].taken;
    return std::find(taken.begin(), taken.end(), source) != taken.end();
  }

  /// Why the stage is out of work; null while it is not.
  const Json& trap() {
    note_trap();
    return trap_;
  }

 private:
  Status load(const std::vector<uint8_t>& wasm) {
    WasmHostOptions options;
    options.flow_slots = {slots_.data(),     kSlotBytes, reinterpret_cast<uint8_t*>(marks_.data()),
                          sizeof(SlotMarks), kRowFlows,  kSlotBytes};
    options.reparse = parse_packet;
    options.reply_tuples = this;
    auto host = WasmHost::create(std::move(options));
    if (!host) return host.error();
    host_ = std::move(host.value());
    const std::string digest = sha256_hex(wasm.data(), wasm.size());
    const auto manifest = host_->add_module(digest, wasm.data(), wasm.size());
    if (!manifest) return manifest.error();
    manifest_ = manifest.value();
    open_ports();
    outputs_.name_values(manifest_.trace_values);
    PluginConfig plugin;
    plugin.name = manifest_.name;
    plugin.digest = digest;
    plugin.failure = strategy_of(manifest_.failure);
    plugin.budget_us = budget_us_;
    if (const auto config = row_.find("config"); config != row_.end()) plugin.config = config->dump();
    std::array<std::vector<std::string>, kHooks> hooks;
    for (const abi::Hook hook : manifest_.hooks) hooks[static_cast<size_t>(hook)] = {plugin.name};
    auto pipeline = host_->prepare({plugin}, hooks, outputs_.ports());
    if (!pipeline) {
      Error error = pipeline.error();
      if (error.path == "/plugins/0/config") error.path = "/row/config";
      return error;
    }
    pipeline_ = pipeline.value();
    host_->committed(pipeline_);
    return {};
  }

  void open_ports() {
    std::vector<PortId> ids;
    reader_.each("ports", [&](const Json& id, const std::string& path) {
      if (!id.is_number_unsigned() || id.get<uint64_t>() >= kMaxPorts)
        return reader_.fail(path, "must be a port number");
      ids.push_back(id.get<PortId>());
    });
    if (ids.empty()) {
      for (PortId id = 0; id < 16; id++) ids.push_back(id);
    }
    outputs_.open_ports(ids);
  }

  /// On the packet thread: does the work with the row's ports, and leaves the context as it was.
  template <typename Work>
  void as_row(WorkerContext& ctx, Work work) {
    ctx.flush_all();
    const auto now = ctx.now_ns;
    const auto* ports = ctx.ports;
    auto* tracer = ctx.tracer;
    const auto worker = ctx.id;
    const WorkerContext::Outbox originated = std::exchange(ctx.originated, {});
    ctx.ports = &outputs_.ports();
    ctx.tracer = nullptr;
    ctx.id = 0;  // the row's host has one worker
    work();
    ctx.flush_all();
    ctx.now_ns = now;
    ctx.ports = ports;
    ctx.tracer = tracer;
    ctx.id = worker;
    ctx.originated = originated;
  }

  /// Bursts of packets that share time and hook.
  void run_on(WorkerContext& ctx) {
    ctx.tracer = &outputs_;
    for (size_t start = 0; start < packets_.size();) {
      size_t end = start + 1;
      while (end < packets_.size() && end - start < kMaxBurst && packets_[end].at_ms == packets_[start].at_ms &&
             packets_[end].hook == packets_[start].hook) {
        end++;
      }
      ctx.now_ns = kRowStartNs + packets_[start].at_ms * 1'000'000;
      run_burst(ctx, start, end);
      start = end;
    }
  }

  void run_burst(WorkerContext& ctx, size_t start, size_t end) {
    rte_mbuf* burst[kMaxBurst];
    uint16_t count = 0;
    for (size_t i = start; i < end; i++) {
      packets_[i].verdict = kVerdicts[1];
      if (packets_[i].refused) continue;
      leave_flow_state(packets_[i]);
      rte_mbuf_refcnt_update(packets_[i].mbuf, 1);  // a dropped packet's reason is read afterwards
      burst[count++] = packets_[i].mbuf;
    }
    first_of_burst_ = start;
    ChainOutput output;
    pipeline_->run(ctx, packets_[start].hook, burst, count, output);
    const auto note = [&](rte_mbuf* const* list, uint16_t size, const char* verdict) {
      for (uint16_t i = 0; i < size; i++) {
        for (size_t p = start; p < end; p++) {
          if (packets_[p].mbuf == list[i]) packets_[p].verdict = verdict;
        }
        rte_pktmbuf_free(list[i]);
      }
    };
    note(burst, count, kVerdicts[0]);
    note(output.redirected, output.redirected_count, kVerdicts[2]);
    note(output.reinput, output.reinput_count, kVerdicts[3]);
    note(output.replies, output.reply_count, kVerdicts[4]);
    outputs_.take_emitted(ctx);
    for (size_t i = start; i < end; i++) results_.push_back(packet_result(packets_[i], i));
    note_trap();
  }

  /// The state that a packet of before the row left in the flow.
  void leave_flow_state(const RowPacket& packet) {
    if (packet.flow_state.empty()) return;
    const size_t flow = meta_of(packet.mbuf)->flow - 1;
    std::copy(packet.flow_state.begin(), packet.flow_state.end(), slots_.begin() + flow * kSlotBytes);
    marks_[flow].schemas[0] = manifest_.flow_schema;
  }

  /// The host says which packet of a burst it was; a row's packets are counted from its start.
  void note_trap() {
    if (!trap_.is_null()) return;
    for (const PluginStatus& status : host_->status()) {
      if (!status.last_trap) continue;
      trap_ = {{"message", status.last_trap->message}, {"packet", first_of_burst_ + status.last_trap->packet_index}};
    }
  }

  Json packet_result(const RowPacket& packet, size_t number) {
    const PacketMeta& meta = *meta_of(packet.mbuf);
    Json json = {{"verdict", packet.verdict}, {"table", meta.table}, {"mark", meta.mark}};
    if (packet.verdict == kVerdicts[1]) {
      json["reason"] = reason_name(meta.reason);
    } else {
      json["out"] = packet_hex(packet.mbuf);
    }
    if (packet.verdict == kVerdicts[2]) {
      json["outPort"] = meta.out_port;
      json["nextHop"] = next_hop_text(meta);
    }
    if (meta.flow != 0 && manifest_.flow_size > 0 && marks_[meta.flow - 1].schemas[0] != 0) {
      json["flowState"] = to_hex(slots_.data() + size_t{meta.flow - 1} * kSlotBytes, manifest_.flow_size);
    }
    const Json values = outputs_.values_of(static_cast<uint32_t>(number));
    if (!values.empty()) json["trace"] = values;
    return json;
  }

  std::string reason_name(uint16_t reason) const {
    if (reason < abi::kDropReasonCount) return abi::kDropReasonNames[reason];
    const size_t own = reason - abi::PLUGIN_REASON_BASE;
    return own < manifest_.drop_reasons.size() ? manifest_.drop_reasons[own] : "unknown";
  }

  static std::string next_hop_text(const PacketMeta& meta) {
    const uint8_t* bytes = meta.next_hop_address;
    if (is_unspecified(6, bytes)) return "";
    return to_text(make_address(meta.family, bytes));
  }

  Json result() {
    const MetricTotals totals = host_->status().front().totals;
    Json json = {{"packets", results_},           {"counters", totals.counters},
                 {"gauges", totals.gauges},       {"histograms", histograms_json(totals)},
                 {"emitted", outputs_.emitted()}, {"mirrored", outputs_.mirrored()}};
    if (!trap_.is_null()) json["trap"] = trap_;
    return json;
  }

  Node& node_;
  const Json& row_;
  const uint32_t budget_us_;
  std::optional<Error> error_;
  JsonReader reader_;
  std::vector<uint8_t> slots_ = std::vector<uint8_t>(size_t{kRowFlows} * kSlotBytes);
  std::vector<SlotMarks> marks_ = std::vector<SlotMarks>(kRowFlows);
  RowOutputs outputs_;
  std::unique_ptr<WasmHost> host_;
  Manifest manifest_;
  std::shared_ptr<Pipeline> pipeline_;
  RowPackets row_packets_;
  std::vector<RowPacket>& packets_ = row_packets_.packets;
  size_t first_of_burst_ = 0;
  Json results_ = Json::array();
  Json trap_;
  std::optional<BurstTimer> timer_;
};

/// Cycles a packet of several stages, by turns, so that what else the machine does meets all of them alike.
class Benchmark {
 public:
  Benchmark(Node& node, const Json& request) : node_(node), request_(request) {}

  Result<std::string> run() {
    const Json& stages = request_["bench"];
    for (size_t i = 0; i < stages.size(); i++) {
      std::vector<uint8_t> wasm;
      const std::string path = "/bench/" + std::to_string(i);
      if (!from_hex(stages[i].value("wasm", ""), wasm)) return Error{"invalid-row", path, "must be a module in hex"};
      runs_.push_back(std::make_unique<RowRun>(node_, stages[i]["row"], kBudgetUs));
      if (Status status = runs_.back()->prepare(wasm); !status) return status.error();
      if (Status status = runs_.back()->check_packets(); !status) return status.error();
    }
    Json cycles = Json::array();
    for (const uint16_t size : {uint16_t{32}, kMaxBurst}) {
      cycles.push_back({{"burst", size}, {"stages", medians(size)}});
      for (const auto& run : runs_) {
        if (!run->trap().is_null()) return json_text({{"trap", run->trap()}});
      }
    }
    return json_text({{"tscHz", rte_get_tsc_hz()}, {"cycles", cycles}});
  }

 private:
  static constexpr uint32_t kBudgetUs =
      500'000;  ///< the most there is: a packet thread that has to wait for its CPU is no failure

  std::vector<double> medians(uint16_t size) {
    std::vector<TimedStage> stages;
    for (const auto& run : runs_) {
      stages.push_back([&run](uint16_t burst, uint32_t bursts) { return run->cycles_a_packet(burst, bursts); });
    }
    return median_cycles(stages, size);
  }

  Node& node_;
  const Json& request_;
  std::vector<std::unique_ptr<RowRun>> runs_;
};

}  // namespace

Result<std::string> run_stage(Node& node, const std::string& request) {
  if (node.workers().empty()) return Error{"not-applied", "", "no packet thread runs yet; apply a state first"};
  const Json json = Json::parse(request, nullptr, false);
  if (json.is_object() && json.contains("bench")) return Benchmark(node, json).run();
  if (!json.is_object() || !json.contains("row") || !json["row"].is_object()) {
    return Error{"invalid-row", "/row", "the request needs a row"};
  }
  std::vector<uint8_t> wasm;
  if (!from_hex(json.value("wasm", ""), wasm)) return Error{"invalid-row", "/wasm", "must be the module in hex"};
  return RowRun(node, json["row"]).run(wasm);
}

}  // namespace sluice
