#pragma once

#include <string>

#include "core/error.h"

namespace sluice::uplink {

/// A network namespace with a name in the file system, without IPv6 on interfaces that come in. One that is there
/// stays.
Status make_netns(const std::string& path);
/// Does nothing where there is none.
Status remove_netns(const std::string& path);

}  // namespace sluice::uplink
