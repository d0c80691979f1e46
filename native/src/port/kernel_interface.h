#pragma once

#include <string>

#include "core/error.h"

namespace sluice {

/// Brings an interface of the calling thread's network namespace up.
Status bring_up(const std::string& device);

}  // namespace sluice
