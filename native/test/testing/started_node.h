#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "control/node.h"

namespace sluice::testing {

/// A node of two workers with few buffers; a fatal failure of the test when it does not start.
/// @param name of its own in the test process
inline void start_node(const std::string& name, std::unique_ptr<sluice::Node>& node) {
  StartOptions options;
  options.eal.name = name;
  options.workers = 2;
  options.buffers = 4096;
  options.jumbos = 16;
  auto started = sluice::Node::start(options);
  ASSERT_TRUE(started.ok()) << started.error().message;
  node = std::move(started.value());
}

}  // namespace sluice::testing
