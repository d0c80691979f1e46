#include "conntrack/flow_index.h"

#include <emmintrin.h>
#include <rte_branch_prediction.h>
#include <rte_prefetch.h>
#include <rte_random.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace sluice {
namespace {

/// Keys in a bucket on average, when all are there: one bucket of 23 is then too small (Poisson).
constexpr uint32_t kKeysInBucket = 6;
/// Buckets behind those for the ones that are too small: half as many again as are needed, and a few.
constexpr uint32_t kBucketsPerMore = 16, kLeastMore = 64;

template <typename Word>
Word load_relaxed(const void* from) {
  return __atomic_load_n(static_cast<const Word*>(from), __ATOMIC_RELAXED);
}

}  // namespace

Result<std::unique_ptr<FlowIndex>> FlowIndex::create(uint32_t keys, const uint8_t* records, uint32_t record_size) {
  const uint32_t buckets = keys / kKeysInBucket + 1;
  const uint32_t more = buckets / kBucketsPerMore + kLeastMore;
  std::unique_ptr<FlowIndex> index(new FlowIndex(buckets, records, record_size));
  const size_t size = (size_t{buckets} + more) * sizeof(Bucket);
  if (!index->memory_.map(size)) {
    return Error{"flow-memory-failed", "/conntrack/maxFlows",
                 std::to_string(size >> 20) + " MiB for the index of flows are not to be had: " + std::strerror(errno)};
  }
  index->buckets_ = reinterpret_cast<Bucket*>(index->memory_.data());
  index->free_more_.reserve(more);
  for (uint32_t i = buckets + more; i-- > buckets;) index->free_more_.push_back(i);
  for (uint64_t& seed : index->seeds_) seed = rte_rand();
  return index;
}

uint64_t FlowIndex::hash(const FlowKey& key) const {
  uint64_t words[5];
  memcpy(words, &key, sizeof words);
  const uint64_t ends = multiply_fold(words[0] ^ seeds_[0], words[1] ^ seeds_[1]) ^
                        multiply_fold(words[2] ^ seeds_[2], words[3] ^ seeds_[3]);
  return finish(multiply_fold(ends ^ seeds_[0], words[4] ^ seeds_[2]));
}

// A reply tuple may be written meanwhile: see still().

inline bool FlowIndex::matches(uint32_t value, const IndexKey4& key) const {
  const FlowKey& other = key_of(value);
  const uint64_t addresses =
      load_relaxed<uint32_t>(&other.source) | uint64_t{load_relaxed<uint32_t>(&other.destination)} << 32;
  return ((addresses ^ key.words[0]) | (load_relaxed<uint64_t>(&other.source_port) ^ key.words[1])) == 0;
}

inline bool FlowIndex::matches(uint32_t value, const FlowKey& key) const {
  const auto* theirs = reinterpret_cast<const uint64_t*>(&key_of(value));
  uint64_t ours[5], differences = 0;
  memcpy(ours, &key, sizeof ours);
  for (unsigned i = 0; i < 5; i++) differences |= load_relaxed<uint64_t>(theirs + i) ^ ours[i];
  return differences == 0;
}

inline bool FlowIndex::still(const Bucket& bucket, unsigned entry, uint16_t tag, uint32_t value) {
  // A tuple is written after its entry was removed.
  std::atomic_thread_fence(std::memory_order_acquire);
  return bucket.tags[entry].load(std::memory_order_relaxed) == tag &&
         bucket.values[entry].load(std::memory_order_relaxed) == value;
}

/// Bit i: entry i has this tag.
inline unsigned FlowIndex::entries_tagged(const Bucket& bucket, uint16_t tag) {
  static_assert(Bucket::kEntries * sizeof(uint16_t) <= 24 && offsetof(Bucket, tags) == 0);
  const auto* words = reinterpret_cast<const uint64_t*>(bucket.tags);
  const __m128i wanted = _mm_set1_epi16(static_cast<int16_t>(tag));
  const __m128i first = _mm_set_epi64x(static_cast<int64_t>(load_relaxed<uint64_t>(words + 1)),
                                       static_cast<int64_t>(load_relaxed<uint64_t>(words)));
  const __m128i last = _mm_cvtsi64_si128(static_cast<int64_t>(load_relaxed<uint64_t>(words + 2)));
  const __m128i same = _mm_packs_epi16(_mm_cmpeq_epi16(first, wanted), _mm_cmpeq_epi16(last, wanted));
  return static_cast<unsigned>(_mm_movemask_epi8(same)) & ((1u << Bucket::kEntries) - 1);
}

/// From this bucket on.
template <typename Key>
uint32_t FlowIndex::search(const Bucket* bucket, uint16_t tag, const Key& key) const {
  while (true) {
    for (unsigned left = entries_tagged(*bucket, tag); left != 0; left &= left - 1) {
      const auto entry = static_cast<unsigned>(__builtin_ctz(left));
      const uint32_t value = bucket->values[entry].load(std::memory_order_acquire);
      if (matches(value, key) && still(*bucket, entry, tag, value)) return value;
    }
    const uint32_t more = bucket->more.load(std::memory_order_acquire);
    if (more == 0) return kNoFlow;
    bucket = &buckets_[more];
  }
}

uint32_t FlowIndex::find(const FlowKey& key) const {
  if (key.family == 4) {
    const IndexKey4 index = index_key4(key);
    const uint64_t hashed = hash(index);
    return search(&bucket_of(hashed), tag_of(hashed), index);
  }
  const uint64_t hashed = hash(key);
  return search(&bucket_of(hashed), tag_of(hashed), key);
}

/// Buckets, then records, are on their way from memory for all keys at once.
template <typename Key>
inline void FlowIndex::find_bulk(const Key* keys, uint16_t count, uint32_t* found) const {
  const Bucket* buckets[kBulk];
  uint16_t tags[kBulk];
  uint8_t entries[kBulk];
  constexpr uint8_t kNone = Bucket::kEntries;
  for (uint16_t i = 0; i < count; i++) {
    const uint64_t hashed = hash(keys[i]);
    buckets[i] = &bucket_of(hashed);
    tags[i] = tag_of(hashed);
    rte_prefetch0(buckets[i]);
  }
  for (uint16_t i = 0; i < count; i++) {
    const unsigned tagged = entries_tagged(*buckets[i], tags[i]);
    entries[i] = kNone;
    if (unlikely(tagged == 0)) continue;
    entries[i] = static_cast<uint8_t>(__builtin_ctz(tagged));
    found[i] = buckets[i]->values[entries[i]].load(std::memory_order_acquire);
    // All that the packet will need of it.
    const auto* needed = reinterpret_cast<const uint8_t*>(&record(found[i]));
    rte_prefetch0(needed);
    rte_prefetch0(needed + 64);
    rte_prefetch0(needed + offsetof(FlowRecord, created) - 1);
  }
  for (uint16_t i = 0; i < count; i++) {
    if (likely(entries[i] != kNone) && likely(matches(found[i], keys[i]))) {
      if (likely(still(*buckets[i], entries[i], tags[i], found[i]))) continue;
    }
    found[i] = search(buckets[i], tags[i], keys[i]);
  }
}

void FlowIndex::find_bulk4(const IndexKey4* keys, uint16_t count, uint32_t* found) const {
  find_bulk(keys, count, found);
}

void FlowIndex::find_bulk6(const FlowKey* keys, uint16_t count, uint32_t* found) const {
  find_bulk(keys, count, found);
}

/// A free entry, in another bucket that goes on with these where all are taken; a null bucket: there is none left.
FlowIndex::Place FlowIndex::free_place(Bucket& first) {
  Bucket* bucket = &first;
  while (true) {
    const unsigned free = entries_tagged(*bucket, 0);
    if (free != 0) return {bucket, static_cast<unsigned>(__builtin_ctz(free))};
    const uint32_t more = bucket->more.load(std::memory_order_relaxed);
    if (more == 0) break;
    bucket = &buckets_[more];
  }
  if (free_more_.empty()) return {nullptr, 0};
  const uint32_t more = free_more_.back();
  free_more_.pop_back();
  bucket->more.store(more, std::memory_order_release);
  return {&buckets_[more], 0};
}

bool FlowIndex::insert(const FlowKey& key, uint32_t value) {
  const uint64_t hashed = hash_of(key);
  const Place place = free_place(bucket_of(hashed));
  if (place.bucket == nullptr) return false;
  place.bucket->values[place.entry].store(value, std::memory_order_release);
  place.bucket->tags[place.entry].store(tag_of(hashed), std::memory_order_release);
  return true;
}

void FlowIndex::remove(const FlowKey& key, uint32_t value) {
  const uint64_t hashed = hash_of(key);
  const uint16_t tag = tag_of(hashed);
  Bucket& first = bucket_of(hashed);
  for (Bucket* bucket = &first;;) {
    for (unsigned left = entries_tagged(*bucket, tag); left != 0; left &= left - 1) {
      const auto entry = static_cast<unsigned>(__builtin_ctz(left));
      if (bucket->values[entry].load(std::memory_order_relaxed) != value) continue;
      bucket->tags[entry].store(0, std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_release);
      return drop_last_if_empty(first);
    }
    const uint32_t more = bucket->more.load(std::memory_order_relaxed);
    if (more == 0) return;
    bucket = &buckets_[more];
  }
}

/// Only the last of a row of buckets is given back: a reader who is in it misses nothing of its own row.
void FlowIndex::drop_last_if_empty(Bucket& first) {
  constexpr unsigned kAll = (1u << Bucket::kEntries) - 1;
  while (true) {
    Bucket* before = nullptr;
    Bucket* last = &first;
    for (uint32_t more; (more = last->more.load(std::memory_order_relaxed)) != 0;) {
      before = last;
      last = &buckets_[more];
    }
    if (before == nullptr || entries_tagged(*last, 0) != kAll) return;
    free_more_.push_back(before->more.load(std::memory_order_relaxed));
    before->more.store(0, std::memory_order_relaxed);
  }
}

}  // namespace sluice
