#pragma once

#include <rte_fib.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/error.h"
#include "l3/prefix_trie.h"

namespace sluice {

/// IPv4 routes in an rte_fib of type DIR24_8, which is immutable while a snapshot has it.
class DirectFib {
 public:
  using Routes = std::vector<const FibRoute*>;

  /// `routes`: IPv4 ones, in any order. Fails with "out-of-memory", "route-refused".
  static Result<std::unique_ptr<DirectFib>> make(const Routes& routes);

  /// False: it has no room for these, or the library refused one; of no use then.
  bool change_to(const Routes& routes);

  void lookup(uint32_t* addresses, uint64_t* values, uint16_t count) const {
    rte_fib_lookup_bulk(fib_.get(), addresses, values, count);
  }

 private:
  struct Free {
    void operator()(rte_fib* fib) const { rte_fib_free(fib); }
  };
  struct Room {
    size_t routes;
    size_t tables;  ///< of 256 addresses, for /24s that hold longer prefixes
    uint32_t value;
  };
  /// Length and address, host byte order, so that shorter prefixes come first: each later one refines what is there.
  using Key = std::pair<uint8_t, uint32_t>;
  /// With values, in order of the keys.
  using Content = std::vector<std::pair<Key, uint32_t>>;

  static Content content_of(const Routes& routes);
  /// How many /24s hold longer prefixes.
  static size_t tables_of(const Content& content);
  static uint32_t largest_value(const Content& content);
  static Room room_for(const Content& content);
  /// 0, or the library's error.
  int change_content(Content wanted);

  std::unique_ptr<rte_fib, Free> fib_;
  Room room_{};
  Content content_;
};

/// Keeps the last FIB that no snapshot has any more, for the next one: its 32 MiB are not filled anew, only what
/// differs is written. Any thread.
class SpareFib {
 public:
  std::unique_ptr<DirectFib> take();
  void put(std::unique_ptr<DirectFib> fib);

 private:
  std::mutex mutex_;
  std::unique_ptr<DirectFib> fib_;
};

}  // namespace sluice
