#pragma once

#include <string>

#include "core/error.h"
#include "record.h"

namespace sluice::uplink {

/// Moves the interface to a network namespace of its own, where the dataplane drives it, and puts a TAP in its place,
/// with its name, MAC, MTU, settings, addresses and routes. Finds again what was taken before. On an error, or when the
/// process is killed on the way, give_back() restores all; on an error that was done.
/// `owner`: the process that it is for.
Result<Record> take(const std::string& device, const std::string& record_path, const std::string& netns, int64_t owner);

/// Gives the node its interface back, with the addresses and routes that the TAP has by now, wherever take() or an
/// earlier give_back() ended. Does nothing where nothing is taken, or, with an `owner`, for another one than that.
Status give_back(const std::string& record_path, int64_t owner = 0);

}  // namespace sluice::uplink
