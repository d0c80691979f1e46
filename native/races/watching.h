#pragma once

#include <cstdint>

#include "control/dataplane.h"

namespace sluice::races {

/// What operators read of a node.
class Watching {
 public:
  explicit Watching(Dataplane& dataplane) : dataplane_(dataplane) {}

  /// Everything once.
  void look();
  uint64_t looks() const { return looks_; }

 private:
  void trace();
  void capture();

  Dataplane& dataplane_;
  uint64_t looks_ = 0;
};

}  // namespace sluice::races
