#include "control/json_reader.h"

#include <arpa/inet.h>

#include <charconv>

namespace sluice {

namespace {

std::string shown(const nlohmann::json& value) {
  std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

bool has_host_bits(const IpPrefix& prefix) {
  const size_t bytes = prefix.address.family == 4 ? 4 : 16;
  for (size_t i = 0; i < bytes; i++) {
    const int kept = std::max(0, std::min(8, prefix.length - static_cast<int>(i) * 8));
    const auto mask = static_cast<uint8_t>(0xff >> kept);
    if ((prefix.address.bytes[i] & mask) != 0) return true;
  }
  return false;
}

}  // namespace

std::optional<IpAddress> parse_address(const std::string& text) {
  IpAddress address;
  address.family = text.find(':') == std::string::npos ? 4 : 6;
  if (inet_pton(address.family == 4 ? AF_INET : AF_INET6, text.c_str(), address.bytes.data()) != 1) return std::nullopt;
  return address;
}

std::optional<IpPrefix> parse_prefix(const std::string& text, bool host_bits) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return std::nullopt;
  const auto address = parse_address(text.substr(0, slash));
  unsigned length = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + slash + 1, end, length);
  if (!address || parsed.ec != std::errc() || parsed.ptr != end || length > (address->family == 4 ? 32U : 128U)) {
    return std::nullopt;
  }
  const IpPrefix prefix{*address, static_cast<uint8_t>(length)};
  if (!host_bits && has_host_bits(prefix)) return std::nullopt;
  return prefix;
}

JsonReader::JsonReader(const Json& object, std::string path, std::optional<Error>& error)
    : object_(object), path_(std::move(path)), error_(error) {
  if (!object_.is_object()) fail(path_, "must be an object, found " + shown(object_));
}

void JsonReader::fail(const std::string& path, const std::string& message) {
  if (!error_) error_ = Error{"invalid-state", path, message};
}

const nlohmann::json* JsonReader::find(const char* key) const {
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

const nlohmann::json* JsonReader::find(const char* key, Json::value_t type, const char* expected) {
  const Json* found = find(key);
  if (found == nullptr) return nullptr;
  if (found->type() != type) {
    fail(at(key), std::string("must be ") + expected + ", found " + shown(*found));
    return nullptr;
  }
  return found;
}

std::string JsonReader::text(const char* key, std::string fallback) {
  const Json* value = find(key, Json::value_t::string, "a string");
  return value != nullptr ? value->get<std::string>() : fallback;
}

bool JsonReader::flag(const char* key, bool fallback) {
  const Json* value = find(key, Json::value_t::boolean, "true or false");
  return value != nullptr ? value->get<bool>() : fallback;
}

uint64_t JsonReader::number(const char* key, uint64_t fallback, uint64_t most) {
  const Json* value = find(key, Json::value_t::number_unsigned, "a whole number of 0 or more");
  if (value == nullptr) return fallback;
  const auto number = value->get<uint64_t>();
  if (number > most) fail(at(key), "must be at most " + std::to_string(most) + ", found " + std::to_string(number));
  return number;
}

std::optional<rte_ether_addr> JsonReader::mac(const char* key) {
  const std::string given = text(key);
  if (given.empty()) return std::nullopt;
  rte_ether_addr mac;
  if (rte_ether_unformat_addr(given.c_str(), &mac) != 0 || rte_is_multicast_ether_addr(&mac) != 0 ||
      rte_is_zero_ether_addr(&mac) != 0) {
    fail(at(key), "must be a unicast MAC address such as 02:00:00:00:00:01, found \"" + given + "\"");
    return std::nullopt;
  }
  return mac;
}

std::optional<IpAddress> JsonReader::address(const char* key) {
  const std::string given = text(key);
  if (given.empty()) return std::nullopt;
  const auto address = parse_address(given);
  if (!address) fail(at(key), "must be an IPv4 or IPv6 address, found \"" + given + "\"");
  return address;
}

std::optional<IpPrefix> JsonReader::prefix(const char* key) {
  const std::string given = text(key);
  const auto prefix = parse_prefix(given, false);
  if (!prefix) fail(at(key), "must be a prefix such as 10.0.0.0/8 without host bits, found \"" + given + "\"");
  return prefix;
}

}  // namespace sluice
