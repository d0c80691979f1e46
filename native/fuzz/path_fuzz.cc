// Bursts of frames through the whole packet path: parsing, tunnels, reassembly, conntrack, routing, neighbours, ICMP
// errors, fragmentation.
#include "path_node.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static sluice::fuzz::PathNode& node = *new sluice::fuzz::PathNode;
  sluice::fuzz::Source source(data, size);
  node.attack(source);
  return 0;
}
