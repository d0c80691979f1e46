#include "l3/neighbours.h"

#include <rte_errno.h>
#include <rte_hash_crc.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "core/lock.h"
#include "l3/icmp.h"
#include "l3/link.h"
#include "l3/solicit.h"

namespace sluice {
namespace {

uint64_t make_word(const rte_ether_addr& mac, NeighbourState state) {
  uint64_t word = 0;
  memcpy(&word, mac.addr_bytes, RTE_ETHER_ADDR_LEN);
  return word | static_cast<uint64_t>(state) << 48;
}

NeighbourState state_of(uint64_t word) {
  return static_cast<NeighbourState>(word >> 48);
}

rte_ether_addr mac_of(uint64_t word) {
  rte_ether_addr mac;
  memcpy(mac.addr_bytes, &word, RTE_ETHER_ADDR_LEN);
  return mac;
}

bool has_mac(NeighbourState state) {
  return state >= NeighbourState::Reachable;
}

}  // namespace

Result<std::unique_ptr<Neighbours>> Neighbours::create(uint32_t capacity) {
  static std::atomic<uint32_t> number{0};
  const std::string name = "neighbours" + std::to_string(number++);
  std::unique_ptr<Neighbours> made(new Neighbours());
  rte_hash_parameters parameters{};
  parameters.name = name.c_str();
  // Removed entries keep their place for a while.
  parameters.entries = (capacity + kMaxStaticNeighbours) * 3 / 2 + 64;
  parameters.key_len = sizeof(NeighbourKey);
  parameters.hash_func = rte_hash_crc;
  parameters.socket_id = SOCKET_ID_ANY;
  parameters.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF;
  made->index_ = rte_hash_create(&parameters);
  if (made->index_ == nullptr) {
    return Error{"out-of-memory", "", std::string("no memory for the neighbour table: ") + rte_strerror(rte_errno)};
  }
  made->capacity_ = capacity;
  made->places_ = static_cast<uint32_t>(rte_hash_max_key_id(made->index_)) + 1;
  made->entries_.reset(new Entry[made->places_]);
  made->retired_.reserve(made->places_);
  made->live_.reserve(made->places_);
  return made;
}

Neighbours::~Neighbours() {
  for (uint32_t i = 0; i < places_; i++) {
    for (uint8_t j = 0; j < entries_[i].waiting_count; j++) rte_pktmbuf_free(entries_[i].waiting[j]);
  }
  rte_hash_free(index_);
}

bool Neighbours::find(const NeighbourKey& key, rte_ether_addr& mac) {
  const int32_t position = rte_hash_lookup(index_, &key);
  if (position < 0) return false;
  Entry& entry = entries_[position];
  const uint64_t word = entry.word.load(std::memory_order_acquire);
  if (!has_mac(state_of(word))) return false;
  mac = mac_of(word);
  if (!entry.used.load(std::memory_order_relaxed)) entry.used.store(true, std::memory_order_relaxed);
  return true;
}

Neighbours::Entry* Neighbours::find_locked(const NeighbourKey& key) {
  const int32_t position = rte_hash_lookup(index_, &key);
  return position < 0 ? nullptr : &entries_[position];
}

Neighbours::Entry* Neighbours::create_locked(const NeighbourKey& key) {
  if (learned_ >= capacity_) evict_one_locked();
  if (learned_ >= capacity_) return nullptr;
  Entry* entry = place_locked(key);
  if (entry != nullptr) learned_++;
  return entry;
}

Neighbours::Entry* Neighbours::place_locked(const NeighbourKey& key) {
  const int32_t position = rte_hash_add_key(index_, &key);
  if (position < 0) return nullptr;
  Entry& entry = entries_[position];
  entry.key = key;
  entry.live_at = static_cast<uint32_t>(live_.size());
  live_.push_back(static_cast<uint32_t>(position));
  entry.probes = 0;
  entry.waiting_count = 0;
  entry.used.store(false, std::memory_order_relaxed);
  return &entry;
}

void Neighbours::remove_locked(Entry& entry) {
  for (uint8_t i = 0; i < entry.waiting_count; i++) rte_pktmbuf_free(entry.waiting[i]);
  entry.waiting_count = 0;
  const bool learned = state_of(entry.word.exchange(0, std::memory_order_acq_rel)) != NeighbourState::Static;
  const int32_t position = rte_hash_del_key(index_, &entry.key);
  if (position < 0) return;
  live_[entry.live_at] = live_.back();
  entries_[live_.back()].live_at = entry.live_at;
  live_.pop_back();
  retired_.push_back({position, now_ns_ + kGraceNs});
  if (learned) learned_--;
}

/// From the last one on: `visit` may remove the entry that it is given.
template <typename Visit>
void Neighbours::for_each_locked(Visit visit) {
  for (size_t i = live_.size(); i-- > 0;) visit(entries_[live_[i]]);
}

/// Makes room by giving up a neighbour that nothing was sent to of late.
void Neighbours::evict_one_locked() {
  for (size_t step = 0; step < live_.size(); step++) {
    evict_hand_ = (evict_hand_ + 1) % live_.size();
    Entry& entry = entries_[live_[evict_hand_]];
    const NeighbourState state = state_of(entry.word.load(std::memory_order_relaxed));
    if (state == NeighbourState::Stale && !entry.used.load(std::memory_order_relaxed)) return remove_locked(entry);
  }
}

void Neighbours::reclaim_locked(uint64_t now_ns) {
  const auto due = std::partition(retired_.begin(), retired_.end(),
                                  [now_ns](const Retired& retired) { return retired.until_ns > now_ns; });
  for (auto at = due; at != retired_.end(); ++at) rte_hash_free_key_with_position(index_, at->position);
  retired_.erase(due, retired_.end());
}

void Neighbours::wait_for(WorkerContext& ctx, const NeighbourKey& key, rte_mbuf* packet) {
  Locked locked(lock_);
  now_ns_ = ctx.now_ns;
  Entry* entry = find_locked(key);
  if (entry == nullptr) {
    entry = create_locked(key);
    if (entry == nullptr) return ctx.drop(packet, abi::DropReason::NeighbourQueueFull);
    entry->word.store(make_word({}, NeighbourState::Incomplete), std::memory_order_release);
    probe_locked(ctx, *entry);
  }
  const uint64_t word = entry->word.load(std::memory_order_relaxed);
  if (has_mac(state_of(word))) return transmit_to(ctx, key.port, mac_of(word), packet);
  if (entry->waiting_count == kWaiting) {
    ctx.drop(entry->waiting[0], abi::DropReason::NeighbourQueueFull);  // the oldest goes: RFC 4861 section 7.2.2
    std::copy(entry->waiting + 1, entry->waiting + kWaiting, entry->waiting);
    entry->waiting_count--;
  }
  entry->waiting[entry->waiting_count++] = packet;
}

void Neighbours::release_waiting_locked(WorkerContext& ctx, Entry& entry) {
  const rte_ether_addr mac = mac_of(entry.word.load(std::memory_order_relaxed));
  if (entry.waiting_count != 0) entry.used.store(true, std::memory_order_relaxed);
  for (uint8_t i = 0; i < entry.waiting_count; i++) transmit_to(ctx, entry.key.port, mac, entry.waiting[i]);
  entry.waiting_count = 0;
}

void Neighbours::learn(WorkerContext& ctx, const Claim& claim) {
  if (!rte_is_valid_assigned_ether_addr(&claim.mac)) return;
  Locked locked(lock_);
  now_ns_ = ctx.now_ns;
  Entry* entry = find_locked(claim.key);
  if (entry == nullptr) {
    if (!claim.create || (entry = create_locked(claim.key)) == nullptr) return;
  }
  const uint64_t word = entry->word.load(std::memory_order_relaxed);
  const NeighbourState state = state_of(word);
  if (state == NeighbourState::Static) return;
  const bool known = has_mac(state);
  const rte_ether_addr known_mac = mac_of(word);
  const bool changes = !known || !rte_is_same_ether_addr(&known_mac, &claim.mac);
  if (known && changes && !claim.overrides) {  // RFC 4861 section 7.2.5, I
    if (state != NeighbourState::Reachable) return;
    entry->word.store(make_word(known_mac, NeighbourState::Stale), std::memory_order_release);
    entry->deadline_ns = ctx.now_ns + kStaleNs;
    return;
  }
  if (!claim.solicited && !changes) return;
  entry->probes = 0;
  entry->deadline_ns = ctx.now_ns + (claim.solicited ? kReachableNs : kStaleNs);
  entry->word.store(make_word(claim.mac, claim.solicited ? NeighbourState::Reachable : NeighbourState::Stale),
                    std::memory_order_release);
  release_waiting_locked(ctx, *entry);
}

void Neighbours::probe_locked(WorkerContext& ctx, Entry& entry) {
  const uint64_t word = entry.word.load(std::memory_order_relaxed);
  const rte_ether_addr mac = mac_of(word);
  entry.probes++;
  entry.deadline_ns = ctx.now_ns + kRetransmitNs;
  send_solicitation(ctx, entry.key, has_mac(state_of(word)) ? &mac : nullptr);
}

void Neighbours::fail_locked(WorkerContext& ctx, Entry& entry) {
  for (uint8_t i = 0; i < entry.waiting_count; i++) {
    send_icmp_error(ctx, entry.waiting[i], IcmpError::AddressUnreachable);
    ctx.drop(entry.waiting[i], abi::DropReason::NeighbourUnresolved);
  }
  entry.waiting_count = 0;
  remove_locked(entry);
}

/// The state's time is over.
void Neighbours::expire_locked(WorkerContext& ctx, Entry& entry) {
  const uint64_t word = entry.word.load(std::memory_order_relaxed);
  switch (state_of(word)) {
    case NeighbourState::None:
    case NeighbourState::Static:
      return;
    case NeighbourState::Incomplete:
    case NeighbourState::Probe:
      if (entry.probes >= kProbes) return fail_locked(ctx, entry);
      return probe_locked(ctx, entry);
    case NeighbourState::Reachable:
      entry.word.store(make_word(mac_of(word), NeighbourState::Stale), std::memory_order_release);
      entry.deadline_ns = ctx.now_ns + kStaleNs;
      return;
    case NeighbourState::Stale:
      return remove_locked(entry);
  }
}

void Neighbours::tick(WorkerContext& ctx) {
  Locked locked(lock_);
  now_ns_ = ctx.now_ns;
  reclaim_locked(ctx.now_ns);
  for_each_locked([&](Entry& entry) {
    const uint64_t word = entry.word.load(std::memory_order_relaxed);
    if (state_of(word) == NeighbourState::Static) return release_waiting_locked(ctx, entry);  // of the time before
    if (ctx.now_ns >= entry.deadline_ns) expire_locked(ctx, entry);
    const uint64_t after = entry.word.load(std::memory_order_relaxed);
    if (state_of(after) == NeighbourState::Stale && entry.used.exchange(false, std::memory_order_relaxed)) {
      entry.word.store(make_word(mac_of(after), NeighbourState::Probe), std::memory_order_release);
      probe_locked(ctx, entry);
    }
  });
}

void Neighbours::set_static(const std::vector<StaticNeighbour>& neighbours) {
  Locked locked(lock_);
  std::vector<NeighbourKey> keys;
  for (const StaticNeighbour& neighbour : neighbours) {
    keys.push_back(NeighbourKey::of(neighbour.port, neighbour.address.family, neighbour.address.bytes.data()));
    Entry* entry = find_locked(keys.back());
    const bool fresh = entry == nullptr;
    if (fresh && (entry = place_locked(keys.back())) == nullptr)
      continue;  // more than kMaxStaticNeighbours just changed
    const uint64_t before =
        entry->word.exchange(make_word(neighbour.mac, NeighbourState::Static), std::memory_order_acq_rel);
    if (!fresh && state_of(before) != NeighbourState::Static) learned_--;
  }
  const auto less = [](const NeighbourKey& a, const NeighbourKey& b) { return std::memcmp(&a, &b, sizeof a) < 0; };
  std::sort(keys.begin(), keys.end(), less);
  for_each_locked([&](Entry& entry) {
    if (state_of(entry.word.load(std::memory_order_relaxed)) != NeighbourState::Static) return;
    if (!std::binary_search(keys.begin(), keys.end(), entry.key, less)) remove_locked(entry);
  });
}

void Neighbours::forget_port(PortId port) {
  Locked locked(lock_);
  for_each_locked([&](Entry& entry) {
    if (entry.key.port == port) remove_locked(entry);
  });
}

std::vector<NeighbourInfo> Neighbours::list() {
  Locked locked(lock_);
  std::vector<NeighbourInfo> rows;
  for_each_locked([&](const Entry& entry) {
    const uint64_t word = entry.word.load(std::memory_order_relaxed);
    rows.push_back({entry.key.port, make_address(entry.key.family, entry.key.address), mac_of(word), state_of(word)});
  });
  return rows;
}

}  // namespace sluice
