#include "conntrack/flow_index.h"

#include <rte_errno.h>
#include <rte_random.h>

#include <atomic>

namespace sluice {
namespace {

void* as_data(uint32_t value) {
  return reinterpret_cast<void*>(static_cast<uintptr_t>(value));
}
uint32_t from_data(const void* data) {
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(data));
}

/// rte_hash wants a function even though every call here brings its hash along.
uint32_t unused_hash(const void*, uint32_t, uint32_t seed) {
  return seed;
}

/// rte_hash has quick comparisons for multiples of 16 bytes only.
int differs6(const void* a, const void* b, size_t) {
  uint64_t x[5], y[5];
  memcpy(x, a, sizeof x);
  memcpy(y, b, sizeof y);
  return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4])) != 0;
}

rte_hash* make_table(uint32_t keys, uint32_t key_length) {
  static std::atomic<uint32_t> serial{0};
  const std::string name = "flows" + std::to_string(serial.fetch_add(1));
  rte_hash_parameters parameters{};
  parameters.name = name.c_str();
  parameters.entries = keys;
  parameters.key_len = key_length;
  parameters.hash_func = unused_hash;
  parameters.socket_id = SOCKET_ID_ANY;
  // With extendable buckets an insertion finds room as long as there are fewer keys than `entries`.
  parameters.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE;
  return rte_hash_create(&parameters);
}

void spread(uint64_t hits, void* const* data, uint16_t count, uint32_t* found) {
  for (uint16_t i = 0; i < count; i++) found[i] = (hits >> i & 1) != 0 ? from_data(data[i]) : kNoFlow;
}

}  // namespace

Result<std::unique_ptr<FlowIndex>> FlowIndex::create(uint32_t keys) {
  std::unique_ptr<FlowIndex> index(new FlowIndex);
  for (uint64_t& seed : index->seeds_) seed = rte_rand();
  index->table4_ = make_table(keys, sizeof(IndexKey4));
  if (index->table4_ != nullptr) index->table6_ = make_table(keys, sizeof(FlowKey));
  if (index->table6_ == nullptr) {
    return Error{"flow-index-failed", "/conntrack/maxFlows",
                 "DPDK's memory has no room for an index of " + std::to_string(keys) + " keys of each family (" +
                     rte_strerror(rte_errno) + "); lower it, or give the dataplane more memory"};
  }
  rte_hash_set_cmp_func(index->table6_, differs6);
  return index;
}

FlowIndex::~FlowIndex() {
  rte_hash_free(table4_);
  rte_hash_free(table6_);
}

uint32_t FlowIndex::find(const FlowKey& key) const {
  void* data = nullptr;
  int result;
  if (key.family == 4) {
    const IndexKey4 index = index_key4(key);
    result = rte_hash_lookup_with_hash_data(table4_, &index, hash4(index), &data);
  } else {
    result = rte_hash_lookup_with_hash_data(table6_, &key, hash6(key), &data);
  }
  return result >= 0 ? from_data(data) : kNoFlow;
}

void FlowIndex::find_bulk4(const IndexKey4* keys, uint16_t count, uint32_t* found) const {
  const void* pointers[kBulk];
  hash_sig_t hashes[kBulk];
  void* data[kBulk];
  for (uint16_t i = 0; i < count; i++) {
    pointers[i] = &keys[i];
    hashes[i] = hash4(keys[i]);
  }
  uint64_t hits = 0;
  rte_hash_lookup_with_hash_bulk_data(table4_, pointers, hashes, count, &hits, data);
  spread(hits, data, count, found);
}

void FlowIndex::find_bulk6(const FlowKey* keys, uint16_t count, uint32_t* found) const {
  const void* pointers[kBulk];
  hash_sig_t hashes[kBulk];
  void* data[kBulk];
  for (uint16_t i = 0; i < count; i++) {
    pointers[i] = &keys[i];
    hashes[i] = hash6(keys[i]);
  }
  uint64_t hits = 0;
  rte_hash_lookup_with_hash_bulk_data(table6_, pointers, hashes, count, &hits, data);
  spread(hits, data, count, found);
}

bool FlowIndex::insert(const FlowKey& key, uint32_t value) {
  if (key.family == 4) {
    const IndexKey4 index = index_key4(key);
    return rte_hash_add_key_with_hash_data(table4_, &index, hash4(index), as_data(value)) == 0;
  }
  return rte_hash_add_key_with_hash_data(table6_, &key, hash6(key), as_data(value)) == 0;
}

int32_t FlowIndex::remove(const FlowKey& key) {
  if (key.family == 4) {
    const IndexKey4 index = index_key4(key);
    return rte_hash_del_key_with_hash(table4_, &index, hash4(index));
  }
  return rte_hash_del_key_with_hash(table6_, &key, hash6(key));
}

void FlowIndex::release(uint8_t family, int32_t place) {
  if (place >= 0) rte_hash_free_key_with_position(family == 4 ? table4_ : table6_, place);
}

}  // namespace sluice
