#pragma once

#include <string>
#include <vector>

#include "configuration.h"
#include "failure.h"
#include "sluice/v1/cni.pb.h"

namespace sluice::cni {

/// ADD's result in the form of the configuration's version: what the plugin before gave, then `added`.
Json add_result(const Configuration& configuration, const std::string& netns, const v1::AddResponse& added);

/// What the result of ADD says of interface `ifname` in `netns`: its addresses. Throws a Failure (invalid
/// configuration) where it does not have the interface.
std::vector<std::string> previous_addresses(const Json& previous, const std::string& netns, const std::string& ifname);

Json version_result(const std::string& asked);
Json error_result(const std::string& version, const Failure& failure);

}  // namespace sluice::cni
