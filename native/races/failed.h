#pragma once

#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>

#include "core/error.h"

namespace sluice::races {

/// Ends the program. From any thread.
[[noreturn]] inline void fail(const std::string& what) {
  std::cerr << "races: " << what << std::endl;
  std::_Exit(1);
}

template <typename T>
T value_of(const std::string& what, Result<T> result) {
  if (!result) fail(what + ": " + result.error().code + " " + result.error().path + ": " + result.error().message);
  return std::move(result.value());
}

}  // namespace sluice::races
