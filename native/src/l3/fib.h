#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/error.h"
#include "l3/direct_fib.h"
#include "l3/prefix_trie.h"

namespace sluice {

// Measured on a 2.1 GHz Xeon, bulk of 256, random hits, cycles a lookup at 10, 1,000 and 100,000 routes (IPv6: 5,000):
//   IPv4: rte_fib DIR24_8 11, 11, 26; PrefixTrie 17, 19, 68.  IPv6: rte_fib6 trie 38, 76, 75; PrefixTrie 25, 36, 34.
// rte_fib6 also sets 13 tables aside for each host route. So IPv4's main table is DIR24_8, all else a PrefixTrie.

/// Direct: 32 MiB of DPDK's memory and the fastest. Trie: 256 KiB and 1 KiB for each /24 with longer prefixes in it.
enum class FibKind { Direct, Trie };

/// IPv4 routes to values; immutable once built.
class Fib4 {
 public:
  /// Routes of the other family are skipped. A direct FIB for which there is no memory becomes a trie. Fails with
  /// "route-refused". `spare`: where a direct FIB is taken from, and where it goes at the end; may be null.
  static Result<Fib4> build(const std::vector<FibRoute>& routes, FibKind kind,
                            std::shared_ptr<SpareFib> spare = nullptr);

  Fib4() = default;
  Fib4(Fib4&&) = default;
  Fib4& operator=(Fib4&&) = delete;
  ~Fib4();

  /// `addresses` in host byte order. The value of an address without a route is 0.
  void lookup(uint32_t* addresses, uint64_t* values, uint16_t count) const {
    if (direct_) {
      direct_->lookup(addresses, values, count);
      return;
    }
    for (uint16_t i = 0; i < count; i++) values[i] = trie_.lookup4(addresses[i]);
  }

 private:
  static Result<std::unique_ptr<DirectFib>> direct(const std::vector<FibRoute>& routes, SpareFib* spare);

  std::unique_ptr<DirectFib> direct_;
  std::shared_ptr<SpareFib> spare_;
  PrefixTrie trie_;  ///< where there is no direct_
};

}  // namespace sluice
