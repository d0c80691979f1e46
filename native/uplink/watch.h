#pragma once

#include <string>

#include "core/error.h"

namespace sluice::uplink {

/// Gives back what the records in `folder` name, once the process that owns it is gone, until SIGTERM or SIGINT: the
/// guard of a dataplane in a container, whose end takes the guards in it along. It has to see the owner's processes and
/// the node's network, and is ended after the owner; what is still taken then by a process that is gone it gives back
/// first.
Status watch(const std::string& folder);

}  // namespace sluice::uplink
