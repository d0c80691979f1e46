#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace sluice {

/// JSON as the addon hands it out; bytes in it that are no UTF-8 are replaced.
inline std::string json_text(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace sluice
