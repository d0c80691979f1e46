#pragma once

#include <sys/types.h>

#include <string>

#include "core/error.h"

namespace sluice::uplink {

/// Waits in a process of its own for the end of process `pid`, however it comes, and gives back what it had taken. Says
/// its own number on standard output once it watches, and ends the guard that watched `pid` for this record before: at
/// no moment is there none. Standard output ends with it.
Status guard(pid_t pid, const std::string& record_path);

}  // namespace sluice::uplink
