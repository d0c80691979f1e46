#pragma once

#include <functional>
#include <string>

#include "core/error.h"

namespace sluice {

/// Runs `work` in the network namespace at `path` (empty: the process's own) and returns what it returned. A
/// short-lived thread enters the namespace, so the caller's own never changes.
Status in_netns(const std::string& path, const std::function<Status()>& work);

}  // namespace sluice
