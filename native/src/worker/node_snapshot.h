#pragma once

#include <memory>
#include <vector>

#include "l3/routing.h"
#include "port/port.h"
#include "wasm/pipeline.h"

namespace sluice {

/// A receive queue that a worker polls.
struct PollTarget {
  Port* port;
  uint16_t queue;
};

/// All that workers read of the node's configuration. Immutable; a transaction publishes a new one by one pointer, so
/// that ports, routes and stages change together. The owner keeps it until every worker has passed a quiescent state.
struct NodeSnapshot {
  uint64_t generation = 0;  ///< grows with each publication
  PortTable ports;
  std::shared_ptr<const RoutingSnapshot> routing;
  std::shared_ptr<Pipeline> pipeline;
  std::vector<std::vector<PollTarget>> polls;  ///< by worker
};

}  // namespace sluice
