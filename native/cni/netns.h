#pragma once

#include <string>
#include <vector>

namespace sluice::cni {

/// True when `path` is a network namespace's file.
bool is_netns(const std::string& path);
bool is_own_netns(const std::string& path);

/// Throws a Failure (interface changed) unless the namespace has the interface, up, with each of the addresses (with
/// their prefix lengths). Moves the calling thread into the namespace for good.
void check_interface(const std::string& netns, const std::string& ifname, const std::vector<std::string>& addresses);

}  // namespace sluice::cni
