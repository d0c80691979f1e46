#pragma once

#include <rte_fib.h>
#include <rte_fib6.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "control/desired_state.h"
#include "core/error.h"

namespace sluice {

/// What a FIB holds: the longest prefix that covers an address gives `value`. Prefixes have no host bits and are
/// unique.
struct FibRoute {
  IpPrefix prefix;
  uint32_t value;
};

/// Direct: one or two memory reads a lookup (DIR24_8, trie), 32 MiB and more. Tree: small, a walk a lookup.
enum class FibKind { Direct, Tree };

struct FibFree {
  void operator()(rte_fib* fib) const { rte_fib_free(fib); }
  void operator()(rte_fib6* fib) const { rte_fib6_free(fib); }
};
using Fib4 = std::unique_ptr<rte_fib, FibFree>;
using Fib6 = std::unique_ptr<rte_fib6, FibFree>;

/// Builds a FIB over the routes of its family (others are skipped); an address that none covers has the value 0.
/// A direct FIB that finds no memory becomes a tree. Fails with "out-of-memory" or "route-refused".
Result<Fib4> make_fib4(const std::vector<FibRoute>& routes, FibKind kind);
Result<Fib6> make_fib6(const std::vector<FibRoute>& routes, FibKind kind);

}  // namespace sluice
