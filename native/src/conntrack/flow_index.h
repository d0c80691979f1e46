#pragma once

#include <rte_hash.h>

#include <cstdint>
#include <memory>
#include <string>

#include "conntrack/flow_key.h"
#include "core/error.h"
#include "parse/flow_hash.h"

namespace sluice {

constexpr uint32_t kNoFlow = UINT32_MAX;

/// IPv4 key of the index: addresses; ports, protocol, zone.
struct IndexKey4 {
  uint64_t words[2];
};

/// IPv6 keys are FlowKeys as they are.
inline IndexKey4 index_key4(const FlowKey& key) {
  IndexKey4 index;
  uint32_t source, destination;
  memcpy(&source, key.source.data(), 4);
  memcpy(&destination, key.destination.data(), 4);
  index.words[0] = uint64_t{destination} << 32 | source;
  index.words[1] =
      key.source_port | uint64_t{key.destination_port} << 16 | uint64_t{key.protocol} << 32 | uint64_t{key.zone} << 48;
  return index;
}

/// Keys to flow directions: two rte_hash tables with lock-free readers. Changes need the flow table's lock. A removed
/// key's place must be given back with release() when no reader can see it any more.
class FlowIndex {
 public:
  static constexpr uint16_t kBulk = 32;

  /// Room for `keys` keys of each family.
  static Result<std::unique_ptr<FlowIndex>> create(uint32_t keys);
  ~FlowIndex();

  /// Flow number << 1 | direction, or kNoFlow.
  uint32_t find(const FlowKey& key) const;
  /// Up to kBulk keys of one family; found[i] is as find()'s.
  void find_bulk4(const IndexKey4* keys, uint16_t count, uint32_t* found) const;
  void find_bulk6(const FlowKey* keys, uint16_t count, uint32_t* found) const;

  /// `key` must not be there. False when the index has no room.
  bool insert(const FlowKey& key, uint32_t value);
  /// The key's place, for release(); -1 when it was not there.
  int32_t remove(const FlowKey& key);
  void release(uint8_t family, int32_t place);

 private:
  FlowIndex() = default;

  uint32_t hash4(const IndexKey4& key) const {
    const uint64_t folded = multiply_fold(key.words[0] ^ seeds_[0], key.words[1] ^ seeds_[1]);
    return finish(folded);
  }
  uint32_t hash6(const FlowKey& key) const {
    uint64_t words[5];
    memcpy(words, &key, sizeof words);
    const uint64_t ends = multiply_fold(words[0] ^ seeds_[0], words[1] ^ seeds_[1]) ^
                          multiply_fold(words[2] ^ seeds_[2], words[3] ^ seeds_[3]);
    return finish(multiply_fold(ends ^ seeds_[0], words[4] ^ seeds_[2]));
  }
  uint32_t finish(uint64_t folded) const {
    const uint64_t mixed = multiply_fold(folded, seeds_[3] | 1);
    return static_cast<uint32_t>(mixed ^ mixed >> 32);
  }

  rte_hash* table4_ = nullptr;
  rte_hash* table6_ = nullptr;
  uint64_t seeds_[4];  ///< random, so that nobody can aim flows at one bucket
};

}  // namespace sluice
