#pragma once

#include "check.h"
#include "source.h"
#include "testing/eal.h"

namespace sluice::fuzz {

/// One input of a fuzzer that needs packet buffers and nothing else of a node: `attack` gives all of them back.
template <typename Attack>
int fuzz_packets(const uint8_t* data, size_t size, Attack attack) {
  static testing::TestContext& context = *new testing::TestContext;
  Source source(data, size);
  attack(context, source);
  FUZZ_CHECK(context.buffers_in_use() == 0, "%u buffers leaked", context.buffers_in_use());
  FUZZ_CHECK(rte_mempool_in_use_count(context.pools.jumbos) == 0, "jumbo buffers leaked");
  return 0;
}

}  // namespace sluice::fuzz
