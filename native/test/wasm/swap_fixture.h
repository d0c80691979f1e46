#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "wasm/node.h"
#include "wasm/versions.h"

namespace sluice::testing {

class Swap : public ::testing::Test {
 protected:
  uint32_t mark_of(rte_mbuf* packet) {
    node.burst({packet});
    EXPECT_EQ(node.passed.size(), 1u);
    const uint32_t mark = node.passed.empty() ? 0 : meta_of(packet)->mark;
    node.free_all();
    return mark;
  }
  uint32_t mark() { return mark_of(node.udp()); }
  uint32_t mark_of_flow(uint32_t flow) {
    rte_mbuf* packet = node.udp();
    meta_of(packet)->flow = flow;
    return mark_of(packet);
  }
  static uint32_t text(const char* four) { return *reinterpret_cast<const uint32_t*>(four); }
  PluginChange change() { return node.pipeline->changes().at(0); }

  Node node;
};

}  // namespace sluice::testing
