#include "wasm/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "wasm/metrics.h"

namespace sluice {

namespace {

using nlohmann::json;

constexpr const char* kHookNames[kHooks] = {"prerouting", "forward", "postrouting", "input", "output"};
constexpr size_t kMaxDropReasons = 128;

Error invalid(const std::string& path, const std::string& message) {
  return Error{"manifest-invalid", "manifest" + path, message};
}

std::string shown(const json& value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return text.size() <= 80 ? text : text.substr(0, 77) + "...";
}

/// Reads members one after the other and keeps the first error.
class Reader {
 public:
  explicit Reader(const json& object) : object_(object) {}

  std::optional<Error> error;

  uint64_t integer(const char* key, uint64_t least, uint64_t most, std::optional<uint64_t> absent) {
    const json* value = member(key, absent.has_value());
    if (value == nullptr) return absent.value_or(0);
    return integer_at(std::string("/") + key, *value, least, most);
  }

  uint64_t integer_at(const std::string& path, const json& value, uint64_t least, uint64_t most) {
    if (value.is_number_unsigned() && value.get<uint64_t>() >= least && value.get<uint64_t>() <= most) {
      return value.get<uint64_t>();
    }
    fail(path, shown(value) + " is not an integer from " + std::to_string(least) + " to " + std::to_string(most));
    return least;
  }

  bool boolean(const char* key, bool absent) {
    const json* value = member(key, true);
    if (value == nullptr) return absent;
    if (!value->is_boolean()) fail(std::string("/") + key, shown(*value) + " is not true or false");
    return value->is_boolean() && value->get<bool>();
  }

  std::string name(const char* key) {
    const json* value = member(key, false);
    return value == nullptr ? "" : name_at(std::string("/") + key, *value);
  }

  std::string name_at(const std::string& path, const json& value) {
    constexpr size_t kLongest = 64;
    const auto allowed = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || std::strchr("._+-", c); };
    if (value.is_string()) {
      const auto& text = value.get_ref<const std::string&>();
      const bool good = !text.empty() && text.size() <= kLongest && text.find('\0') == std::string::npos;
      if (good && std::all_of(text.begin(), text.end(), allowed)) return text;
    }
    fail(path, shown(value) + " is not a name of 1 to 64 letters, digits, '.', '_', '+' and '-'");
    return "";
  }

  std::vector<std::string> names(const char* key, size_t most) {
    std::vector<std::string> all;
    std::set<std::string> seen;
    each(key, most, [&](const std::string& path, const json& item) {
      all.push_back(name_at(path, item));
      if (!seen.insert(all.back()).second) fail(path, shown(item) + " is in the list twice");
    });
    return all;
  }

  template <typename Visit>
  void each(const char* key, size_t most, Visit visit) {
    const json* value = member(key, true);
    if (value == nullptr) return;
    const std::string path = std::string("/") + key;
    if (!value->is_array() || value->size() > most) {
      return fail(path, shown(*value) + " is not a list of at most " + std::to_string(most));
    }
    for (size_t i = 0; i < value->size(); i++) visit(path + "/" + std::to_string(i), (*value)[i]);
  }

  void fail(const std::string& path, const std::string& message) {
    if (!error) error = invalid(path, message);
  }

  const json* member(const char* key, bool optional) {
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    if (!optional) fail(std::string("/") + key, "is missing");
    return nullptr;
  }

 private:
  const json& object_;
};

void read_flow_state(Reader& reader, Manifest& manifest) {
  const json* value = reader.member("flowState", true);
  if (value == nullptr || value->is_null()) return;
  if (!value->is_object()) return reader.fail("/flowState", shown(*value) + " is neither null nor an object");
  for (const char* key : {"size", "schema"}) {
    if (!value->contains(key)) return reader.fail(std::string("/flowState/") + key, "is missing");
  }
  manifest.flow_size =
      static_cast<uint16_t>(reader.integer_at("/flowState/size", (*value)["size"], 1, abi::kSlotFlowStateSize));
  manifest.flow_schema = static_cast<uint8_t>(reader.integer_at("/flowState/schema", (*value)["schema"], 1, 255));
}

void read_hooks(Reader& reader, Manifest& manifest) {
  reader.each("hooks", kHooks, [&](const std::string& path, const json& item) {
    const auto hook = item.is_string() ? hook_named(item.get_ref<const std::string&>()) : std::nullopt;
    if (!hook) {
      reader.fail(path, shown(item) + " is no hook; there are prerouting, forward, postrouting, input and output");
    } else if (manifest.has_hook(*hook)) {
      reader.fail(path, shown(item) + " is in the list twice");
    } else {
      manifest.hooks.push_back(*hook);
    }
  });
  if (manifest.hooks.empty()) reader.fail("/hooks", "is missing or empty: a stage runs at one hook at least");
}

void read_migrates_from(Reader& reader, Manifest& manifest) {
  reader.each("migratesFrom", 255, [&](const std::string& path, const json& item) {
    const auto schema = static_cast<uint8_t>(reader.integer_at(path, item, 1, 255));
    if (schema == manifest.flow_schema) reader.fail(path, "is the module's own flow schema version");
    manifest.migrates_from.push_back(schema);
  });
  if (!manifest.migrates_from.empty() && manifest.flow_size == 0) {
    reader.fail("/migratesFrom", "needs flowState: there is nothing to migrate to");
  }
}

void read_bounds(Reader& reader, const std::string& path, const json& item, std::vector<uint64_t>& bounds) {
  constexpr uint64_t kLargest = (uint64_t{1} << 53) - 1;  // JavaScript's
  const auto found = item.find("bounds");
  if (found == item.end() || !found->is_array() || found->empty() || found->size() > abi::MAX_COUNTERS) {
    return reader.fail(path, "must be a list of 1 to " + std::to_string(abi::MAX_COUNTERS) + " whole numbers");
  }
  for (size_t i = 0; i < found->size(); i++) {
    const json& bound = (*found)[i];
    const std::string at = path + "/" + std::to_string(i);
    const uint64_t value = reader.integer_at(at, bound, 0, kLargest);
    if (!bounds.empty() && value <= bounds.back())
      return reader.fail(at, shown(bound) + " is not above the one before");
    bounds.push_back(value);
  }
}

/// One name belongs to one metric, of whatever kind.
void read_metrics(Reader& reader, Manifest& manifest) {
  manifest.counters = reader.names("counters", abi::MAX_COUNTERS);
  manifest.gauges = reader.names("gauges", abi::MAX_COUNTERS);
  reader.each("histograms", abi::MAX_COUNTERS, [&](const std::string& path, const json& item) {
    if (!item.is_object() || !item.contains("name")) return reader.fail(path, "must be an object with name and bounds");
    Histogram histogram;
    histogram.name = reader.name_at(path + "/name", item["name"]);
    read_bounds(reader, path + "/bounds", item, histogram.bounds);
    manifest.histograms.push_back(std::move(histogram));
  });
  std::set<std::string> seen(manifest.counters.begin(), manifest.counters.end());
  const auto check = [&](const std::string& path, const std::string& name) {
    if (!seen.insert(name).second) reader.fail(path, "'" + name + "' is a metric's name already");
  };
  for (size_t i = 0; i < manifest.gauges.size(); i++) check("/gauges/" + std::to_string(i), manifest.gauges[i]);
  for (size_t i = 0; i < manifest.histograms.size(); i++) {
    check("/histograms/" + std::to_string(i) + "/name", manifest.histograms[i].name);
  }
  if (const size_t cells = metric_cells(manifest); cells > abi::MAX_COUNTERS) {
    reader.fail("", "its metrics take " + std::to_string(cells) + " cells; there are " +
                        std::to_string(abi::MAX_COUNTERS) + " (a histogram takes two more than it has bounds)");
  }
}

void read_schema_and_failure(Reader& reader, Manifest& manifest) {
  manifest.failure = "FailClosed";
  if (const json* failure = reader.member("failure", true)) {
    const bool known = *failure == "FailClosed" || *failure == "FailOpen" || *failure == "Reload";
    if (known) manifest.failure = failure->get<std::string>();
    if (!known) reader.fail("/failure", shown(*failure) + " is not FailClosed, FailOpen or Reload");
  }
  if (const json* schema = reader.member("configSchema", true); schema != nullptr && !schema->is_null()) {
    if (!schema->is_object()) return reader.fail("/configSchema", shown(*schema) + " is not an object");
    manifest.config_schema = schema->dump();
  }
}

}  // namespace

bool Manifest::has_hook(abi::Hook hook) const {
  return std::find(hooks.begin(), hooks.end(), hook) != hooks.end();
}

const char* hook_name(abi::Hook hook) {
  return kHookNames[static_cast<size_t>(hook)];
}

std::optional<abi::Hook> hook_named(std::string_view name) {
  for (size_t i = 0; i < kHooks; i++) {
    if (name == kHookNames[i]) return static_cast<abi::Hook>(i);
  }
  return std::nullopt;
}

Result<Manifest> parse_manifest(std::string_view text) {
  const json root = json::parse(text.begin(), text.end(), nullptr, false);
  if (root.is_discarded()) return invalid("", "is not JSON in UTF-8");
  if (!root.is_object()) return invalid("", shown(root) + " is not an object");
  Reader reader(root);
  if (const json* version = reader.member("abi", false)) {
    if (*version != abi::kAbiVersion) {
      return Error{"module-wrong-abi", "manifest/abi",
                   "the module was built for ABI version " + shown(*version) + ", this host has version " +
                       std::to_string(abi::kAbiVersion) + "; build it with the matching @sluice/sdk"};
    }
  }
  Manifest manifest;
  manifest.name = reader.name("name");
  manifest.version = reader.name("version");
  read_hooks(reader, manifest);
  manifest.header_bytes = static_cast<uint16_t>(reader.integer("headerBytes", 0, abi::kSlotHeadBytesMax, std::nullopt));
  manifest.writes = reader.boolean("writes", false);
  manifest.settles = reader.boolean("settles", false);
  read_flow_state(reader, manifest);
  read_migrates_from(reader, manifest);
  read_metrics(reader, manifest);
  manifest.trace_values = reader.names("traceValues", abi::MAX_TRACE_VALUES);
  manifest.drop_reasons = reader.names("dropReasons", kMaxDropReasons);
  manifest.segment_bytes = static_cast<uint32_t>(reader.integer("segmentBytes", 0, abi::kSegmentASize, 0));
  read_schema_and_failure(reader, manifest);
  if (reader.error) return *reader.error;
  return manifest;
}

}  // namespace sluice
