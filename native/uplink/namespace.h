#pragma once

#include <functional>
#include <string>

#include "core/error.h"

namespace sluice::uplink {

/// A network namespace with a name in the file system, without IPv6 on interfaces that come in. One that is there
/// stays.
Status make_netns(const std::string& path);
/// Does nothing where there is none.
Status remove_netns(const std::string& path);
bool has_netns(const std::string& path);

/// Runs `work` in that namespace, in a thread of its own.
Status in_netns(const std::string& path, const std::function<Status()>& work);

}  // namespace sluice::uplink
