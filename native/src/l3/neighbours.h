#pragma once

#include <rte_ether.h>
#include <rte_hash.h>
#include <rte_mbuf.h>
#include <rte_spinlock.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "core/error.h"
#include "core/worker_context.h"
#include "l3/address.h"
#include "l3/routing.h"

namespace sluice {

/// Who is asked for: an address behind a port. All bytes count in the hash, so the unused ones are zero; rte_hash
/// compares keys of 32 bytes fast.
struct alignas(16) NeighbourKey {
  PortId port = kNoPort;
  uint8_t family = 0;
  uint8_t zero[13] = {};
  uint8_t address[16] = {};

  static NeighbourKey of(PortId port, uint8_t family, const uint8_t* address) {
    NeighbourKey key;
    key.port = port;
    key.family = family;
    if (family == 4) {
      memcpy(key.address, address, 4);
    } else {
      memcpy(key.address, address, 16);
    }
    return key;
  }
  bool operator==(const NeighbourKey& other) const { return memcmp(this, &other, sizeof *this) == 0; }
};
static_assert(sizeof(NeighbourKey) == 32);

/// RFC 4861 section 7.3.2, for ARP too. Delay is left out: a stale neighbour in use is probed at once.
enum class NeighbourState : uint8_t { None, Incomplete, Reachable, Stale, Probe, Static };

/// One row for status output.
struct NeighbourInfo {
  PortId port;
  IpAddress address;
  rte_ether_addr mac;
  NeighbourState state;
};

/// MAC addresses by port and IP address, shared by all workers. Finding a known neighbour takes no lock; all that
/// changes the table does, and happens only for ARP and ND messages, timers and packets to unknown neighbours.
class Neighbours {
 public:
  static constexpr uint32_t kCapacity = 16384;  ///< learned entries; static ones have places of their own
  static constexpr uint32_t kWaiting = 16;      ///< packets that one unknown neighbour holds up
  static constexpr int kProbes = 3;
  static constexpr uint64_t kRetransmitNs = 1'000'000'000;
  static constexpr uint64_t kReachableNs = 30'000'000'000;
  static constexpr uint64_t kStaleNs = 600'000'000'000;
  /// How long a removed entry's place stays empty: longer than any worker can be between a lookup and its use.
  static constexpr uint64_t kGraceNs = 10'000'000'000;

  static Result<std::unique_ptr<Neighbours>> create(uint32_t capacity = kCapacity);
  ~Neighbours();
  Neighbours(const Neighbours&) = delete;
  Neighbours& operator=(const Neighbours&) = delete;

  /// True, and `mac`, when the neighbour is known. Any thread that is a worker.
  bool find(const NeighbourKey& key, rte_ether_addr& mac);

  /// Holds an L3 packet (meta.family is its own) back until the neighbour is known, and asks for it. Takes ownership.
  void wait_for(WorkerContext& ctx, const NeighbourKey& key, rte_mbuf* packet);

  /// An address that a message claims. Solicited: it answers a question of ours. Sends what waited.
  /// `create` says whether the claim may make a new entry, which is Stale until it is used and confirmed.
  struct Claim {
    NeighbourKey key;
    rte_ether_addr mac;
    bool solicited;
    bool overrides;  ///< may change a known MAC (ND's O flag)
    bool create;
  };
  void learn(WorkerContext& ctx, const Claim& claim);

  /// Timers: retries, failures, refreshing of entries in use. About every 100 ms, from one worker.
  void tick(WorkerContext& ctx);

  /// Makes exactly these entries static. Control thread, before the snapshot they came with is published or after.
  void set_static(const std::vector<StaticNeighbour>& neighbours);
  /// Forgets all that is behind a port which is gone. Packets that waited are freed.
  void forget_port(PortId port);

  std::vector<NeighbourInfo> list();

 private:
  struct alignas(64) Entry {
    std::atomic<uint64_t> word{0};  ///< bits 0-47 the MAC as it lies in memory, bits 48-55 the NeighbourState
    std::atomic<bool> used{false};  ///< a worker sent by it since the last look
    // The rest is under the lock.
    uint8_t waiting_count = 0;
    int8_t probes = 0;
    uint32_t live_at = 0;  ///< its place in live_
    NeighbourKey key;
    uint64_t deadline_ns = 0;  ///< next retry, or end of the state
    rte_mbuf* waiting[kWaiting] = {};
  };
  struct Retired {
    int32_t position;
    uint64_t until_ns;
  };

  Neighbours() = default;
  Entry* find_locked(const NeighbourKey& key);
  Entry* create_locked(const NeighbourKey& key);
  Entry* place_locked(const NeighbourKey& key);
  void remove_locked(Entry& entry);
  template <typename Visit>
  void for_each_locked(Visit visit);
  void evict_one_locked();
  void fail_locked(WorkerContext& ctx, Entry& entry);
  void expire_locked(WorkerContext& ctx, Entry& entry);
  void probe_locked(WorkerContext& ctx, Entry& entry);
  void release_waiting_locked(WorkerContext& ctx, Entry& entry);
  void reclaim_locked(uint64_t now_ns);

  rte_spinlock_t lock_ = RTE_SPINLOCK_INITIALIZER;
  rte_hash* index_ = nullptr;
  std::unique_ptr<Entry[]> entries_;  ///< by the index's position
  uint32_t places_ = 0;
  uint32_t capacity_ = 0;
  uint32_t learned_ = 0;        ///< entries that are not static
  std::vector<uint32_t> live_;  ///< positions of the entries in use: few of the places there are
  uint32_t evict_hand_ = 0;     ///< of live_
  uint64_t now_ns_ = 0;         ///< of the last call that had a context
  std::vector<Retired> retired_;
};

/// Takes ARP messages (data at the ARP header, link header before it). They end here.
void handle_arp(WorkerContext& ctx, rte_mbuf* packet);

/// Router and neighbour solicitations and advertisements, redirects: ICMPv6 types 133 to 137. Parsed packets only.
bool is_nd(const rte_mbuf* packet);
/// Takes what is_nd() found. They end here.
void handle_nd(WorkerContext& ctx, rte_mbuf* packet);

}  // namespace sluice
