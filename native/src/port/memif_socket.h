#pragma once

#include <string>

#include "core/error.h"

namespace sluice {

/// Makes a server's socket possible at `path`: its folder, which may be one that a pod mounts, is made where it is not
/// there, and what a killed dataplane left there is removed. Refuses a path where something else is, or another program
/// listens.
Status clear_memif_socket(const std::string& path);

}  // namespace sluice
