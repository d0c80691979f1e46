#pragma once

#include <rte_mbuf.h>
#include <rte_spinlock.h>

#include <array>
#include <cstdint>
#include <vector>

#include "core/worker_context.h"

namespace sluice {

/// Puts fragmented packets together (RFC 791 section 3.2, RFC 8200 section 4.5), for all workers, since any of them may
/// see any fragment. Only fragments come here, so only they meet the lock. Memory is bounded and taken once.
class Reassembler {
 public:
  struct Limits {
    uint16_t datagrams = 1024;  ///< packets in the making; the oldest gives way
    uint16_t fragments = 4096;  ///< buffers held in all; one less than 65535 at most
    uint16_t per_datagram = 128;
  };
  static constexpr uint64_t kTimeout4Ns = 30'000'000'000;
  static constexpr uint64_t kTimeout6Ns = 60'000'000'000;

  Reassembler() : Reassembler(Limits{}) {}
  explicit Reassembler(Limits limits);
  ~Reassembler();
  Reassembler(const Reassembler&) = delete;
  Reassembler& operator=(const Reassembler&) = delete;

  /// Takes a parsed packet with abi::Flag::FRAGMENT. Returns the whole packet once its last missing fragment is there:
  /// parsed again, the first fragment's meta kept, meta.fragment_size set, several segments long. Null: the fragment is
  /// held, or was dropped. Overlapping fragments spoil their packet (RFC 5722), exact repetitions are dropped.
  rte_mbuf* add(WorkerContext& ctx, rte_mbuf* fragment);

  /// Gives up on packets whose time is over, with an ICMP error where the first fragment is there. About every 100 ms.
  void tick(WorkerContext& ctx);

 private:
  static constexpr uint16_t kNone = UINT16_MAX;

  struct alignas(8) Key {
    std::array<uint8_t, 16> source{}, destination{};
    uint32_t id = 0;
    uint16_t table = 0;
    uint8_t family = 0, protocol = 0;
    bool operator==(const Key& other) const;
    uint32_t hash() const;
  };

  /// Where a fragment belongs. Offsets and lengths in bytes.
  struct Piece {
    Key key;
    uint32_t header;  ///< before the payload; IPv6: with the fragment header
    uint32_t offset, length;
    bool more, dont_fragment;
  };

  struct Node {
    rte_mbuf* packet;
    uint32_t offset, length;
    uint16_t next;
  };

  struct Datagram {
    Key key;
    uint64_t deadline_ns;
    uint32_t total, have;  ///< bytes of payload; total is 0 until the last fragment came
    uint32_t largest;
    uint16_t nodes, node_count;
    uint16_t next_in_bucket, older, newer;
    bool spoilt;  ///< overlapping: what comes for it until its time is over is dropped
    bool dont_fragment;
  };

  static bool read_piece(const WorkerContext& ctx, const rte_mbuf* fragment, Piece& piece);
  uint16_t find_or_create(WorkerContext& ctx, const Key& key);
  bool fits_in(const Datagram& datagram, const Piece& piece, uint16_t& before, bool& repeated) const;
  void insert(Datagram& datagram, const Piece& piece, rte_mbuf* fragment, uint16_t before);
  rte_mbuf* join(WorkerContext& ctx, Datagram& datagram);
  void drop_nodes(WorkerContext& ctx, Datagram& datagram, abi::DropReason reason);
  void remove(uint16_t index);
  uint16_t& bucket_of(const Key& key) { return buckets_[key.hash() & (buckets_.size() - 1)]; }

  rte_spinlock_t lock_ = RTE_SPINLOCK_INITIALIZER;
  uint16_t per_datagram_;
  std::vector<Datagram> datagrams_;
  std::vector<Node> nodes_;
  std::vector<uint16_t> buckets_;  ///< heads of chains; a power of two of them
  uint16_t free_datagrams_, free_nodes_;
  uint16_t oldest_ = kNone, newest_ = kNone;
};

}  // namespace sluice
