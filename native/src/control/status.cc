#include "control/status.h"

namespace sluice {

namespace {

using Json = nlohmann::json;

const char* kind_name(PortKind kind) {
  static constexpr const char* kNames[] = {"tap",  "af-packet", "af-xdp", "memif", "pcap", "null",
                                           "ring", "inject",    "dpdk",   "vxlan", "veth"};
  return kNames[static_cast<size_t>(kind)];
}

std::string mac_text(const rte_ether_addr& mac) {
  char text[RTE_ETHER_ADDR_FMT_SIZE];
  rte_ether_format_addr(text, sizeof text, &mac);
  for (char& letter : text) letter = static_cast<char>(std::tolower(letter));
  return text;
}

/// A map or a list of pairs.
template <typename Named>
Json named_counts(const Named& counts) {
  Json json = Json::object();
  for (const auto& [name, count] : counts) json[name] = count;
  return json;
}

uint64_t count_of(const PluginStatus& plugin, abi::DropReason reason) {
  const std::string name = abi::kDropReasonNames[static_cast<size_t>(reason)];
  for (const auto& [dropped, count] : plugin.totals.drops) {
    if (dropped == name) return count;
  }
  return 0;
}

std::string failure_line(const TrapInfo& trap) {
  std::string line = trap.code + ": " + trap.message;
  if (!trap.packet_summary.empty())
    line += " at packet " + std::to_string(trap.packet_index) + ", " + trap.packet_summary;
  return line;
}

Json trap_json(const TrapInfo& trap) {
  Json frames = Json::array();
  for (const TrapFrame& frame : trap.frames) frames.push_back({{"function", frame.function}, {"offset", frame.offset}});
  return {{"code", trap.code},
          {"message", trap.message},
          {"version", trap.version},
          {"digest", trap.digest},
          {"hook", trap.hook},
          {"worker", trap.worker},
          {"at", trap.wall_ns / 1'000'000},
          {"packetHex", trap.packet_hex},
          {"packetSummary", trap.packet_summary},
          {"frames", frames}};
}

Json stage_workers_json(const std::vector<StageTotals>& workers) {
  Json json = Json::array();
  for (const StageTotals& worker : workers) {
    json.push_back({{"packets", worker.packets}, {"bursts", worker.calls}, {"cycles", worker.cycles}});
  }
  return json;
}

Json stage_json(const PluginStatus& plugin) {
  Json hooks = Json::array();
  for (const abi::Hook hook : plugin.hooks) hooks.push_back(hook_name(hook));
  const std::string state = plugin.state == "running"     ? "active"
                            : plugin.state == "reloading" ? "backing-off"
                                                          : "failed";
  return {{"name", plugin.name},
          {"version", plugin.version},
          {"digest", plugin.digest},
          {"hooks", hooks},
          {"state", state},
          {"packets", plugin.totals.packets},
          {"bursts", plugin.totals.calls},
          {"cycles", plugin.totals.cycles},
          {"drops", named_counts(plugin.totals.drops)},
          {"counters", named_counts(plugin.totals.counters)},
          {"gauges", named_counts(plugin.totals.gauges)},
          {"histograms", histograms_json(plugin.totals)},
          {"emitted", plugin.totals.emitted},
          {"mirrored", plugin.totals.mirrored},
          {"settled", plugin.totals.settled},
          {"workers", stage_workers_json(plugin.workers)},
          {"failures", plugin.totals.failures},
          {"invalidOutputs", count_of(plugin, abi::DropReason::StageInvalidOutput)},
          {"lastFailure", plugin.last_trap ? failure_line(*plugin.last_trap) : ""},
          {"lastTrap", plugin.last_trap ? trap_json(*plugin.last_trap) : Json()}};
}

}  // namespace

Json histograms_json(const MetricTotals& totals) {
  Json json = Json::object();
  for (const auto& [name, histogram] : totals.histograms) {
    json[name] = {{"bounds", histogram.bounds}, {"counts", histogram.counts}, {"sum", histogram.sum}};
  }
  return json;
}

Json manifest_json(const Manifest& manifest) {
  Json histograms = Json::array();
  for (const Histogram& histogram : manifest.histograms) {
    histograms.push_back({{"name", histogram.name}, {"bounds", histogram.bounds}});
  }
  Json hooks = Json::array();
  for (const abi::Hook hook : manifest.hooks) hooks.push_back(hook_name(hook));
  Json flow_state = nullptr;
  if (manifest.flow_size > 0) flow_state = {{"size", manifest.flow_size}, {"schema", manifest.flow_schema}};
  return {
      {"abi", abi::kAbiVersion},
      {"name", manifest.name},
      {"version", manifest.version},
      {"hooks", hooks},
      {"headerBytes", manifest.header_bytes},
      {"writes", manifest.writes},
      {"flowState", flow_state},
      {"migratesFrom", manifest.migrates_from},
      {"counters", manifest.counters},
      {"gauges", manifest.gauges},
      {"histograms", histograms},
      {"traceValues", manifest.trace_values},
      {"dropReasons", manifest.drop_reasons},
      {"segmentBytes", manifest.segment_bytes},
      {"failure", manifest.failure},
      {"configSchema", manifest.config_schema.empty() ? Json() : Json::parse(manifest.config_schema, nullptr, false)}};
}

Json workers_json(const std::vector<std::unique_ptr<Worker>>& workers) {
  Json json = Json::array();
  for (const auto& worker : workers) {
    const WorkerCounters& counters = worker->context().counters;
    json.push_back({{"id", worker->context().id},
                    {"core", worker->core()},
                    {"received", counters.received.load()},
                    {"transmitted", counters.transmitted.load()},
                    {"bursts", counters.bursts.load()},
                    {"busyCycles", counters.busy_cycles.load()},
                    {"polls", counters.polls.load()},
                    {"sleeps", counters.sleeps.load()}});
  }
  return json;
}

Json ports_json(const PortSet& ports) {
  Json json = Json::array();
  for (const auto& [name, entry] : ports.entries()) {
    const PortCounters counters = entry.port->counters();
    json.push_back({{"name", name},
                    {"id", entry.port->id},
                    {"kind", kind_name(entry.config.kind)},
                    {"up", entry.port->up()},
                    {"lost", entry.lost},
                    {"canReturn", entry.can_return()},
                    {"mac", mac_text(entry.port->mac)},
                    {"mtu", entry.port->mtu},
                    {"rxPackets", counters.rx_packets},
                    {"rxBytes", counters.rx_bytes},
                    {"txPackets", counters.tx_packets},
                    {"txBytes", counters.tx_bytes},
                    {"rxErrors", counters.rx_errors},
                    {"txErrors", counters.tx_errors}});
  }
  return json;
}

Json stages_json(const std::vector<PluginStatus>& plugins) {
  Json json = Json::array();
  for (const PluginStatus& plugin : plugins) json.push_back(stage_json(plugin));
  return json;
}

Json drops_json(const std::vector<std::unique_ptr<Worker>>& workers) {
  Json json = Json::object();
  for (size_t reason = 0; reason < abi::kDropReasonCount; reason++) {
    uint64_t sum = 0;
    for (const auto& worker : workers) sum += worker->context().counters.drops[reason].load();
    if (sum > 0) json[abi::kDropReasonNames[reason]] = sum;
  }
  return json;
}

Json buffers_json(const BufferPools& pools) {
  return {{"packets", pools.packets->size},
          {"packetsFree", rte_mempool_avail_count(pools.packets)},
          {"jumbos", pools.jumbos->size},
          {"jumbosFree", rte_mempool_avail_count(pools.jumbos)}};
}

Json shadow_json(const ShadowReport& report, const std::string& plugin) {
  Json json = {{"passed", report.state == ShadowReport::State::Passed},
               {"packets", 0},
               {"differences", 0},
               {"failures", 0},
               {"first", ""}};
  if (report.state == ShadowReport::State::TimedOut) json["first"] = "the time ran out before enough packets came";
  for (const ShadowPluginReport& seen : report.plugins) {
    if (seen.plugin != plugin) continue;
    json["packets"] = seen.packets;
    json["differences"] = seen.differences;
    json["failures"] = seen.traps;
    if (!seen.first_difference.empty()) json["first"] = seen.first_difference;
  }
  return json;
}

}  // namespace sluice
