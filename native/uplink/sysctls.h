#pragma once

#include <map>
#include <string>

namespace sluice::uplink {

/// An interface's settings of both families, by their paths below /proc/sys/net with * in place of its name. Those that
/// cannot be read are left out.
std::map<std::string, std::string> read_sysctls(const std::string& device);

/// Writes what differs. What the kernel refuses stays as it is: every kernel has some that are not for all interfaces.
void write_sysctls(const std::string& device, const std::map<std::string, std::string>& sysctls);

}  // namespace sluice::uplink
