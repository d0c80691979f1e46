#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "conntrack/flow_key.h"
#include "conntrack/flow_record.h"
#include "conntrack/pages.h"
#include "core/error.h"
#include "parse/flow_hash.h"

namespace sluice {

constexpr uint32_t kNoFlow = UINT32_MAX;

/// What tells IPv4 keys apart, as it lies in a FlowKey: addresses; ports, protocol, family, zone.
struct IndexKey4 {
  uint64_t words[2];
};

inline IndexKey4 index_key4(const FlowKey& key) {
  IndexKey4 index;
  uint32_t source, destination;
  memcpy(&source, key.source.data(), 4);
  memcpy(&destination, key.destination.data(), 4);
  index.words[0] = uint64_t{destination} << 32 | source;
  memcpy(&index.words[1], &key.source_port, 8);
  return index;
}

/// Keys to flow directions. The keys themselves are in the flow records: an entry here is a tag of 16 bits and the
/// number of the flow and its direction, and what has the key's tag is looked up there.
///
/// Readers take no lock. Changes need the flow table's lock. An entry never moves, so that nobody misses one; the place
/// of a removed entry is free at once, since what is read there is compared with its record. A record must keep its key
/// until no reader can have found its entry any more, or be written after its entry was removed.
class FlowIndex {
 public:
  static constexpr uint16_t kBulk = 32;

  /// Room for `keys` keys. `records` are FlowRecords, `record_size` bytes apart, and outlive the index.
  static Result<std::unique_ptr<FlowIndex>> create(uint32_t keys, const uint8_t* records, uint32_t record_size);

  /// Flow number << 1 | direction, or kNoFlow.
  uint32_t find(const FlowKey& key) const;
  /// Up to kBulk keys of one family; found[i] is as find()'s.
  void find_bulk4(const IndexKey4* keys, uint16_t count, uint32_t* found) const;
  void find_bulk6(const FlowKey* keys, uint16_t count, uint32_t* found) const;

  /// `key` must not be there, and be in its record. False when the index has no room.
  bool insert(const FlowKey& key, uint32_t value);
  /// Takes the key's entry of this value out, if there is one.
  void remove(const FlowKey& key, uint32_t value);

 private:
  /// One cache line.
  struct alignas(64) Bucket {
    static constexpr unsigned kEntries = 10;
    std::atomic<uint16_t> tags[kEntries];    ///< 0: free
    std::atomic<uint32_t> values[kEntries];  ///< valid with a tag
    std::atomic<uint32_t> more;              ///< the bucket that goes on with this one, in buckets_; 0: none
  };
  static_assert(sizeof(Bucket) == 64);
  struct Place {
    Bucket* bucket;
    unsigned entry;
  };

  FlowIndex(uint32_t first_more, const uint8_t* records, uint32_t record_size)
      : first_more_(first_more), records_(records), record_size_(record_size) {}

  const FlowRecord& record(uint32_t value) const {
    return *reinterpret_cast<const FlowRecord*>(records_ + size_t{value >> 1} * record_size_);
  }
  const FlowKey& key_of(uint32_t value) const {
    return (value & 1) == 0 ? record(value).original : record(value).reply;
  }
  bool matches(uint32_t value, const IndexKey4& key) const;
  bool matches(uint32_t value, const FlowKey& key) const;

  uint64_t hash(const IndexKey4& key) const {
    return finish(multiply_fold(key.words[0] ^ seeds_[0], key.words[1] ^ seeds_[1]));
  }
  uint64_t hash(const FlowKey& key) const;
  uint64_t hash_of(const FlowKey& key) const { return key.family == 4 ? hash(index_key4(key)) : hash(key); }
  uint64_t finish(uint64_t folded) const { return multiply_fold(folded, seeds_[3] | 1); }
  static uint16_t tag_of(uint64_t hash) {
    const auto tag = static_cast<uint16_t>(hash);
    return tag != 0 ? tag : 1;
  }
  Bucket& bucket_of(uint64_t hash) const { return buckets_[(hash >> 32) * first_more_ >> 32]; }

  static unsigned entries_tagged(const Bucket& bucket, uint16_t tag);
  /// True when the entry is still what it was when its record's key was compared.
  static bool still(const Bucket& bucket, unsigned entry, uint16_t tag, uint32_t value);
  template <typename Key>
  uint32_t search(const Bucket* bucket, uint16_t tag, const Key& key) const;
  template <typename Key>
  void find_bulk(const Key* keys, uint16_t count, uint32_t* found) const;
  Place free_place(Bucket& first);
  void drop_last_if_empty(Bucket& first);

  PresentPages memory_;
  Bucket* buckets_ = nullptr;
  /// Buckets from here on are those that go on with full ones.
  const uint32_t first_more_;
  std::vector<uint32_t> free_more_;
  const uint8_t* const records_;
  const uint32_t record_size_;
  uint64_t seeds_[4];  ///< random, so that nobody can aim flows at one bucket
};

}  // namespace sluice
