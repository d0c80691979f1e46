#pragma once

#include <sys/types.h>

#include <string>

#include "core/error.h"

namespace sluice::uplink {

/// Waits for the end of process `pid`, however it comes, and gives back what it had taken. Says "guarding" on standard
/// output once it watches. Of several that guard one record the first does it.
Status guard(pid_t pid, const std::string& record_path);

}  // namespace sluice::uplink
