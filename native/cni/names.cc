#include "names.h"

#include <net/if.h>

#include <algorithm>
#include <cctype>

namespace sluice::cni {

bool is_identifier(const std::string& text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-'; };
  return !text.empty() && std::isalnum(static_cast<unsigned char>(text[0])) != 0 &&
         std::all_of(text.begin(), text.end(), allowed);
}

bool is_interface_name(const std::string& text) {
  const auto refused = [](unsigned char c) { return c == '/' || c == ':' || std::isspace(c) != 0; };
  return !text.empty() && text.size() < IFNAMSIZ && text != "." && text != ".." &&
         std::none_of(text.begin(), text.end(), refused);
}

}  // namespace sluice::cni
