#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "control/desired_state.h"

namespace sluice {

/// Reads one JSON object's fields and keeps the first thing that is wrong, with its JSON pointer.
/// After an error all reads give defaults, so that a caller checks once, at the end.
class JsonReader {
 public:
  using Json = nlohmann::json;

  JsonReader(const Json& object, std::string path, std::optional<Error>& error);

  std::string text(const char* key, std::string fallback = "");
  bool flag(const char* key, bool fallback = false);
  /// An integer of 0 to `most`.
  uint64_t number(const char* key, uint64_t fallback, uint64_t most);
  std::optional<rte_ether_addr> mac(const char* key);
  std::optional<IpAddress> address(const char* key);
  std::optional<IpPrefix> prefix(const char* key);

  /// Calls `visit(element, pointer)` for each element of an array; an absent key is an empty array.
  template <typename Visit>
  void each(const char* key, Visit visit) {
    const Json* array = find(key, Json::value_t::array, "an array");
    if (array == nullptr) return;
    for (size_t i = 0; i < array->size(); i++) visit((*array)[i], at(key) + "/" + std::to_string(i));
  }

  const Json* find(const char* key, Json::value_t type, const char* expected);
  /// Of any type; null where there is none.
  const Json* find(const char* key) const;
  std::string at(const char* key) const { return path_ + "/" + key; }
  void fail(const std::string& path, const std::string& message);

 private:
  const Json& object_;
  std::string path_;
  std::optional<Error>& error_;
};

/// "10.0.0.1" or "fd00::1".
std::optional<IpAddress> parse_address(const std::string& text);
/// "10.0.0.0/8"; bits beyond the length must be zero unless `host_bits` is true.
std::optional<IpPrefix> parse_prefix(const std::string& text, bool host_bits);

}  // namespace sluice
