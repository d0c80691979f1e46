#include "l3/prefix_trie.h"

#include <algorithm>

#include "l3/address.h"

namespace sluice {

PrefixTrie::PrefixTrie(const std::vector<FibRoute>& routes, uint8_t family) {
  std::vector<const FibRoute*> sorted;
  for (const FibRoute& route : routes) {
    if (route.prefix.address.family == family) sorted.push_back(&route);
  }
  std::sort(sorted.begin(), sorted.end(), [](const FibRoute* a, const FibRoute* b) {
    const int order = memcmp(a->prefix.address.bytes.data(), b->prefix.address.bytes.data(), 16);
    return order != 0 ? order < 0 : a->prefix.length < b->prefix.length;
  });
  root_.assign(1u << kRootBytes * 8, 0);
  fill_level(sorted.begin(), sorted.end(), 0, kRootBytes, root_.data());
}

/// One level of the trie, `bytes` wide, for routes that share the `depth` bytes before it. Entries hold what shorter
/// prefixes gave. Routes are in order, so a covering prefix comes before those that refine it.
void PrefixTrie::fill_level(Iterator begin, Iterator end, uint8_t depth, uint8_t bytes, uint32_t* entries) {
  const uint32_t level_bits = bytes * 8u;
  const auto index_of = [depth, bytes](const FibRoute& route) {
    const uint8_t* at = route.prefix.address.bytes.data() + depth;
    return bytes == 1 ? uint32_t{at[0]} : static_cast<uint32_t>(at[0] << 8 | at[1]);
  };
  const uint32_t level_end = depth * 8u + level_bits;
  for (auto at = begin; at != end; ++at) {
    const uint32_t length = (*at)->prefix.length;
    if (length > level_end) continue;
    std::fill_n(entries + index_of(**at), 1u << (level_end - length), (*at)->value);
  }
  for (auto at = begin; at != end;) {
    const uint32_t index = index_of(**at);
    const auto next = std::find_if(at, end, [&](const FibRoute* route) { return index_of(*route) != index; });
    const auto deeper = std::find_if(at, next, [&](const FibRoute* r) { return r->prefix.length > level_end; });
    if (deeper != next) entries[index] = build_node(deeper, next, static_cast<uint8_t>(depth + bytes), entries[index]);
    at = next;
  }
}

/// Returns the entry that points to the new node.
uint32_t PrefixTrie::build_node(Iterator begin, Iterator end, uint8_t depth, uint32_t inherited) {
  const uint8_t* first = (*begin)->prefix.address.bytes.data();
  const uint8_t* last = (*(end - 1))->prefix.address.bytes.data();
  const uint8_t shortest = (*std::min_element(begin, end, [](const FibRoute* a, const FibRoute* b) {
                             return a->prefix.length < b->prefix.length;
                           }))->prefix.length;
  uint8_t jump = 0;
  // In sorted order what the first and the last share, all do. A prefix that ends in the next byte ends the jump.
  while ((*begin)->prefix.address.family == 6 && first[depth + jump] == last[depth + jump] &&
         shortest > (depth + jump + 1) * 8)
    jump++;

  Node node;
  node.jump_length = jump;
  memcpy(node.jump, first + depth, jump);
  node.miss = inherited;
  std::fill_n(node.entries, 256, inherited);
  const auto index = static_cast<uint32_t>(nodes_.size());
  nodes_.emplace_back();
  fill_level(begin, end, static_cast<uint8_t>(depth + jump), 1, node.entries);
  nodes_[index] = node;
  return index | kIsNode;
}

}  // namespace sluice
