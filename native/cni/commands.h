#pragma once

#include "configuration.h"
#include "invocation.h"

namespace sluice::cni {

/// Runs a command other than VERSION with the agent. Returns what goes to standard output; null where there is nothing.
/// Throws a Failure.
Json run_command(const Invocation& invocation, const Configuration& configuration);

}  // namespace sluice::cni
