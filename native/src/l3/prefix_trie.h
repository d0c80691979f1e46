#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "control/desired_state.h"

namespace sluice {

/// The longest prefix that covers an address gives `value`. Prefixes have no host bits and are unique.
struct FibRoute {
  IpPrefix prefix;
  uint32_t value;  ///< below 2^31
};

/// Longest-prefix match for one family, immutable once built: a trie of 8-bit steps behind a root of 16 bits, where a
/// node jumps over bytes that all prefixes below it share (IPv6 only: IPv4 has two levels of nodes at most).
class PrefixTrie {
 public:
  /// Empty; not to be looked up in.
  PrefixTrie() = default;
  /// Over the routes of this family; others are skipped.
  PrefixTrie(const std::vector<FibRoute>& routes, uint8_t family);

  /// 0 when no prefix covers the address, which is in host byte order. Of an IPv4 trie only.
  uint32_t lookup4(uint32_t address) const {
    uint32_t entry = root_[address >> 16];
    if ((entry & kIsNode) == 0) return entry;
    entry = nodes_[entry & ~kIsNode].entries[address >> 8 & 0xff];
    if ((entry & kIsNode) == 0) return entry;
    return nodes_[entry & ~kIsNode].entries[address & 0xff];
  }

  /// The same for 16 bytes of an IPv6 address, of an IPv6 trie.
  uint32_t lookup6(const uint8_t* address) const {
    uint32_t entry = root_[address[0] << 8 | address[1]];
    const uint8_t* at = address + kRootBytes;
    while ((entry & kIsNode) != 0) {
      const Node& node = nodes_[entry & ~kIsNode];
      if (memcmp(at, node.jump, node.jump_length) != 0) return node.miss;
      at += node.jump_length;
      entry = node.entries[*at++];
    }
    return entry;
  }

 private:
  static constexpr uint32_t kIsNode = 1u << 31;
  static constexpr uint8_t kRootBytes = 2;

  struct alignas(64) Node {
    uint8_t jump_length = 0;  ///< bytes that must equal `jump` for the entries to count
    uint8_t jump[15] = {};
    uint32_t miss = 0;  ///< value of an address whose bytes do not
    uint32_t entries[256];
  };
  /// Sorted by address, then by length.
  using Iterator = std::vector<const FibRoute*>::const_iterator;

  uint32_t build_node(Iterator begin, Iterator end, uint8_t depth, uint32_t inherited);
  void fill_level(Iterator begin, Iterator end, uint8_t depth, uint8_t bytes, uint32_t* entries);

  std::vector<uint32_t> root_;
  std::vector<Node> nodes_;
};

}  // namespace sluice
