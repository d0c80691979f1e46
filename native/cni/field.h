#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sluice::cni {

using Json = nlohmann::json;

/// A value of the network configuration with its path, such as runtimeConfig.portMappings[0].hostPort. Every read
/// throws a Failure (invalid configuration) that names the path, what may stand there and what does.
class Field {
 public:
  Field(const Json& value, std::string path) : value_(value), path_(std::move(path)) {}

  const Json& value() const { return value_; }
  const std::string& path() const { return path_; }
  /// Null counts as absent.
  bool present() const { return !value_.is_null(); }

  /// Absent when this field is.
  Field at(const std::string& key) const;
  /// None when it is absent.
  std::vector<Field> elements() const;
  std::vector<std::string> keys() const;

  std::string text(const std::string& fallback = {}) const;
  std::string required_text() const;
  uint32_t number(uint32_t least, uint32_t most) const;
  uint32_t number(uint32_t least, uint32_t most, uint32_t fallback) const;
  bool flag() const;

  [[noreturn]] void refuse(const std::string& allowed) const;
  /// The specification's error for a field that is known to nobody here.
  [[noreturn]] void refuse_unsupported(const std::string& details) const;

 private:
  const Json& value_;
  std::string path_;
};

}  // namespace sluice::cni
