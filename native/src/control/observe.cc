#include "control/observe.h"

#include <optional>

#include "control/json_reader.h"
#include "control/json_text.h"
#include "wasm/trap.h"

namespace sluice {

namespace {

using Json = nlohmann::json;

/// Reads an object of options with `read`, which says what is wrong through the reader.
template <typename Read>
std::optional<Error> read_options(const std::string& text, Read read) {
  const Json json = Json::parse(text, nullptr, false);
  std::optional<Error> error;
  JsonReader reader(json, "", error);
  if (!error) read(reader);
  if (error) error->code = "invalid-options";
  return error;
}

/// A number that must be there.
uint32_t needed(JsonReader& reader, const char* key, uint32_t most) {
  const uint64_t absent = uint64_t{most} + 1;
  const uint64_t value = reader.number(key, absent, most);
  if (value == absent) reader.fail(reader.at(key), "must be a whole number of 0 to " + std::to_string(most));
  return static_cast<uint32_t>(value);
}

std::vector<std::string> names(JsonReader& reader, const char* key) {
  std::vector<std::string> all;
  reader.each(key, [&](const Json& element, const std::string& path) {
    if (!element.is_string()) return reader.fail(path, "must be a string");
    all.push_back(element.get<std::string>());
  });
  return all;
}

double milliseconds(uint64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / 1e6;
}

Json step_json(const TraceStep& step) {
  Json json = {{"kind", step.kind}, {"afterNs", step.after_ns}, {"detail", step.detail}};
  const auto put = [&json](const char* key, const std::string& value) {
    if (!value.empty()) json[key] = value;
  };
  put("stage", step.stage);
  put("hook", step.hook);
  put("verdict", step.verdict);
  put("reason", step.reason);
  for (const TraceStep::Rewrite& rewrite : step.rewrites) {
    json["rewrites"].push_back({{"offset", rewrite.offset}, {"before", rewrite.before}, {"after", rewrite.after}});
  }
  for (const TraceStep::Value& value : step.values) {
    json["values"].push_back({{"name", value.name}, {"value", value.value}});
  }
  if (step.cycles) json["cycles"] = *step.cycles;
  return json;
}

Json packet_json(const TracedPacket& packet) {
  Json steps = Json::array();
  for (const TraceStep& step : packet.steps) steps.push_back(step_json(step));
  return {{"number", packet.number}, {"worker", packet.worker}, {"at", milliseconds(packet.wall_ns)},
          {"packetHex", packet.hex}, {"length", packet.length}, {"summary", packet.summary},
          {"steps", steps}};
}

Json side_json(const FlowRow::Side& side) {
  return {{"source", side.source},
          {"sourcePort", side.source_port},
          {"destination", side.destination},
          {"destinationPort", side.destination_port}};
}

}  // namespace

Result<uint32_t> start_trace(Observation& observation, const std::string& options) {
  std::string filter;
  uint32_t packets = 0;
  const auto error = read_options(options, [&](JsonReader& reader) {
    filter = reader.text("filter");
    packets = needed(reader, "packets", kMaxTracedPackets);
  });
  if (error) return *error;
  return observation.start_trace(filter, packets);
}

Result<std::string> read_trace(Observation& observation, uint32_t id) {
  auto read = observation.read_trace(id);
  if (!read) return read.error();
  Json packets = Json::array();
  for (const TracedPacket& packet : read.value().packets) packets.push_back(packet_json(packet));
  return json_text({{"packets", packets},
                    {"left", read.value().left},
                    {"inWork", read.value().in_work},
                    {"lost", read.value().lost}});
}

Result<uint32_t> start_capture(Observation& observation, const std::string& options) {
  CaptureRequest request;
  const auto error = read_options(options, [&](JsonReader& reader) {
    request.filter = reader.text("filter");
    request.points = names(reader, "points");
    request.ports = names(reader, "ports");
    request.snap_length = needed(reader, "snapLength", kMaxSnapLength);
  });
  if (error) return *error;
  return observation.start_capture(request);
}

std::string drops(Observation& observation) {
  Json all = Json::array();
  for (const DropTotal& total : observation.drops()) {
    const LastDrop& last = total.last;
    all.push_back({{"reason", total.reason},
                   {"stage", total.stage},
                   {"packets", total.packets},
                   {"last",
                    {{"at", milliseconds(last.wall_ns)},
                     {"worker", total.worker},
                     {"inPort", last.in_port},
                     {"packetHex", to_hex(last.bytes, last.shown)},
                     {"length", last.length},
                     {"summary", summarize(last.bytes, last.shown, last.length)}}}});
  }
  return json_text(all);
}

Result<std::string> flows(Observation& observation, const std::string& text) {
  constexpr uint32_t kMost = 100'000;  // flows of one call
  FlowQuery query;
  const auto error = read_options(text, [&](JsonReader& reader) {
    query.max = needed(reader, "max", kMost);
    if (const uint64_t after = reader.number("after", UINT64_MAX, UINT32_MAX - 1); after <= UINT32_MAX) {
      query.first = static_cast<uint32_t>(after + 1);
    }
    query.address = reader.address("address");
    if (const uint64_t port = reader.number("port", UINT64_MAX, UINT16_MAX); port <= UINT16_MAX) {
      query.port = static_cast<uint16_t>(port);
    }
    if (const uint64_t protocol = reader.number("protocol", UINT64_MAX, UINT8_MAX); protocol <= UINT8_MAX) {
      query.protocol = static_cast<uint8_t>(protocol);
    }
  });
  if (error) return *error;
  Json all = Json::array();
  for (const FlowRow& row : observation.flows(query)) {
    Json slots = Json::object();
    for (const auto& [plugin, hex] : row.slots) slots[plugin] = hex;
    all.push_back({{"number", row.number},
                   {"protocol", row.protocol},
                   {"original", side_json(row.original)},
                   {"reply", side_json(row.reply)},
                   {"state", row.state},
                   {"idleMs", row.idle_ms},
                   {"expiresInMs", row.expires_in_ms},
                   {"slots", slots}});
  }
  return json_text(all);
}

Result<std::string> profile(Observation& observation, const std::string& options) {
  ProfileRequest request;
  const auto error = read_options(options, [&](JsonReader& reader) {
    request.plugin = reader.text("plugin");
    request.duration_ms = needed(reader, "durationMs", UINT32_MAX - 1);
    request.hertz = needed(reader, "hertz", UINT32_MAX - 1);
  });
  if (error) return *error;
  const auto taken = observation.profile(request);
  if (!taken) return taken.error();
  Json places = Json::array();
  for (const auto& [place, samples] : taken.value().places) {
    places.push_back({{"function", place.function}, {"offset", place.offset}, {"samples", samples}});
  }
  return json_text({{"samples", taken.value().samples},
                    {"inPlugin", taken.value().in_plugin},
                    {"digest", taken.value().digest},
                    {"places", places}});
}

}  // namespace sluice
