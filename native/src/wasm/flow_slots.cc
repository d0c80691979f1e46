#include "wasm/flow_slots.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace sluice {

namespace {

using nlohmann::json;

constexpr uint16_t kGrain = 8;  // slots start at multiples of it

uint16_t rounded(uint16_t size) {
  return static_cast<uint16_t>((size + kGrain - 1) / kGrain * kGrain);
}

}  // namespace

Result<SlotAssignment> SlotRegistry::assign(const std::string& plugin, uint16_t size, uint8_t schema, bool& fresh) {
  fresh = false;
  size = rounded(size);
  Entry* own = nullptr;
  for (Entry& entry : entries_) {
    if (entry.plugin == plugin) own = &entry;
  }
  if (own != nullptr && own->slot.size >= size) {
    own->schema = schema;
    return own->slot;
  }
  // The plugin's old part stays taken until the new one is found: the version that runs still writes there.
  Entry* entry = place(size);
  while (entry == nullptr) {
    const auto unused = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& old) {
      return !old.plugin.empty() && !old.in_use && &old != own;
    });
    if (unused == entries_.end()) {
      return Error{"flow-state-full", "",
                   "plugin " + plugin + " wants " + std::to_string(size) + " bytes of flow state, but of the " +
                       std::to_string(bytes_per_flow_) + " bytes and " + std::to_string(kMaxFlowSlots) +
                       " plugins that a flow has room for not enough are free"};
    }
    *unused = Entry{};
    entry = place(size);
  }
  if (own != nullptr) *own = Entry{};
  entry->plugin = plugin;
  entry->schema = schema;
  fresh = true;
  return entry->slot;
}

SlotRegistry::Entry* SlotRegistry::place(uint16_t size) {
  Entry* free = nullptr;
  std::vector<SlotAssignment> taken;
  for (size_t i = 0; i < entries_.size(); i++) {
    if (!entries_[i].plugin.empty()) {
      taken.push_back(entries_[i].slot);
    } else if (free == nullptr) {
      free = &entries_[i];
      free->slot.index = static_cast<uint8_t>(i);
    }
  }
  if (free == nullptr) return nullptr;
  std::sort(taken.begin(), taken.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  uint16_t offset = 0;
  for (const SlotAssignment& slot : taken) {
    if (slot.offset - offset >= size) break;
    offset = static_cast<uint16_t>(slot.offset + slot.size);
  }
  if (offset + size > bytes_per_flow_) return nullptr;
  free->slot.offset = offset;
  free->slot.size = size;
  return free;
}

const SlotRegistry::Entry* SlotRegistry::find(const std::string& plugin) const {
  for (const Entry& entry : entries_) {
    if (entry.plugin == plugin) return &entry;
  }
  return nullptr;
}

void SlotRegistry::mark_in_use(const std::string& plugin, bool in_use) {
  for (Entry& entry : entries_) {
    if (entry.plugin == plugin) entry.in_use = in_use;
  }
}

std::string SlotRegistry::serialize() const {
  json list = json::array();
  for (const Entry& entry : entries_) {
    if (entry.plugin.empty()) continue;
    list.push_back({{"plugin", entry.plugin},
                    {"index", entry.slot.index},
                    {"offset", entry.slot.offset},
                    {"size", entry.slot.size},
                    {"schema", entry.schema}});
  }
  return json{{"bytesPerFlow", bytes_per_flow_}, {"slots", list}}.dump();
}

Result<SlotRegistry> SlotRegistry::parse(const std::string& text, uint16_t bytes_per_flow) {
  const Error broken{"slot-registry-invalid", "",
                     "the list of plugins' flow slots is damaged; flows start without state"};
  const json root = json::parse(text, nullptr, false);
  if (!root.is_object() || root.value("bytesPerFlow", json()) != bytes_per_flow) return broken;
  SlotRegistry registry(bytes_per_flow);
  const json slots = root.value("slots", json());
  if (!slots.is_array()) return broken;
  for (const json& item : slots) {
    if (!item.is_object() || !item.value("plugin", json()).is_string()) return broken;
    const auto number = [&](const char* key) {
      const json value = item.value(key, json());
      return value.is_number_unsigned() ? value.get<uint64_t>() : UINT64_MAX;
    };
    const uint64_t index = number("index"), offset = number("offset"), size = number("size"), schema = number("schema");
    if (index >= kMaxFlowSlots || offset > bytes_per_flow || size > bytes_per_flow - offset || schema > 255)
      return broken;
    Entry& entry = registry.entries_[index];
    const auto overlaps = [&](const Entry& other) {
      return !other.plugin.empty() && offset < other.slot.offset + other.slot.size && other.slot.offset < offset + size;
    };
    if (std::any_of(registry.entries_.begin(), registry.entries_.end(), overlaps) || !entry.plugin.empty())
      return broken;
    entry.plugin = item["plugin"].get<std::string>();
    entry.slot = {static_cast<uint8_t>(index), static_cast<uint16_t>(offset), static_cast<uint16_t>(size)};
    entry.schema = static_cast<uint8_t>(schema);
  }
  return registry;
}

}  // namespace sluice
