#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "core/error.h"

namespace sluice {

/// Runs `work` in the network namespace at `path` (empty: the process's own) and returns what it returned. A
/// short-lived thread enters the namespace, so the caller's own never changes.
Status in_netns(const std::string& path, const std::function<Status()>& work);

/// Which network namespace a path leads to; no other one has the same for as long as it lives.
using NetnsId = std::pair<dev_t, ino_t>;

/// Nothing where `path` (empty: the process's own) leads to none.
std::optional<NetnsId> netns_id(const std::string& path);

}  // namespace sluice
