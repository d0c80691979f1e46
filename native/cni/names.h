#pragma once

#include <string>

namespace sluice::cni {

constexpr const char* kIdentifier = "letters, digits, \"_\", \".\" or \"-\" after a letter or digit";
constexpr const char* kInterfaceName = "an interface name: 1 to 15 characters without a slash, colon or space";

/// Of container ids and network names, as the CNI specification has them.
bool is_identifier(const std::string& text);
bool is_interface_name(const std::string& text);

}  // namespace sluice::cni
