#include "field.h"

#include "failure.h"

namespace sluice::cni {

namespace {

const Json kAbsent;

std::string shown(const Json& value) {
  if (value.is_null()) return "nothing";
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

std::string whole_number(uint32_t least, uint32_t most) {
  return "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
}

}  // namespace

void Field::refuse(const std::string& allowed) const {
  throw Failure(code::kInvalidConfiguration, (path_.empty() ? "the network configuration" : path_) + ": must be " +
                                                 allowed + ", found " + shown(value_));
}

void Field::refuse_unsupported(const std::string& details) const {
  throw Failure(code::kUnsupportedField, path_ + ": unsupported field, found " + shown(value_), details);
}

Field Field::at(const std::string& key) const {
  const std::string path = path_.empty() ? key : path_ + "." + key;
  if (!present()) return {kAbsent, path};
  if (!value_.is_object()) refuse("an object");
  const auto found = value_.find(key);
  return {found != value_.end() ? *found : kAbsent, path};
}

std::vector<Field> Field::elements() const {
  std::vector<Field> all;
  if (!present()) return all;
  if (!value_.is_array()) refuse("an array");
  for (size_t i = 0; i < value_.size(); i++) all.emplace_back(value_[i], path_ + "[" + std::to_string(i) + "]");
  return all;
}

std::vector<std::string> Field::keys() const {
  std::vector<std::string> all;
  if (!present()) return all;
  if (!value_.is_object()) refuse("an object");
  for (const auto& [key, value] : value_.items()) all.push_back(key);
  return all;
}

std::string Field::text(const std::string& fallback) const {
  return present() ? required_text() : fallback;
}

std::string Field::required_text() const {
  if (!value_.is_string() || value_.get_ref<const std::string&>().empty()) refuse("a string that is not empty");
  return value_.get<std::string>();
}

uint32_t Field::number(uint32_t least, uint32_t most) const {
  if (!value_.is_number_unsigned()) refuse(whole_number(least, most));
  const auto number = value_.get<uint64_t>();
  if (number < least || number > most) refuse(whole_number(least, most));
  return static_cast<uint32_t>(number);
}

uint32_t Field::number(uint32_t least, uint32_t most, uint32_t fallback) const {
  return present() ? number(least, most) : fallback;
}

bool Field::flag() const {
  if (!present()) return false;
  if (!value_.is_boolean()) refuse("true or false");
  return value_.get<bool>();
}

}  // namespace sluice::cni
